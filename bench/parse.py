"""How fast import files are read and converted, without a database: rows a second by format and compression.

    python bench/parse.py [ROWS]

ROWS (1,000,000 unless given) made-up messages are written once per format into a temporary folder. Memory is the
highest resident size of the process.
"""

from __future__ import annotations

import argparse
import random
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from chatctl.layouts import Entity
from chatctl.services.transfer.readers import RowSource
from chatctl.services.transfer.writers import export_rows

MESSAGES = Entity.model_validate(
    {
        "table": "messages",
        "columns": {
            "id": {"name": "id", "type": "text(64)", "key": True},
            "user_id": {"name": "userId", "type": "text(64)"},
            "mentor_id": {"name": "mentorId", "type": "text(64)", "nullable": True},
            "role": {"name": "role", "type": "text(32)"},
            "content": {"name": "content", "type": "longtext"},
            "created_at": {"name": "createdAt", "type": "datetime(3)"},
        },
    }
)
COLUMNS = list(MESSAGES.columns)
NAMES = ("messages.jsonl", "messages.jsonl.gz", "messages.jsonl.zst", "messages.csv", "messages.tsv")
_TEXT = 'why does this "closure" keep the old value? I don\'t see it yet, спасибо 🙂 maybe:\nlet x = 1;'
_WORDS = _TEXT.split()


def messages(count: int) -> Iterator[tuple[Any, ...]]:
    """`count` messages of 1 to 40 words, one in six without a mentor, in the order of `COLUMNS`."""
    chance = random.Random(1)
    start = datetime(2024, 1, 1)
    for number in range(count):
        yield (
            f"{number:024x}",
            f"u{int(chance.paretovariate(1.1)) % 20_000}",
            None if number % 6 == 0 else f"mentor-{number % 20}",
            "user",
            " ".join(chance.choices(_WORDS, k=chance.randint(1, 40))),
            start + timedelta(milliseconds=number * 1_237),
        )


def main() -> None:
    """Writes the files, reads each, prints a line for each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("rows", type=int, nargs="?", default=1_000_000)
    count = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as folder:
        for name in NAMES:
            file = Path(folder) / name
            began = time.perf_counter()
            export_rows(messages(count), MESSAGES, COLUMNS, file)
            written = time.perf_counter()
            read = sum(len(chunk.rows) for chunk in RowSource.open([str(file)], MESSAGES, COLUMNS))
            seconds = time.perf_counter() - written
            assert read == count, f"{name}: {read} rows read of {count}"
            sys.stdout.write(
                f"{name:20} read {read / seconds:>10,.0f} rows/s   "
                f"made and written {count / (written - began):>10,.0f} rows/s\n"
            )
            file.unlink()
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sys.stdout.write(f"highest resident size {resident / 1024:,.0f} MiB\n")


if __name__ == "__main__":
    main()
