"""The whole journey at size: import, migrate, regroup, verify, purge, restore, backup, drill, rollback, on each engine.

    python -m bench.journey [--sized] [MESSAGES] [ENGINE…]

Each step is the command line as a process of its own. Printed are its seconds, messages a second, and the most that it
had resident; a step that takes longer says once a minute what it has resident and how far it is. A server has a stock
server's memory, or with `--sized` memory that holds the messages.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.measured import Measured, measured
from bench.regroup import SERVERS, SIZED, STOCK, fresh, make_legacy, messages
from tests.support.processes import ServerUnavailableError

MEMORY_MIB = 200
#: The messages are of so many days that end today, and a chat is purged that nobody wrote to for so long.
DAYS, PURGED_AFTER_DAYS = 400, 100

STEPS = {
    "import": "import messages.jsonl",
    "migrate": "migrate --yes",
    "regroup": "regroup run --workers 2",
    "verify": "regroup verify",
    "purge": f"purge run --older-than {PURGED_AFTER_DAYS}d --confirm default",
    "restore": "purge restore",
    "backup": "backup create",
    "backup verify": "backup verify latest",
    "drill": "backup drill latest",
    "rollback": "rollback run --confirm default",
}


def write_messages(file: Path, count: int) -> None:
    """JSON lines of the legacy system, in the order of time."""
    first, step = datetime.now(UTC) - timedelta(days=DAYS), timedelta(days=DAYS) / count
    names = ("id", "userId", "mentorId", "role", "content")
    with file.open("w", encoding="utf-8") as lines:
        for number, (*texts, _) in enumerate(messages(count)):
            moment = (first + number * step).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            record = dict(zip(names, texts, strict=True)) | {"createdAt": moment}
            lines.write(json.dumps(record, ensure_ascii=False) + "\n")


def step(name: str, environment: dict[str, str], folder: Path, count: int) -> Measured:
    """Runs one step, and prints what it took."""
    progress = folder / "progress"

    def tell(resident_mib: float) -> None:
        told = progress.read_text(errors="replace").splitlines()
        print(f"    {name}: {resident_mib:.0f} MiB; {told[-1] if told else ''}", flush=True)

    command = [sys.executable, "-m", "chatctl", *shlex.split(STEPS[name])]
    with progress.open("w") as stderr:
        taken = measured(command, environment, folder, stderr=stderr, each_minute=tell)
    rate = count / taken.seconds
    print(f"  {name:14}{taken.seconds:>9.1f} s{rate:>11,.0f} messages/s{taken.resident_mib:>6.0f} MiB", flush=True)
    return taken


def journey(engine: str, count: int, folder: Path, memory: Mapping[str, dict[str, str]]) -> float:
    """Goes through all steps on one engine; the most that any had resident."""
    with fresh(engine, memory) as make:
        database = make()
        make_legacy(database)
        url = database.url.render_as_string(hide_password=False)
        database.close()
        environment = {"CHATCTL_DATABASE": url, "CHATCTL_LAYOUT": "mentor", "XDG_DATA_HOME": str(folder / engine)}
        print(f"{engine}, {count:,} messages", flush=True)
        taken = [step(name, environment, folder, count) for name in STEPS]
        seconds = sum(each.seconds for each in taken)
        print(f"  {'all':14}{seconds:>9.1f} s{count / seconds:>11,.0f} messages/s", flush=True)
        return max(each.resident_mib for each in taken)


def main() -> int:
    """Goes on every engine that this machine has; 1 where a step had more resident than it may."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sized", action="store_true", help="servers whose memory holds the messages")
    parser.add_argument("messages", type=int, nargs="?", default=1_000_000)
    parser.add_argument("engines", nargs="*", default=["sqlite", *SERVERS])
    asked = parser.parse_args()
    resident = [0.0]
    with tempfile.TemporaryDirectory() as folder:
        write_messages(Path(folder) / "messages.jsonl", asked.messages)
        for engine in asked.engines:
            try:
                resident.append(journey(engine, asked.messages, Path(folder), SIZED if asked.sized else STOCK))
            except ServerUnavailableError as problem:
                print(f"{engine}: left out ({problem})")
    print(f"highest resident size of a step {max(resident):,.0f} MiB (at most {MEMORY_MIB})")
    return 0 if max(resident) <= MEMORY_MIB else 1


if __name__ == "__main__":
    sys.exit(main())
