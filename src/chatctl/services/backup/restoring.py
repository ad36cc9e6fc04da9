"""`backup restore`: verify every byte, mark, replace, compare, raise counters, take the mark away.

From the mark on the database says of itself that it is half restored, until everything has been compared. A kill
before the mark leaves the old state; a kill after it leaves a state that repeating the command finishes, and from
which the safety backup leads back. Counters are raised to the highest number that the live system, the backup or
the restored rows bear witness to; none is ever lowered.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from chatctl.domain.backups import Manifest
from chatctl.domain.result import Notice, Result
from chatctl.domain.session_ids import parse_scope_name
from chatctl.errors import (
    ChatctlError,
    ConfigurationError,
    IntegrityError,
    LockedError,
    NotFoundError,
    RefusedError,
    UnfinishedRunError,
    UsageError,
)
from chatctl.observe.fail_points import fail_point
from chatctl.services.backup.creating import CreateRequest, take
from chatctl.services.backup.parts import REDIS_FILE, SQL, RedisSide, System, Work
from chatctl.services.backup.portable import PortableDump
from chatctl.services.backup.reading import open_backup, require_intact, unpacked
from chatctl.services.backup.redis_file import read_records
from chatctl.services.backup.sealing import Opening, Sealing
from chatctl.services.counters.evidence import gather
from chatctl.services.migrate.applying import SCHEMA_LOCK
from chatctl.stores.sql.dumps import dumper_for
from chatctl.stores.sql.dumps.base import require_same_engine
from chatctl.stores.sql.journal import RunStatus
from chatctl.stores.sql.restore_marker import RestoreMarker

_PARTS = ("sql", "redis")


@dataclass(frozen=True)
class RestoreRequest:
    """What to restore. `elsewhere` says that the system isn't the one that was backed up.

    `note` is kept in the mark while the restore is unfinished; `finishing` is called just before the mark goes.
    """

    backup_id: str
    parts: Collection[str] = _PARTS
    tables: tuple[str, ...] | None = None
    elsewhere: bool = False
    safety_backup: bool = True
    jobs: int = 2
    opening: Opening = field(default_factory=Opening)
    note: Mapping[str, Any] | None = None
    finishing: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class RestorePlan:
    """What a restore would do to the system as it is now."""

    manifest: Manifest
    parts: tuple[str, ...]
    tables: tuple[str, ...]
    #: The tables that are there and would go.
    replaces: tuple[str, ...]
    replaces_keys: bool
    #: What an unfinished restore knew when it began; None where there is none.
    unfinished: Mapping[str, Any] | None

    @property
    def loses_data(self) -> bool:
        """Whether anything is there that would be replaced."""
        return bool(self.replaces) or self.replaces_keys

    def as_json(self) -> dict[str, Any]:
        """The plan as `backup restore --dry-run` answers it."""
        return {
            "id": self.manifest.id,
            "taken": self.manifest.started,
            "parts": list(self.parts),
            "tables": list(self.tables),
            "replaces": list(self.replaces),
            "replaces_keys": self.replaces_keys,
            "resumes": self.unfinished is not None,
        }


def plan(system: System, work: Work, request: RestoreRequest) -> RestorePlan:
    """Reads the backup whole and looks at the system; changes nothing.

    Raises IntegrityError where a byte of the backup isn't as it was written, UnfinishedRunError where another restore
    stands unfinished (of another backup, or of other parts of this one), and what keeps this one from fitting.
    """
    manifest = open_backup(work.repository, request.backup_id, request.opening).manifest
    parts = _parts(system, manifest, request)
    work.progress.note(f"Reading backup {manifest.id} from {work.repository.where}.")
    require_intact(work.repository, manifest)
    unfinished = RestoreMarker(system.target.database).read()
    if unfinished is not None:
        _require_the_same(system, unfinished, manifest, parts, request)
    tables: tuple[str, ...] = ()
    replaces: tuple[str, ...] = ()
    if "sql" in parts:
        tables, replaces = _tables(system, manifest, request)
    keys = "redis" in parts and system.redis is not None and system.redis.snapshot.occupied()
    return RestorePlan(manifest, parts, tables, replaces, keys, unfinished)


def restore(system: System, work: Work, request: RestoreRequest, agree: Callable[[RestorePlan], None]) -> Result:
    """Restores; `agree` is asked before anything changes, and raises where nobody agrees.

    Raises what `plan` raises, LockedError where a migration or another restore holds the database, and what the
    engine's tool says where it fails: the hint then tells how to go on and how to go back.
    """
    with _locked(system):
        planned = plan(system, work, request)
        agree(planned)
        return _Restore(system, work, request, planned).run()


class _Restore:
    """One restore, from the plan on."""

    def __init__(self, system: System, work: Work, request: RestoreRequest, planned: RestorePlan) -> None:
        self._system = system
        self._work = work
        self._request = request
        self._plan = planned
        self._marker = RestoreMarker(system.target.database)

    def run(self) -> Result:
        """Every step; each may be repeated."""
        safety = self._safety_backup()
        issued = self._issued_before()
        note = self._request.note or (self._plan.unfinished or {}).get("note")
        self._marker.write(
            {
                "backup": self._plan.manifest.id,
                "parts": list(self._plan.parts),
                "tables": self._request.tables,
                "safety_backup": safety,
                "issued": issued,
                "note": note,
            }
        )
        fail_point("restore.marked")
        try:
            with unpacked(self._work.repository, self._plan.manifest, self._request.opening) as folder:
                if "sql" in self._plan.parts:
                    self._restore_sql(folder / SQL)
                keys = self._restore_redis(folder / REDIS_FILE) if "redis" in self._plan.parts else None
            raised = self._raise_counters(issued)
            fail_point("restore.raised")
            self._request.finishing()
            self._marker.remove()
        except ChatctlError as problem:
            raise self._with_way_on(problem, safety) from problem
        fail_point("restore.finished")
        return self._result(safety, keys, raised)

    def _safety_backup(self) -> str | None:
        """Takes what is there before it goes; a restore that was begun has done so already."""
        if self._plan.unfinished is not None:
            taken: str | None = self._plan.unfinished["safety_backup"]
            return taken
        if not self._request.safety_backup or not self._plan.loses_data:
            return None
        self._work.progress.note("Taking a safety backup of what is there.")
        sealing = Sealing(self._plan.manifest.recipients)
        reason = f"before a restore of {self._plan.manifest.id}"
        with_sql = bool(self._plan.replaces)
        return take(self._system, self._work, CreateRequest(with_sql=with_sql, sealing=sealing, reason=reason)).id

    def _issued_before(self) -> dict[str, int]:
        """The highest number issued in each scope, as the system knew it before anything was replaced."""
        found = dict(self._plan.unfinished["issued"]) if self._plan.unfinished is not None else {}
        return _highest(found, self._issued_now())

    def _issued_now(self) -> dict[str, int]:
        if self._system.redis is None:
            return dict(self._system.high_water.issued()) if self._system.target.database.exists else {}
        standings = gather(self._system.redis, self._system.high_water, self._system.archives).standings
        return {each.scope.name: max(each.highest, each.reading.number or 0) for each in standings}

    def _restore_sql(self, folder: Any) -> None:
        dumper = dumper_for(self._system.target.database)
        chosen = self._request.tables
        self._work.progress.note(f"Restoring {self._system.target.database.where}.")
        sql = self._plan.manifest.sql
        assert sql is not None
        portable = PortableDump(self._system.target, dumper) if sql.portable else None
        if portable is not None:
            dumper.empty()
        else:
            dumper.clear(chosen)
        fail_point("restore.cleared")
        if portable is not None:
            portable.load(folder, sql.revision)
        else:
            dumper.load(folder, tables=chosen, elsewhere=self._request.elsewhere, jobs=self._request.jobs)
        fail_point("restore.loaded")
        found = portable.census() if portable is not None else dumper.census(chosen)
        for name in self._plan.tables:
            if found.get(name) != sql.tables[name]:
                raise IntegrityError(f"After the restore '{name}' isn't what was backed up.")

    def _restore_redis(self, file: Any) -> int:
        assert self._system.redis is not None
        snapshot = self._system.redis.snapshot
        self._work.progress.note(f"Restoring {self._system.redis.where}.")
        snapshot.clear()
        return snapshot.load(read_records(file), replace=True).restored

    def _raise_counters(self, before: Mapping[str, int]) -> list[dict[str, Any]]:
        """To the highest number that anybody bears witness to."""
        manifest = self._plan.manifest
        counted = manifest.redis.counters if manifest.redis else {}
        highest = _highest(before, manifest.issued, counted, self._issued_now())
        if self._system.redis is None or not highest:
            return []
        raised = []
        for name, number in sorted(highest.items()):
            if not number:
                continue
            scope = parse_scope_name(name)
            outcome = self._system.redis.counters.raise_to(scope, number)
            if outcome is None:
                raise IntegrityError(
                    f"The counter of {name} holds no count and can't be raised.",
                    hint=f"chatctl counters repair {name} --to {number}, then run the restore again.",
                )
            if outcome.changed:
                raised.append({"scope": name, "from": outcome.before, "to": int(outcome.after)})
        self._system.high_water.prepare()
        self._system.high_water.observe({name: number for name, number in highest.items() if number})
        return raised

    def _with_way_on(self, problem: ChatctlError, safety: str | None) -> ChatctlError:
        way_back = f" Back to what was there: chatctl backup restore {safety}." if safety else ""
        hint = f"{problem.hint or ''} The same command goes on; until then it is half restored.{way_back}"
        return type(problem)(problem.message, hint=hint.strip())

    def _result(self, safety: str | None, keys: int | None, raised: list[dict[str, Any]]) -> Result:
        sql = self._plan.manifest.sql
        rows = {name: sql.tables[name].rows for name in self._plan.tables} if sql else {}
        data = {
            **self._plan.as_json(),
            "safety_backup": safety,
            "rows": rows,
            "keys": keys,
            "raised": raised,
        }
        return Result(data, run_id=self._record(data), warnings=self._warnings())

    def _record(self, data: Mapping[str, Any]) -> str | None:
        """Writes the restore into the journal that is there now; one that the backup had none of isn't made."""
        target = self._system.target
        with target.database.connect() as connection:
            if not target.journal.exists(connection):
                return None
        options = {"id": data["id"], "parts": data["parts"], "tables": list(self._request.tables or ())}
        with target.database.begin() as connection:
            runs = target.journal.runs
            run = runs.start(connection, "backup restore", target.layout.name, "system", options)
            totals = {"safety_backup": data["safety_backup"], "rows": sum(data["rows"].values()), "keys": data["keys"]}
            runs.finish(connection, run.id, RunStatus.DONE, totals)
        return run.id

    def _warnings(self) -> tuple[Notice, ...]:
        if "sql" in self._plan.parts and self._system.redis is None and self._plan.manifest.redis is not None:
            return (
                Notice(
                    "counters_untouched",
                    "Redis was left as it is: a counter may be behind an ID that was restored.",
                    "chatctl counters check",
                ),
            )
        return ()


