"""`record start|show|sign|finish`: the record itself. It lives in the journal, beside the data that it is about."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

from chatctl.domain.instants import iso, to_epoch_ms
from chatctl.domain.result import Outcome, Result
from chatctl.errors import CannotConnectError, LockedError, NotFoundError, UsageError
from chatctl.services.migrate.target import MigrationTarget
from chatctl.services.record.lists import items_of
from chatctl.stores.sql.journal.records import Records
from chatctl.stores.sql.journal.runs import new_run_id, whoami

Status = Literal["in progress", "completed", "rolled back"]
Record = dict[str, Any]

OPEN, DONE, FAILED = "open", "done", "failed"
_IN_PROGRESS = "in progress"


@dataclass(frozen=True)
class Beginning:
    """What is known when a migration begins. `contacts` are names by role."""

    lead: str
    contacts: Mapping[str, str]
    estimated_downtime: timedelta | None = None
    review: date | None = None


def start(target: MigrationTarget, context: str, wanted: Beginning, *, dry_run: bool = False) -> Result:
    """Begins a record. Raises LockedError where one is in progress."""
    now = _now()
    record: Record = {
        "id": new_run_id(to_epoch_ms(datetime.now(UTC))),
        "context": context,
        "layout": target.layout.name,
        "title": target.layout.title,
        "lead": wanted.lead,
        "contacts": [{"role": role, "name": name} for role, name in wanted.contacts.items()],
        "status": _IN_PROGRESS,
        "started": now,
        "started_by": whoami(),
        "finished": None,
        "review": wanted.review.isoformat() if wanted.review else None,
        "estimated_downtime_seconds": wanted.estimated_downtime.total_seconds() if wanted.estimated_downtime else None,
        "downtime_seconds": None,
        "items": {key: _new_item() for key in items_of(target.layout.name)},
    }
    if dry_run:
        return answer(record, target)
    target.require_database()
    target.journal.ensure()
    with target.database.begin() as connection:
        records = Records(target.journal.tables)
        for record_id in records.ids(connection)[:1]:
            if (records.get(connection, record_id) or {}).get("status") == _IN_PROGRESS:
                raise LockedError(f"The record {record_id} is in progress.", hint="chatctl record finish ends it.")
        records.add(connection, record["id"], record)
    return answer(record, target)


def show(target: MigrationTarget, record_id: str | None = None) -> Result:
    """A record, the newest one if none is named. Raises NotFoundError."""
    return answer(load(target, record_id), target)


def sign(
    target: MigrationTarget, item: str, by: str, note: str | None, *, withdraw: bool = False, dry_run: bool = False
) -> Result:
    """Signs an item that no command can check, or takes the signature back.

    Raises NotFoundError for an unknown item, UsageError for one that is checked.
    """

    def signed(record: Record) -> None:
        known = items_of(record["layout"])
        if item not in known:
            raise NotFoundError(f"The list has no item '{item}'.", hint=f"It has {', '.join(known)}.")
        if known[item].checked and not note:
            raise UsageError(
                f"'{item}' is checked by a command, not signed.",
                hint="chatctl record check looks. Where it can't, sign with --note and say how it was seen.",
            )
        made = {"state": DONE, "proof": f"signed: {note}" if note else "signed", "by": by, "at": _now()}
        record["items"][item] = _new_item() if withdraw else made

    return change(target, signed, dry_run=dry_run)


def finish(
    target: MigrationTarget,
    status: Status,
    downtime: timedelta | None,
    review: date | None,
    *,
    dry_run: bool = False,
) -> Result:
    """Ends the record. A completed one has every item done: else what is open is a finding, and nothing is written."""
    current = load(target)
    left = [key for key, item in current["items"].items() if item["state"] != DONE]
    if status == "completed" and left:
        result = answer(current, target)
        return Result(result.data, Outcome.FINDINGS, warnings=result.warnings)

    def finished(record: Record) -> None:
        record |= {"status": status, "finished": _now()}
        if downtime is not None:
            record["downtime_seconds"] = downtime.total_seconds()
        if review is not None:
            record["review"] = review.isoformat()

    return change(target, finished, dry_run=dry_run)


def load(target: MigrationTarget, record_id: str | None = None) -> Record:
    """A record from the journal; raises NotFoundError, CannotConnectError."""
    if not target.database.exists:
        raise CannotConnectError(f"{target.database.where}: there is no such file.", hint="Check the path.")
    with target.database.connect() as connection:
        found = None
        if target.journal.exists(connection):
            records = Records(target.journal.tables)
            ids = [record_id] if record_id else records.ids(connection)[:1]
            found = records.get(connection, ids[0]) if ids else None
    if found is None:
        raise NotFoundError("There is no such record here.", hint="chatctl record start --lead NAME begins one.")
    return found


def change(target: MigrationTarget, work: Callable[[Record], None], *, dry_run: bool = False) -> Result:
    """Changes the newest record by `work`; with `dry_run` only shows how. Raises UsageError where it is finished."""
    before = load(target)
    if before["status"] != _IN_PROGRESS:
        raise UsageError(
            f"The record {before['id']} is {before['status']}.", hint="chatctl record start begins another."
        )
    after: Record = {**before, "items": {key: dict(item) for key, item in before["items"].items()}}
    work(after)
    if not dry_run:
        with target.database.begin() as connection:
            Records(target.journal.tables).replace(connection, before["id"], before, after)
    return answer(after, target)


def answer(record: Record, target: MigrationTarget) -> Result:
    """The record as every command answers it: its items in the list's order, and how many are done."""
    known = items_of(record["layout"])
    items: Sequence[Record] = [
        {
            "item": key,
            "text": known[key].text if key in known else key,
            "how": "check" if key in known and known[key].checked else "person",
            **state,
        }
        for key, state in record["items"].items()
    ]
    done = sum(item["state"] == DONE for item in items)
    return Result({**record, "items": items, "done": done, "open": len(items) - done})


def _new_item() -> Record:
    return {"state": OPEN, "proof": None, "by": None, "at": None}


def _now() -> str:
    return str(iso(to_epoch_ms(datetime.now(UTC))))
