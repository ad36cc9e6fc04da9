"""`purge stats`: how much is kept, how old it is, how fast it grows, and what it costs."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from chatctl.domain.instants import iso, to_epoch_ms
from chatctl.domain.result import Result
from chatctl.services.purge.planning import count_eligible, message_part
from chatctl.services.purge.target import PurgeRequest, PurgeTarget
from chatctl.stores.sql.purge.conversations import Conversations
from chatctl.stores.sql.purge.eligibility import Eligibility

#: The guide's own estimate: a conversation of four messages takes about 10 KB.
ESTIMATED_BYTES = 10_000
ESTIMATED_MESSAGES = 4

_AGES_DAYS = (1, 7, 30, 90, 365)
_GROWTH_DAYS = 30
_LISTED_ACCOUNTS = 1_000
_GIGABYTE = 1_000_000_000


def stats(target: PurgeTarget, price_per_gb_month: float, account: str | None = None) -> Result:
    """The figures of all conversations, or of one account. Reads only."""
    target.require_database()
    with target.database.connect() as connection:
        return Result(_Stats(target, connection, account).figures(price_per_gb_month))


def estimate(conversations_per_day: int, retention_days: int, price_per_gb_month: float) -> Result:
    """What so many new conversations a day come to once retention has set in. Needs no data."""
    kept = conversations_per_day * retention_days
    size = kept * ESTIMATED_BYTES
    return Result(
        {
            "estimate": True,
            "conversations_per_day": conversations_per_day,
            "retention_policy_days": retention_days,
            "total_conversations": kept,
            "messages": kept * ESTIMATED_MESSAGES,
            "bytes": size,
            "bytes_per_conversation": ESTIMATED_BYTES,
            "cost_per_month": _cost(size, price_per_gb_month),
            "price_per_gb_month": price_per_gb_month,
        }
    )


class _Stats:
    def __init__(self, target: PurgeTarget, connection: sa.Connection, account: str | None) -> None:
        self._target = target
        self._connection = connection
        self._now = target.now(connection)
        self._on: Conversations = target.conversations(connection)
        self._selection = PurgeRequest(account=account).selection(target, self._now, self._now)
        self._scope = Eligibility(self._on, self._selection, target.database.dialect).scope

    def figures(self, price: float) -> dict[str, Any]:
        total, oldest, by_age, created = self._aggregates()
        messages, size = self._messages(), self._bytes(total)
        policy = self._selection.retention.policies[0]
        per_day = created / _GROWTH_DAYS
        average = size / total if total else ESTIMATED_BYTES
        accounts, by_account = self._by_account()
        return {
            "estimate": False,
            "now": iso(to_epoch_ms(self._now)),
            "total_conversations": total,
            "oldest_conversation_age_days": self._age_days(oldest),
            "conversations_ready_to_purge": count_eligible(self._target, self._connection, self._selection),
            "retention_policy_days": policy.retention_days,
            "messages": messages,
            "bytes": size,
            "accounts": accounts,
            "by_account": by_account,
            "by_age": by_age,
            "growth": {
                "days": _GROWTH_DAYS,
                "conversations_per_day": round(per_day, 2),
                "bytes_per_day": round(per_day * average),
            },
            "forecast": {
                "bytes_in_30_days_without_purge": round(size + per_day * average * 30),
                "bytes_kept_up_with": round(per_day * average * policy.retention_days),
            },
            "cost_per_month": _cost(size, price),
            "price_per_gb_month": price,
        }

    def _aggregates(self) -> tuple[int, datetime | None, list[dict[str, Any]], int]:
        older = self._target.database.dialect.older_than
        counts = [self._sum(older(self._on.clock, self._now - timedelta(days=days))) for days in _AGES_DAYS]
        born = self._on.created
        oldest: sa.ColumnElement[Any] = sa.func.min(born) if born is not None else sa.null()
        since = self._now - timedelta(days=_GROWTH_DAYS)
        new = self._sum(born >= since) if born is not None else sa.literal(0)
        query = sa.select(sa.func.count(), oldest, new, *counts).select_from(self._on.what.table).where(self._scope)
        total, first, created, *by_bound = self._connection.execute(query).one()
        return int(total), first, _buckets(int(total), [int(count) for count in by_bound]), int(created)

    @staticmethod
    def _sum(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[Any]:
        return sa.func.coalesce(sa.func.sum(sa.case((condition, 1), else_=0)), 0)

    def _age_days(self, oldest: datetime | None) -> float | None:
        return None if oldest is None else (self._now - oldest) / timedelta(days=1)

    def _messages(self) -> int:
        key = message_part(self._on)
        if key is None:
            return 0
        child = self._on.part(key)
        source = sa.select(sa.func.count()).select_from(child.table)
        if self._selection.account is not None:
            joined = self._on.what.table.join(child.table, self._on.joined(child))
            source = sa.select(sa.func.count()).select_from(joined).where(self._scope)
        return self._connection.scalar(source) or 0

    def _bytes(self, total: int) -> int:
        names = [part.table.name for part in (self._on.what, *self._on.children)]
        sizes = self._target.database.dialect.table_sizes(self._connection, names, self._on.what.table.schema)
        size = sum(found.bytes for found in sizes.values())
        everything = sizes[self._on.what.table.name].rows if self._on.what.table.name in sizes else total
        # Of one account its share: nobody counts bytes by account.
        return size if self._selection.account is None else size * total // max(everything, total, 1)

    def _by_account(self) -> tuple[int, dict[str, int]]:
        account = self._on.account
        if account is None:
            return 0, {}
        counted = sa.func.count()
        query = sa.select(account, counted).where(self._scope).group_by(account).order_by(counted.desc(), account)
        listed = self._connection.execute(query.limit(_LISTED_ACCOUNTS))
        total = self._connection.scalar(sa.select(sa.func.count(account.distinct())).where(self._scope)) or 0
        return total, {"" if name is None else str(name): int(count) for name, count in listed}


def _buckets(total: int, older: list[int]) -> list[dict[str, Any]]:
    """Counts by age from counts of what is older than each bound."""
    bounds: list[int | None] = [0, *_AGES_DAYS, None]
    left = [total, *older, 0]
    return [
        {"from_days": bounds[place], "to_days": bounds[place + 1], "conversations": left[place] - left[place + 1]}
        for place in range(len(left) - 1)
    ]


def _cost(size: int, price_per_gb_month: float) -> float:
    return round(size / _GIGABYTE * price_per_gb_month, 4)
