"""Archived rows back into their tables: exactly as they were, never over what is there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, get_args

import sqlalchemy as sa

from chatctl.domain.retention import HoldKind
from chatctl.domain.sessions import StoredSession
from chatctl.errors import LayoutError, MissingEntityError
from chatctl.stores.sql.batches.work import BatchOutcome, Position
from chatctl.stores.sql.dialects import Dialect
from chatctl.stores.sql.purge.archives import Archive, Archives
from chatctl.stores.sql.purge.conversations import Conversations, Part, matching, typed
from chatctl.stores.sql.purge.holds import chat_key
from chatctl.stores.sql.purge.records import Header, Record, encoded, folded, verbatim_columns
from chatctl.stores.sql.session_archive import SessionArchive

_CHUNK = 1_000


@dataclass(frozen=True)
class Wanted:
    """Which archived conversations are meant: all of these that are given have to fit."""

    chat: str | None = None
    account: str | None = None
    user: str | None = None

    @property
    def all(self) -> bool:
        """Whether every conversation is meant."""
        return self.chat is None and self.account is None and self.user is None


@dataclass
class Restored:
    """What became of the conversations that were meant. `conflicts` are names of those that others stand in for."""

    chats: set[str] = field(default_factory=set)
    already_there: set[str] = field(default_factory=set)
    conflicts: list[str] = field(default_factory=list)

    def knows(self, name: str) -> bool:
        """Whether a newer archive of the same conversation came first."""
        return name in self.chats or name in self.already_there or name in self.conflicts


class ArchiveReader:
    """The conversations in archives, as `on` has them."""

    def __init__(self, on: Conversations, archives: Archives) -> None:
        self._on = on
        self._archives = archives

    def open(self, connection: sa.Connection, archive: Archive) -> tuple[Header, Iterator[Record]]:
        """What an archive holds. Raises IntegrityError, NotFoundError, LayoutError where it is another layout's."""
        lines = self._archives.read(connection, archive)
        header = Header.read(next(lines, ""))
        if header.layout != self._on.layout.name:
            raise LayoutError(
                f"The archive {archive.number} of run {archive.run_id} holds rows of the layout '{header.layout}'."
            )
        return header, map(Record.read, lines)

    def chosen(self, header: Header, records: Sequence[Record], wanted: Wanted) -> dict[int, str]:
        """The conversations among `records` that are meant: their number in the archive → their name."""
        if header.holds_sessions:
            return {record.conversation: str(record.values[0]) for record in records if _session_is(record, wanted)}
        what = self._on.what
        conversations = [record for record in records if record.part == what.key]
        names = {record.conversation: self._name(header, record) for record in conversations}
        if wanted.all:
            return names
        of_user = self._of_user(header, records, wanted.user) if wanted.user is not None else set(names)
        return {
            record.conversation: names[record.conversation]
            for record in conversations
            if record.conversation in of_user
            and self._is(header, record, self._on.label, wanted.chat)
            and self._is(header, record, self._on.account, wanted.account)
        }

    def is_of_user(self, header: Header, record: Record, user: str) -> bool:
        """Whether the record's own row names the user."""
        if header.holds_sessions:
            return False
        table = self._on.part(record.part).table
        if "user_id" not in table.c or table.c.user_id.name not in header.tables[record.part][1]:
            return False
        return self._is(header, record, table.c.user_id, user)

    def told(self, header: Header, record: Record) -> dict[HoldKind, str | None]:
        """What a conversation's record tells of what holds can be on; None for what it doesn't tell."""
        if header.holds_sessions:
            return _of_session(record.session)
        columns = {kind: self._on.held_column(kind) for kind in get_args(HoldKind)}
        return {
            kind: None if column is None else _text(self._value(header, record, column))
            for kind, column in columns.items()
        }

    def place_of_session(self, header: Header, record: Record) -> int | None:
        """Which of a row's values is the record of an archived session; None where there is none."""
        found = SessionArchive.record_of(self._on.layout)
        if found is None or found[0] != record.part:
            return None
        return header.tables[record.part][1].index(self._on.part(record.part).table.c[found[1]].name)

    def key(self, header: Header, record: Record) -> tuple[Any, ...]:
        """The primary key of a record's row, as values of its columns."""
        part = self._on.part(record.part)
        return tuple(typed(column, str(self._value(header, record, column))) for column in part.primary_key)

    def _name(self, header: Header, record: Record) -> str:
        return chat_key(self.key(header, record))

    def _of_user(self, header: Header, records: Sequence[Record], user: str) -> set[int]:
        for part in (self._on.what, *self._on.children):
            if "user_id" in part.table.c and part.table.c.user_id.name in header.tables[part.key][1]:
                column = part.table.c.user_id
                found = [record for record in records if record.part == part.key]
                theirs = {record.conversation for record in found if self._is(header, record, column, user)}
                return theirs - {record.conversation for record in found if not self._is(header, record, column, user)}
        mine = [record for record in records if record.part == self._on.what.key]
        return {record.conversation for record in mine if self._is(header, record, self._on.account, user)}

    def _is(self, header: Header, record: Record, column: sa.Column[Any] | None, text: str | None) -> bool:
        if text is None:
            return True
        return column is not None and str(self._value(header, record, column)) == text

    @staticmethod
    def _value(header: Header, record: Record, column: sa.Column[Any]) -> Any:
        return record.values[header.tables[record.part][1].index(column.name)]


