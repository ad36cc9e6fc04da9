"""Reads the file that says whose messages are which into the run's own table, once.

A record names a message by its ID, and some of the keys that the message lacks.
"""

from __future__ import annotations

from pathlib import Path

from chatctl.errors import InputFileError, UsageError
from chatctl.services.regroup.target import RegroupTarget
from chatctl.services.transfer.readers import ReadOptions, RowSource
from chatctl.stores.sql.journal import Run
from chatctl.stores.sql.regroup import Scheme

_LOADED = "mapping_rows"


def load_mapping(target: RegroupTarget, run: Run, scheme: Scheme, file: Path | None) -> None:
    """Fills the run's mapping from `file` (CSV, TSV or JSON lines), unless that is done or there is none.

    Raises UsageError where it isn't done and no file is given, InputFileError where a record doesn't fit,
    RepeatedKeyError where two name the same message.
    """
    table = scheme.mapping
    if table is None or _LOADED in run.totals:
        return
    if file is None:
        raise UsageError(f"Run {run.id} hasn't read its mapping yet: wait for that, or give --mapping.")
    entity = target.layout.entity(scheme.rule.source)
    keys = [scheme.id.key, *scheme.filled]
    source = RowSource.open([str(file)], entity, keys, ReadOptions(empty_is_null=True, omittable=scheme.filled))
    rows = 0
    with target.database.begin() as connection:
        connection.execute(table.delete())
    for chunk in source:
        if chunk.rejects:
            first = chunk.rejects[0]
            raise InputFileError(f"{file}, line {first.line}: {first.reason}")
        names = ["id" if key == scheme.id.key else key for key in chunk.columns]
        with target.database.begin() as connection:
            target.database.dialect.bulk_insert(connection, table, names, chunk.rows)
        rows += len(chunk.rows)
    # Until it says so here, whoever takes the run up reads the file again from its beginning.
    with target.database.begin() as connection:
        noted = target.journal.runs.get(connection, run.id).totals
        target.journal.runs.note(connection, run.id, {**noted, _LOADED: rows})