@contextmanager
def _locked(system: System) -> Iterator[None]:
    """Keeps migrations and other restores out, by the lock that they take, without a table that the restore drops."""
    database = system.target.database
    name = f"chatctl_{SCHEMA_LOCK}"
    with database.translating(), database.engine.connect() as connection:
        free = database.dialect.try_lock(connection, name)
        connection.rollback()
        if not free:
            raise LockedError(f"{database.where} is being migrated or restored by another chatctl.")
        try:
            yield
        finally:
            connection.rollback()
            database.dialect.unlock(connection, name)
            connection.rollback()


def _require_the_same(
    system: System, unfinished: Mapping[str, Any], manifest: Manifest, parts: tuple[str, ...], request: RestoreRequest
) -> None:
    """Only the same restore takes the mark away, or going back to its safety backup: all that it touched."""
    begun = (tuple(unfinished["parts"]), unfinished["tables"] and set(unfinished["tables"]))
    asked = (parts, request.tables and set(request.tables))
    reaches = set(parts) >= set(begun[0]) and asked[1] in (None, begun[1])
    if manifest.id == unfinished["backup"] and asked == begun:
        return
    if manifest.id == unfinished["safety_backup"] and reaches:
        return
    only = {("sql",): " --sql-only", ("redis",): " --redis-only"}.get(begun[0], "")
    options = f" --tables {','.join(unfinished['tables'])}" if begun[1] else only
    back = unfinished["safety_backup"]
    raise UnfinishedRunError(
        f"A restore of backup {unfinished['backup']} into {system.target.database.where} is unfinished.",
        hint=f"Finish it: chatctl backup restore {unfinished['backup']}{options}."
        + (f" Or go back to its safety backup {back}." if back else ""),
    )