class RestoreWork:
    """Brings back what `wanted` means of `archives`, newest first, one archive a batch.

    `protect` is told, in the batch's transaction, the names of the conversations that came back. `bring_back` puts a
    session into Redis and answers `restored`, `same` or `different`.
    """

    def __init__(
        self,
        reader: ArchiveReader,
        on: Conversations,
        dialect: Dialect,
        archives: Sequence[Archive],
        wanted: Wanted,
        protect: Callable[[sa.Connection, Sequence[str]], None],
        bring_back: Callable[[Record], str],
    ) -> None:
        self._reader = reader
        self._on = on
        self._dialect = dialect
        self._archives = archives
        self._wanted = wanted
        self._protect = protect
        self._bring_back = bring_back
        self.restored = Restored()

    def batch(self, connection: sa.Connection, bounds: Position, position: Position, size: int) -> BatchOutcome:
        """Restores the next archive."""
        done = position.get("done", 0)
        if done >= len(self._archives):
            return BatchOutcome(0, {"done": done}, True)
        header, stream = self._reader.open(connection, self._archives[done])
        records = list(stream)
        numbers = self._reader.chosen(header, records, self._wanted)
        numbers = {number: name for number, name in numbers.items() if not self.restored.knows(name)}
        after, finished = {"done": done + 1}, done + 1 >= len(self._archives)
        if header.holds_sessions:
            return self._sessions(connection, records, numbers, after, finished=finished)
        found = self._there(connection, header, [record for record in records if self._is_chosen(record, numbers)])
        missing = {number: name for number, name in numbers.items() if number not in found}
        counts = self._insert(connection, header, [record for record in records if record.conversation in missing])
        self._protect(connection, list(missing.values()))
        self.restored.chats.update(missing.values())
        self.restored.already_there.update(numbers[number] for number, same in found.items() if same)
        self.restored.conflicts += [numbers[number] for number, same in found.items() if not same]
        return BatchOutcome(len(missing), after, finished, {**counts, "restored": len(missing)})

    def committed(self, position: Position) -> None:
        """Nothing to tell."""

    def _sessions(
        self,
        connection: sa.Connection,
        records: Sequence[Record],
        numbers: Mapping[int, str],
        after: Position,
        *,
        finished: bool,
    ) -> BatchOutcome:
        chosen = [record for record in records if record.conversation in numbers]
        names = [numbers[record.conversation] for record in chosen]
        # First, so that no purge takes a session again between its return and the commit.
        self._protect(connection, names)
        outcomes = {name: self._bring_back(record) for name, record in zip(names, chosen, strict=True)}
        back = {name for name, outcome in outcomes.items() if outcome == "restored"}
        self.restored.chats |= back
        self.restored.already_there |= {name for name, outcome in outcomes.items() if outcome == "same"}
        self.restored.conflicts += [name for name, outcome in outcomes.items() if outcome == "different"]
        messages = sum(len(record.values[2]) for record in chosen if numbers[record.conversation] in back)
        counts = {"restored": len(back), f"restored_{self._on.what.key}": len(back), "restored_history": messages}
        return BatchOutcome(len(back), after, finished, counts)

    def _is_chosen(self, record: Record, numbers: Mapping[int, str]) -> bool:
        return record.part == self._on.what.key and record.conversation in numbers

    def _there(self, connection: sa.Connection, header: Header, records: Sequence[Record]) -> dict[int, bool]:
        """Conversations that are in the table already, and whether exactly so."""
        what, found = self._on.what, {}
        by_key = {self._reader.key(header, record): record for record in records}
        keys = list(by_key)
        for start in range(0, len(keys), _CHUNK):
            query = sa.select(*what.primary_key, *verbatim_columns(connection, self._dialect, what))
            mine = matching(what.primary_key, keys[start : start + _CHUNK])
            for row in connection.execute(query.select_from(what.table).where(mine)):
                values = tuple(row)
                width = len(what.primary_key)
                record = by_key.get(values[:width])
                if record is None:
                    # The database takes it for another spelling of the same key.
                    record = next(other for key, other in by_key.items() if folded(key) == folded(values[:width]))
                found[record.conversation] = self._same(header, record, what, values[width:])
        return found

    def _same(self, header: Header, record: Record, part: Part, values: Sequence[Any]) -> bool:
        archived = dict(zip(header.tables[part.key][1], record.values, strict=True))
        live = dict(zip(part.columns, values, strict=True))
        return encoded([archived]) == encoded([{name: live.get(name) for name in archived}])

    def _insert(self, connection: sa.Connection, header: Header, records: Sequence[Record]) -> dict[str, int]:
        counts = {}
        for part in (self._on.what, *self._on.children):
            columns = header.tables[part.key][1]
            if lost := set(columns) - set(part.columns):
                raise MissingEntityError(
                    f"The archive holds columns that '{part.table.name}' no longer has: {', '.join(sorted(lost))}.",
                    hint="Bring the columns back for the time of the restore.",
                )
            rows = iter(record.values for record in records if record.part == part.key)
            count = 0
            while chunk := list(islice(rows, _CHUNK)):
                connection.execute(_untyped(part, columns).insert(), [_named(values) for values in chunk])
                count += len(chunk)
            counts[f"restored_{part.key}"] = count
        return counts


def _session_is(record: Record, wanted: Wanted) -> bool:
    told = _of_session(record.session)
    meant = ((wanted.chat, told["chat"]), (wanted.user, told["user"]), (wanted.account, told["account"]))
    return all(name is None or name == value for name, value in meant)


def _of_session(stored: StoredSession) -> dict[HoldKind, str | None]:
    user, project = (_text(stored.fields.get(name)) for name in ("user_id", "project_number"))
    return {"chat": stored.id, "user": user, "account": user, "project": project}


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _untyped(part: Part, columns: Sequence[str]) -> sa.TableClause:
    """The table with columns of no type, so that the driver gets each value as it was archived."""
    listed: list[sa.ColumnClause[Any]] = [sa.column(sa.sql.quoted_name(name, quote=True)) for name in columns]
    for place, column in enumerate(listed):
        column.key = f"c{place}"
    return sa.table(part.table.name, *listed, schema=part.table.schema)


def _named(values: Sequence[Any]) -> dict[str, Any]:
    return {f"c{place}": value for place, value in enumerate(values)}
