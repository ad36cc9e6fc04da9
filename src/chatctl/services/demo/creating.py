"""`demo create`: a legacy database as an application would have left it, and a file of messages to import."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from chatctl.domain.progress import Progress
from chatctl.domain.result import Result
from chatctl.errors import ConfigurationError, ConsentRequiredError
from chatctl.layouts.model import Phase
from chatctl.services.demo.messages import COLUMNS, Cast, Row, made_up_messages
from chatctl.services.migrate.target import MigrationTarget
from chatctl.stores.sql.tables import LayoutTables

#: The layout whose legacy shape is made.
LAYOUT = "mentor"

_CHUNK = 10_000
_LATE_MESSAGES = 500


def create(
    target: MigrationTarget, cast: Cast, progress: Progress, late_file: Path | None = None, *, dry_run: bool = False
) -> Result:
    """Fills the empty database of `target` with the legacy tables and rows of `cast`; nothing of chatctl's is left.

    Writes messages that are yet to come, a few of them known already and a few broken, to `late_file` if given.
    With `dry_run` it only looks. Raises ConsentRequiredError where the database isn't empty.
    """
    if target.layout.name != LAYOUT:
        raise ConfigurationError(f"The demo is made in the layout '{LAYOUT}'.", hint=f"--layout {LAYOUT}")
    _require_empty(target)
    if not dry_run:
        _make(target, cast, progress, late_file)
    return Result(
        {
            "layout": LAYOUT,
            "database": target.database.where,
            "users": cast.users,
            "mentors": cast.mentors,
            "messages": cast.messages,
            "late_file": str(late_file) if late_file else None,
            "dry_run": dry_run,
        }
    )


def _make(target: MigrationTarget, cast: Cast, progress: Progress, late_file: Path | None) -> None:
    with target.database.translating(), target.database.engine.connect() as connection:
        target.revisions.rehearse(connection, target.revisions.chain[0], "up")
        connection.commit()
    progress.start(cast.messages, "messages")
    _fill(target, cast, progress)
    if late_file is not None:
        _write_late(late_file, cast)


def _require_empty(target: MigrationTarget) -> None:
    with target.database.connect() as connection:
        found = sorted(path for path, text in target.snapshot(connection).items() if text == "table")
    if found:
        raise ConsentRequiredError(
            f"{target.database.where} has tables already: {', '.join(found)}.",
            hint="The demo is made in an empty database only.",
        )


def _fill(target: MigrationTarget, cast: Cast, progress: Progress) -> None:
    tables = LayoutTables(target.layout, Phase.LEGACY)
    people: dict[str, Iterator[tuple[str, str]]] = {
        "users": ((cast.user_id(number), f"User {number}") for number in range(cast.users)),
        "mentors": ((cast.mentor_id(number), cast.mentor_name(number)) for number in range(cast.mentors)),
    }
    for entity, rows in people.items():
        for chunk in _chunks(rows):
            with target.database.begin() as connection:
                target.database.dialect.bulk_insert(connection, tables[entity], ("id", "name"), chunk)
    for chunk in _chunks(made_up_messages(cast)):
        with target.database.begin() as connection:
            target.database.dialect.bulk_insert(connection, tables["messages"], COLUMNS, chunk)
        progress.advance(len(chunk))


def _chunks(rows: Iterator[Any]) -> Iterator[list[Any]]:
    while chunk := list(islice(rows, _CHUNK)):
        yield chunk


def _write_late(file: Path, cast: Cast) -> None:
    """New messages, five that are in the database already, and two that no database would take."""
    known = made_up_messages(cast, 0, 5)
    lines = [_as_json(row) for row in (*made_up_messages(cast, cast.messages, _LATE_MESSAGES), *known)]
    lines[100:100] = ['{"id": "broken", "userId": "user000000", "role": "user"}', "this is no JSON"]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _as_json(row: Row) -> str:
    identity, user, mentor, role, content, moment = row
    fields = {"id": identity, "userId": user, "mentorId": mentor, "role": role, "content": content}
    return json.dumps({**fields, "createdAt": f"{moment.isoformat(timespec='milliseconds')}Z"}, ensure_ascii=False)