def _parts(system: System, manifest: Manifest, request: RestoreRequest) -> tuple[str, ...]:
    held = {"sql": manifest.sql is not None, "redis": manifest.redis is not None}
    able = {"sql": True, "redis": system.redis is not None}
    parts = tuple(part for part in _PARTS if part in request.parts and held[part] and able[part])
    if "redis" in parts and system.redis is not None and manifest.redis is not None:
        _require_same_names(system.redis, manifest)
    if not parts:
        raise NotFoundError(f"Backup {manifest.id} holds nothing of what is to be restored.")
    return parts


def _require_same_names(redis: RedisSide, manifest: Manifest) -> None:
    assert manifest.redis is not None
    if redis.clustered != manifest.redis.clustered:
        of, into = ("a cluster", "a single server") if manifest.redis.clustered else ("a single server", "a cluster")
        raise ConfigurationError(
            f"Backup {manifest.id} is of {of}, and {redis.where} is {into}: keys are named differently there.",
            hint="--sql-only restores the database; chatctl counters repair then raises the counters.",
        )


def _tables(system: System, manifest: Manifest, request: RestoreRequest) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The tables to restore, and those of what is there that would go."""
    sql = manifest.sql
    assert sql is not None
    if not sql.portable:
        require_same_engine(system.target.database, sql.engine)
    elif request.tables is not None:
        raise UsageError("A portable backup is restored whole.")
    present = dumper_for(system.target.database).occupied()
    if request.tables is None:
        if not sql.complete:
            raise UsageError(
                f"Backup {manifest.id} holds only some tables.", hint=f"Name them: --tables {','.join(sql.tables)}"
            )
        return tuple(sql.tables), tuple(present)
    missing = sorted(set(request.tables) - set(sql.tables))
    if missing:
        raise NotFoundError(f"Backup {manifest.id} has no table {', '.join(missing)}.")
    _require_unreferenced(system, request.tables)
    return request.tables, tuple(name for name in request.tables if name in present)


def _require_unreferenced(system: System, tables: Collection[str]) -> None:
    """Rows of other tables must not lose what they refer to."""
    with system.target.database.connect() as connection:
        snapshot = system.target.snapshot(connection)
    for path, text in snapshot.items():
        child, is_key, _ = path.partition(" foreign key ")
        parent = text.partition(" ")[0]
        if is_key and parent in tables and child not in tables:
            raise RefusedError(
                f"'{child}' refers to '{parent}', which would be replaced without it.",
                hint=f"Restore both: --tables {','.join([*tables, child])}",
            )


def _highest(*sources: Mapping[str, int]) -> dict[str, int]:
    found: dict[str, int] = {}
    for source in sources:
        for name, number in source.items():
            found[name] = max(number, found.get(name, 0))
    return found
