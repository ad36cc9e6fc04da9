"""Import beside each engine's own loader, on the same messages and the same server, as ratios.

    python -m bench.importing [ROWS]

The loaders read a file that was made for them beforehand; the sqlite3 script and chatctl read JSON lines. chatctl's
time is the whole command's, its start included.
"""

from __future__ import annotations

import csv
import gzip
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from bench.measured import measured
from bench.parse import messages
from tests.support.mariadb import MariaDBServer
from tests.support.postgresql import PostgreSQLServer
from tests.support.processes import ServerUnavailableError
from tests.support.sample import SAMPLE
from tests.support.transfers import execute, make_tables

ROWS = 1_000_000
ROUNDS = 3
#: Of the contender's rate; megabytes resident.
LEAST = {"SQLite": 0.5, "MariaDB": 0.5, "PostgreSQL": 0.4}
MOST_MEGABYTES = 200.0

FIELDS = ("id", "userId", "mentorId", "role", "content", "createdAt")
#: As stock servers are set up, unlike the small ones of the tests.
STOCK = {
    MariaDBServer: {"innodb-buffer-pool-size": "128M", "innodb-log-file-size": "96M"},
    PostgreSQLServer: {"shared_buffers": "128MB"},
}

_TSV_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


@dataclass(frozen=True)
class Files:
    """The same messages for each contender."""

    jsonl: Path
    tsv: Path
    csv: Path


def write_files(folder: Path, rows: int) -> Files:
    """Writes `rows` messages: the sample over and over under new IDs, or made-up ones where it's missing."""
    files = Files(folder / "m.jsonl", folder / "m.tsv", folder / "m.csv")
    with (
        files.jsonl.open("w", encoding="utf-8") as lines,
        files.tsv.open("w", encoding="utf-8") as tabs,
        files.csv.open("w", encoding="utf-8", newline="") as commas,
    ):
        writer = csv.writer(commas)
        for record in islice(_records(rows), rows):
            lines.write(json.dumps(record, ensure_ascii=False) + "\n")
            values = [record[name] for name in FIELDS]
            values[-1] = values[-1].removesuffix("Z").replace("T", " ")
            tabs.write("\t".join("\\N" if value is None else value.translate(_TSV_ESCAPES) for value in values) + "\n")
            writer.writerow(values)
    return files


def _records(rows: int) -> Iterator[dict[str, Any]]:
    if not SAMPLE.exists():
        print("The sample is missing: the messages are made up.")
        for *texts, moment in messages(rows):
            yield dict(zip(FIELDS, [*texts, f"{moment.isoformat(timespec='milliseconds')}Z"], strict=True))
        return
    with gzip.open(SAMPLE, "rt", encoding="utf-8") as file:
        sample = {record["id"]: record for record in map(json.loads, file)}
    for copy in count():
        for record in sample.values():
            yield {**record, "id": f"{record['id'][:8]}{copy:04x}{record['id'][12:]}"}


def executemany_script(url: str, files: Files) -> None:
    """What somebody would write: json.loads for each line, one executemany, one commit."""

    def rows() -> Iterator[tuple[Any, ...]]:
        with files.jsonl.open(encoding="utf-8") as lines:
            for line in lines:
                record = json.loads(line)
                yield tuple(record[name] for name in FIELDS)

    connection = sqlite3.connect(url.removeprefix("sqlite:///"))
    names = ", ".join(f'"{name}"' for name in FIELDS)
    connection.executemany(f"INSERT INTO messages ({names}) VALUES (?, ?, ?, ?, ?, ?)", rows())
    connection.commit()
    connection.close()


def load_data(url: str, files: Files) -> None:
    """LOAD DATA LOCAL INFILE by MariaDB's own client."""
    at = sa.make_url(url)
    command = ["mariadb", "--local-infile=1", f"-h{at.host}", f"-P{at.port}", f"-u{at.username}", str(at.database)]
    sql = f"LOAD DATA LOCAL INFILE '{files.tsv}' INTO TABLE messages CHARACTER SET utf8mb4 ({', '.join(FIELDS)})"
    subprocess.run([*command, "-e", sql], check=True, env={**os.environ, "MYSQL_PWD": at.password or ""})


