"""Files of probes: CSV with a user and a project in each row."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from chatctl.errors import NotFoundError, UsageError

_COLUMNS = ["user", "project"]


def read_probes(path: Path) -> Iterator[tuple[str, str]]:
    """The (user, project) pairs of a UTF-8 CSV file, or of stdin for `-`, whose header names `user` and `project`.

    Raises NotFoundError where there is no such file, UsageError naming the line of a row that is none.
    """
    standard_input = str(path) == "-"
    try:
        with open(0 if standard_input else path, encoding="utf-8-sig", newline="", closefd=not standard_input) as file:
            yield from _rows(file, "stdin" if standard_input else str(path))
    except FileNotFoundError:
        raise NotFoundError(f"There is no file {path}.") from None
    except (OSError, UnicodeDecodeError) as problem:
        raise UsageError(f"{path}: can't be read: {problem}.") from problem


def _rows(file: TextIO, name: str) -> Iterator[tuple[str, str]]:
    reader = csv.DictReader(file, strict=True)
    try:
        if not set(_COLUMNS) <= set(reader.fieldnames or ()):
            raise UsageError(f"{name}:1: expected a header with 'user' and 'project'.")
        for row in reader:
            if not row["user"] or not row["project"]:
                raise UsageError(f"{name}:{reader.line_num}: expected a user and a project.")
            yield row["user"], row["project"]
    except csv.Error as problem:
        raise UsageError(f"{name}:{reader.line_num}: not CSV: {problem}.") from problem
