"""`purge plan`: what would go by which policy, what is kept back and why, and what it takes and gives back."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from chatctl.domain.instants import from_epoch_ms, iso, to_epoch_ms
from chatctl.domain.plans import fingerprint
from chatctl.domain.result import Notice, Result
from chatctl.domain.retention import guard_reasons
from chatctl.services.planfile import save_plan
from chatctl.services.purge.sessions import count_sessions
from chatctl.services.purge.target import PurgeRequest, PurgeTarget
from chatctl.stores.sql.batches.work import Position
from chatctl.stores.sql.purge.conversations import Conversations
from chatctl.stores.sql.purge.eligibility import Eligibility, Selection
from chatctl.stores.sql.purge.work import LARGEST_BATCH, PurgeWork

#: What compressed archives take of the rows' own size: chats of real users take 0.2 to 0.35.
_COMPRESSED = 0.35


@dataclass(frozen=True)
class PurgePlan:
    """A plan as plain data (`data`), the selection it is for, and what somebody should look at before it runs."""

    data: dict[str, Any]
    selection: Selection
    guards: tuple[str, ...]
    warnings: tuple[Notice, ...]

    def for_later(self, request: PurgeRequest) -> dict[str, Any]:
        """What a saved plan holds beside its data, so that exactly it can be run."""
        return {"request": request.for_plan(), "now_ms": to_epoch_ms(self.selection.now)}

    @property
    def fingerprint(self) -> str:
        """What a saved plan is recognised by."""
        return str(self.data["fingerprint"])


def plan(target: PurgeTarget, request: PurgeRequest, out: Path | None = None) -> Result:
    """The plan as a result, saved to `out` where that is given. Reads only."""
    target.require_database()
    with target.database.connect() as connection:
        made = make_plan(target, connection, request)
    if out is not None:
        save_plan(out, "purge run", {**made.data, **made.for_later(request)})
    return Result(made.data, warnings=made.warnings)


def make_plan(
    target: PurgeTarget,
    connection: sa.Connection,
    request: PurgeRequest,
    now_ms: int | None = None,
    *,
    to_be_shown: bool = True,
) -> PurgePlan:
    """Counts what `request` would delete at `now_ms` (epoch milliseconds; the database's clock if None).

    Where it isn't `to_be_shown` the messages are estimated: to count them takes as long as a tenth of the purge.

    Raises MissingEntityError where the layout or the database lacks what the policy looks at, IntegrityError where
    a hold can't be read.
    """
    now = from_epoch_ms(now_ms) if now_ms is not None else target.now(connection)
    on = target.conversations(connection)
    selection = request.selection(target, now, since=now)
    figures = _Figures(target, connection, on, selection)
    counted = figures.counted(exactly=to_be_shown)
    forecast = figures.forecast(counted, request)
    sessions = _add_sessions(target, connection, selection, counted)
    data = {
        "fingerprint": _fingerprint(target, on, request, selection),
        "layout": target.layout.name,
        "now": iso(to_epoch_ms(now)),
        "policies": policies_json(target, request, now),
        **counted,
        "deleted_chats": 0,
        "deleted_messages": 0,
        "archived": 0,
        "clock_index": on.clock_index,
        "forecast": forecast,
        "sessions": sessions,
    }
    going = counted["eligible"] if request.limit is None else min(request.limit, counted["eligible"])
    guards = guard_reasons(going, counted["total"], target.host_ahead(connection))
    data["guards"] = guards
    return PurgePlan(data, selection, tuple(guards), tuple(_warnings(target, on, request, data)))


def _add_sessions(
    target: PurgeTarget, connection: sa.Connection, selection: Selection, counted: dict[str, Any]
) -> dict[str, int] | None:
    """Adds the sessions in Redis to what was `counted` in SQL; what they come to on their own."""
    if target.sessions is None:
        return None
    found = count_sessions(target.sessions, selection, target.tools, connection)
    own = {"total": found.total, "eligible": found.eligible, "held": found.held, "restored": found.restored}
    for name, count in own.items():
        counted[name] += count
    counted["eligible_messages"] += found.messages
    counted["without_clock"] += found.without_clock
    counted["by_account"] = dict(Counter(counted["by_account"]) + found.by_account)
    return own


def policies_json(target: PurgeTarget, request: PurgeRequest, now: datetime) -> list[dict[str, Any]]:
    """The policies with their cutoffs, as they stand in answers."""
    archive = request.archive or target.archive
    return [
        {
            "name": policy.name,
            "retention_days": policy.retention_days,
            "cutoff": iso(to_epoch_ms(policy.cutoff(now))),
            "archive": archive,
        }
        for policy in request.retention(target).policies
    ]


def count_eligible(target: PurgeTarget, connection: sa.Connection, selection: Selection) -> int:
    """How many conversations may go now, those not counted that are held or were restored."""
    on = target.conversations(connection)
    rows = _Figures(target, connection, on, selection).eligible
    if target.sessions is None:
        return rows
    return rows + count_sessions(target.sessions, selection, target.tools, connection).eligible


class _Figures:
    def __init__(self, target: PurgeTarget, connection: sa.Connection, on: Conversations, selection: Selection) -> None:
        self._target = target
        self._connection = connection
        self._on = on
        self._selection = selection
        self._eligibility = Eligibility(on, selection, target.database.dialect)
        self._now_ms = to_epoch_ms(selection.now)
        self._holds = target.holds.peek(connection, self._now_ms)
        self._held = self._eligibility.held(self._holds)
        self._going = sa.and_(self._eligibility.condition, sa.not_(self._held))

    @property
    def eligible(self) -> int:
        """What would go."""
        return self._count(self._going) - self._restored()

    def counted(self, *, exactly: bool) -> dict[str, Any]:
        """Every count of the plan."""
        by_account = self._by_account()
        restored = self._restored()
        total, without_clock, ahead = self._clocks()
        eligible = sum(by_account.values()) - restored
        return {
            "total": total,
            "eligible": eligible,
            "eligible_messages": self._messages() if exactly else self._estimated_messages(eligible, total),
            "held": self._count(sa.and_(self._eligibility.condition, self._held)) if self._holds else 0,
            "restored": restored,
            "exempt": self._exempt(),
            "without_clock": without_clock,
            "in_future": ahead,
            "by_account": by_account,
        }

    def forecast(self, counted: Mapping[str, Any], request: PurgeRequest) -> dict[str, int]:
        """Bytes that the archives and the server's log take, and bytes given back to the tables."""
        going = {self._on.what.key: counted["eligible"], **self._children_rows(counted)}
        parts = {part.key: part.table.name for part in (self._on.what, *self._on.children)}
        schema = self._on.what.table.schema
        sizes = self._target.database.dialect.table_sizes(self._connection, list(parts.values()), schema)
        freed = 0
        for key, name in parts.items():
            if name in sizes:
                freed += sizes[name].bytes * going[key] // max(sizes[name].rows, going[key], 1)
        archived = {"file": int(freed * _COMPRESSED), "table": freed}.get(request.place(self._target) or "", 0)
        logged = freed + (archived if request.place(self._target) == "table" else 0)
        return {"archive_bytes": archived, "log_bytes": logged, "freed_bytes": freed}

    def _children_rows(self, counted: Mapping[str, Any]) -> dict[str, int]:
        messages = message_part(self._on)
        return {child.key: counted["eligible_messages"] if child.key == messages else 0 for child in self._on.children}

    def _clocks(self) -> tuple[int, int, int]:
        marked = [
            sa.func.coalesce(sa.func.sum(sa.case((condition, 1), else_=0)), 0)
            for condition in (self._eligibility.without_clock, self._eligibility.ahead)
        ]
        query = sa.select(sa.func.count(), *marked).select_from(self._on.what.table).where(self._eligibility.scope)
        total, without_clock, ahead = self._connection.execute(query).one()
        return int(total), int(without_clock), int(ahead)

    def _by_account(self) -> dict[str, int]:
        account = self._on.account
        if account is None:
            count = self._count(self._going)
            return {"": count} if count else {}
        query = sa.select(account, sa.func.count()).where(self._going).group_by(account).order_by(account)
        return {"" if name is None else str(name): int(count) for name, count in self._connection.execute(query)}

    def _exempt(self) -> int:
        if not self._on.rule.exempt:
            return 0
        return self._count(sa.and_(self._eligibility.expired, self._eligibility.exempt))

    def _messages(self) -> int:
        found = next((child for child in self._on.children if child.key == message_part(self._on)), None)
        if found is None or found.parent != self._on.what.key:
            return 0
        joined = self._on.what.table.join(found.table, self._on.joined(found))
        return self._connection.scalar(sa.select(sa.func.count()).select_from(joined).where(self._going)) or 0

    def _estimated_messages(self, eligible: int, total: int) -> int:
        key = message_part(self._on)
        if key is None:
            return 0
        table = self._on.part(key).table
        sizes = self._target.database.dialect.table_sizes(self._connection, [table.name], table.schema)
        return sizes[table.name].rows * eligible // max(total, 1) if table.name in sizes else 0

    def _restored(self) -> int:
        """Restored ones are known by digest alone, so the eligible ones are walked; where there are none, not."""
        holds = self._target.holds
        if not holds.is_there(self._connection) or not holds.any_exempted(self._connection, self._now_ms):
            return 0
        work = PurgeWork(self._on, self._selection, self._target.tools, "", None)
        found = 0
        position: Position = {}
        while candidates := work.candidates(self._connection, self._going, position, LARGEST_BATCH):
            names = [candidate.name for candidate in candidates]
            found += len(holds.exempted(self._connection, names, self._now_ms))
            position = work.position_after(candidates[-1])
        return found

    def _count(self, where: sa.ColumnElement[bool]) -> int:
        query = sa.select(sa.func.count()).select_from(self._on.what.table).where(where)
        return self._connection.scalar(query) or 0


def message_part(on: Conversations) -> str | None:
    """The part whose rows are counted as messages: the one of that name, else the first child."""
    keys = [child.key for child in on.children]
    return "messages" if "messages" in keys else next(iter(keys), None)


def _fingerprint(target: PurgeTarget, on: Conversations, request: PurgeRequest, selection: Selection) -> str:
    return fingerprint(
        {
            "layout": target.layout.name,
            "rule": on.rule.model_dump(mode="json"),
            "columns": {part.table.name: sorted(part.columns) for part in (on.what, *on.children)},
            "policies": policies_json(target, request, selection.now),
            "options": request.as_json(),
        }
    )


def _warnings(target: PurgeTarget, on: Conversations, request: PurgeRequest, data: Mapping[str, Any]) -> list[Notice]:
    found = []
    if request.retention(target).undercuts:
        days = target.retention.minimum.days
        found.append(Notice("below_minimum", f"A retention shorter than the minimum of {days} days counts as that."))
    for key, what in (("without_clock", "have no last access"), ("in_future", "were last accessed in the future")):
        if data[key]:
            found.append(Notice(key, f"{data[key]:,} conversations {what}: they never go.", "Mend their clock."))
    if data["clock_index"] is None:
        found.append(
            Notice(
                "no_clock_index",
                f"No index begins with '{on.clock.name}': the run reads all {data['total']:,} conversations.",
                f"CREATE INDEX … ON {on.what.table.name} ({on.clock.name})",
            )
        )
    found += _space(target, request, data)
    return found


def _space(target: PurgeTarget, request: PurgeRequest, data: Mapping[str, Any]) -> list[Notice]:
    wanted = data["forecast"]["archive_bytes"]
    folder = next((path for path in (target.folder.path, *target.folder.path.parents) if path.is_dir()), None)
    if request.place(target) != "file" or folder is None or shutil.disk_usage(folder).free > wanted:
        return []
    message = f"The archives will take about {wanted:,} bytes, and {folder} has less."
    return [Notice("archive_space", message, "purge.archive_folder names another folder.")]