def psql_copy(url: str, files: Files) -> None:
    r"""\copy by PostgreSQL's own client."""
    at = sa.make_url(url)
    names = ", ".join(f'"{name}"' for name in FIELDS)
    sql = f"\\copy messages ({names}) FROM '{files.csv}' WITH (FORMAT csv, FORCE_NOT_NULL (content))"
    command = ["psql", "-q", "-h", str(at.host), "-p", str(at.port), "-U", str(at.username), str(at.database)]
    subprocess.run([*command, "-c", sql], check=True, env={**os.environ, "PGPASSWORD": at.password or ""})


@dataclass
class Engine:
    """An engine, what fills it beside chatctl, and the best seconds of both."""

    name: str
    contender: str
    load: Callable[[str, Files], None]
    url: str
    theirs: float = float("inf")
    ours: float = float("inf")
    megabytes: float = 0.0

    def round(self, files: Files) -> None:
        """Both fill the same table, one after the other."""
        self.theirs = min(self.theirs, self._timed(lambda: self.load(self.url, files)))
        self._empty()
        self.ours = min(self.ours, self._timed(lambda: self._import(files)))
        self._empty()

    def _timed(self, work: Callable[[], None]) -> float:
        started = time.perf_counter()
        work()
        return time.perf_counter() - started

    def _import(self, files: Files) -> None:
        command = [sys.executable, "-m", "chatctl", "import", str(files.jsonl), "--layout", "mentor", "--quiet"]
        self.megabytes = max(self.megabytes, measured(command, {"CHATCTL_DATABASE": self.url}).resident_mib)

    def _empty(self) -> None:
        if self.name == "SQLite":
            # A file that was emptied would be filled more cheaply than a new one.
            for file in Path(self.url.removeprefix("sqlite:///")).parent.glob("bench.db*"):
                file.unlink()
            make_tables(self.url)
        else:
            execute(self.url, "TRUNCATE TABLE messages")


def engines(stack: ExitStack, folder: Path) -> Iterator[Engine]:
    """The engines that this machine has, each with mentor's legacy tables."""
    yield Engine("SQLite", "sqlite3 executemany", executemany_script, f"sqlite:///{folder / 'bench.db'}")
    for kind, client, load in ((MariaDBServer, "mariadb", load_data), (PostgreSQLServer, "psql", psql_copy)):
        contender = "LOAD DATA LOCAL" if load is load_data else "psql \\copy"
        if shutil.which(client) is None:
            print(f"{kind.title}: left out (there is no {client} on PATH)")
            continue
        try:
            server = stack.enter_context(kind(STOCK[kind]))
        except ServerUnavailableError as problem:
            print(f"{kind.title}: left out ({problem})")
            continue
        yield Engine(kind.title, contender, load, server.databases.create_database("bench"))


def main(rows: int = ROWS) -> bool:
    """Prints a line for each engine; whether all limits are kept."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        files = write_files(folder, rows)
        chosen = list(engines(stack, folder))
        for engine in chosen:
            make_tables(engine.url)
        for _ in range(ROUNDS):
            for engine in chosen:
                engine.round(files)
    print(f"{'engine':12}{'contender':22}{'its rows/s':>12}{'chatctl':>12}{'ratio':>8}{'least':>7}{'MB':>6}")
    kept = True
    for engine in chosen:
        ratio = engine.theirs / engine.ours
        kept = kept and ratio >= LEAST[engine.name] and engine.megabytes <= MOST_MEGABYTES
        print(
            f"{engine.name:12}{engine.contender:22}{rows / engine.theirs:12,.0f}{rows / engine.ours:12,.0f}"
            f"{ratio:8.2f}{LEAST[engine.name]:7.1f}{engine.megabytes:6.0f}"
        )
    return kept


if __name__ == "__main__":
    sys.exit(0 if main(int(sys.argv[1]) if len(sys.argv) > 1 else ROWS) else 1)
