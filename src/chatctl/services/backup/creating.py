"""`backup create`: SQL first, Redis second, the manifest last.

The order is the invariant: a number is counted in Redis before it is written to SQL, so a counter that is read
after the database was dumped is never behind an ID in the dump.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from chatctl import __version__
from chatctl.domain.backups import Manifest, RedisPart, SqlPart, StoredFile, manifest_bytes, new_backup_id
from chatctl.domain.result import Notice, Result
from chatctl.errors import UnfinishedRunError, UnrecognisedDatabaseError
from chatctl.observe.fail_points import fail_point
from chatctl.services.backup.parts import ENVIRONMENT_FILE, REDIS_FILE, SQL, RedisSide, System, Work
from chatctl.services.backup.redis_file import write_records
from chatctl.services.backup.sealing import Sealing
from chatctl.services.counters.evidence import gather
from chatctl.services.migrate.target import MigrationTarget
from chatctl.stores.repository import Draft
from chatctl.stores.sql.dumps import DumpOptions, dumper_for
from chatctl.stores.sql.inspection import columns_present, take_snapshot
from chatctl.stores.sql.restore_marker import RestoreMarker


@dataclass(frozen=True)
class CreateRequest:
    """What to back up and how. `tables` of None are all; `pause_writes_ms` holds Redis still for at most so long."""

    tables: Collection[str] | None = None
    portable: bool = False
    with_sql: bool = True
    jobs: int = 2
    level: int | None = None
    pause_writes_ms: int | None = None
    sealing: Sealing = field(default_factory=Sealing)
    reason: str = ""


@dataclass(frozen=True)
class RedisReading:
    """What was read of Redis: the manifest's part, and the highest number issued by scope name."""

    part: RedisPart
    issued: Mapping[str, int]


def create(system: System, work: Work, request: CreateRequest) -> Result:
    """Takes one backup; the result's data is what `backup create` answers.

    Whatever fails leaves nothing behind. Raises UnfinishedRunError where a restore into the database is unfinished,
    the errors of the servers and of the repository, and those of the engine's tool with what it said.
    """
    manifest = take(system, work, request)
    if request.pause_writes_ms is None or manifest.redis is None or manifest.redis.exact:
        return Result(summary(manifest))
    inexact = Notice(
        "pause_ended_early",
        f"{request.pause_writes_ms} ms were over before all was read: Redis may be ahead of the database.",
        "No counter is behind it. For an exact point take another one with a longer --pause-writes.",
    )
    return Result(summary(manifest), warnings=(inexact,))


def take(system: System, work: Work, request: CreateRequest) -> Manifest:
    """Takes one backup and returns its manifest."""
    _require_whole(system)
    request.sealing.check()
    started, began = datetime.now(UTC), time.monotonic()
    backup_id = new_backup_id(started, work.repository.ids())
    with work.repository.begin(backup_id) as draft, _workspace(draft, request.sealing) as folder:
        with _still(system.redis, request.pause_writes_ms) as is_still:
            sql = take_sql(system, folder, request, work) if request.with_sql else None
            reading = take_redis(system, system.redis, folder, work) if system.redis is not None else None
            exact = is_still()
        _write_environment(folder, system, request.sealing)
        files = _stored(folder, draft, request.sealing)
        finished = datetime.now(UTC)
        manifest = Manifest(
            id=draft.id,
            context=system.context,
            layout=system.target.layout.name,
            chatctl=__version__,
            started=started.isoformat(timespec="milliseconds"),
            finished=finished.isoformat(timespec="milliseconds"),
            seconds=round(time.monotonic() - began, 3),
            files=files,
            sql=sql,
            redis=replace(reading.part, exact=exact) if reading else None,
            issued=dict(reading.issued) if reading else {},
            recipients=request.sealing.recipients,
            reason=request.reason,
        )
        draft.commit(manifest_bytes(manifest, request.sealing.signer))
    return manifest


def take_sql(system: System, folder: Path, request: CreateRequest, work: Work) -> SqlPart:
    """Dumps the database below `folder`, of one consistent snapshot."""
    target = system.target
    dumper = dumper_for(target.database)
    if request.tables is not None:
        dumper.require_tables(request.tables)
    work.progress.note(f"Dumping {target.database.where}.")
    (folder / SQL).mkdir(mode=0o700)
    options = DumpOptions(request.tables, request.jobs, request.level)
    if request.portable:
        from chatctl.services.backup.portable import PortableDump  # what it needs takes a while to load

        revision, schema = _schema(target, request)
        dumped = PortableDump(target, dumper).dump(folder / SQL, options)
    else:
        # The tool is at work from the first moment on, while we look at the schema.
        with ThreadPoolExecutor(1) as pool:
            looking = pool.submit(_schema, target, request)
            dumped = dumper.dump(folder / SQL, options)
            revision, schema = looking.result()
    fail_point("backup.sql_dumped")
    return SqlPart(
        engine=target.database.dialect.name,
        server=dumped.server,
        tool=dumped.tool,
        database=target.database.where,
        revision=revision,
        complete=request.tables is None,
        portable=request.portable,
        tables=dumped.tables,
        schema=schema,
    )


def take_redis(system: System, redis: RedisSide, folder: Path, work: Work) -> RedisReading:
    """Dumps Redis below `folder`, and reads the counters last."""
    work.progress.note(f"Dumping {redis.where}.")
    databases = write_records(folder / REDIS_FILE, redis.snapshot.records())
    fail_point("backup.redis_dumped")
    standings = gather(redis, system.high_water, system.archives).standings
    counters = {each.scope.name: each.reading.number for each in standings if each.reading.number is not None}
    issued = {each.scope.name: max(each.highest, each.reading.number or 0) for each in standings}
    return RedisReading(RedisPart(redis.snapshot.version(), databases, counters, redis.clustered), issued)


def _schema(target: MigrationTarget, request: CreateRequest) -> tuple[str | None, dict[str, str]]:
    """The revision that the database is at, and its tables."""
    with target.database.connect() as connection:
        revision = _revision(target, connection, portable=request.portable)
        return revision, take_snapshot(connection, request.tables)


def _revision(target: MigrationTarget, connection: sa.Connection, *, portable: bool) -> str | None:
    """The revision that the database is at. A portable backup needs one, since revisions make its schema anew."""
    revision = target.whereabouts(connection).revision if portable else target.stamped(connection)
    if portable and revision is None:
        raise UnrecognisedDatabaseError(
            f"{target.database.where} is in no state that layout '{target.layout.name}' declares.",
            hint="chatctl migrate status lists what differs; a backup without --portable needs none.",
        )
    return revision


def layout_tables(target: MigrationTarget) -> tuple[str, ...]:
    """The tables of the layout that are there."""
    with target.database.connect() as connection:
        return tuple(sorted(columns_present(target.snapshot(connection))))


def summary(manifest: Manifest) -> dict[str, Any]:
    """The manifest as `backup create` and `backup show` answer it."""
    sql, redis = manifest.sql, manifest.redis
    return {
        "id": manifest.id,
        "context": manifest.context,
        "layout": manifest.layout,
        "chatctl": manifest.chatctl,
        "started": manifest.started,
        "finished": manifest.finished,
        "files": [asdict(file) for file in manifest.files],
        "sql": sql
        and {
            "engine": sql.engine,
            "server": sql.server,
            "tool": sql.tool,
            "revision": sql.revision,
            "complete": sql.complete,
            "portable": sql.portable,
            "rows": sql.rows,
            "fingerprints": {name: state.fingerprint for name, state in sql.tables.items()},
        },
        "redis": redis
        and {
            "server": redis.server,
            "keys": redis.keys,
            "databases": dict(redis.databases),
            "counters": dict(redis.counters),
        },
        "issued": dict(manifest.issued),
        "encrypted": bool(manifest.recipients),
        "reason": manifest.reason,
        "seconds": manifest.seconds,
    }


def hash_file(path: Path) -> str:
    """The SHA-256 of the file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _require_whole(system: System) -> None:
    unfinished = RestoreMarker(system.target.database).read()
    if unfinished is not None:
        raise UnfinishedRunError(
            f"A restore of backup {unfinished['backup']} into {system.target.database.where} is unfinished.",
            hint=f"Finish it: chatctl backup restore {unfinished['backup']} --confirm {system.context}",
        )


@contextmanager
def _still(redis: RedisSide | None, milliseconds: int | None) -> Iterator[Callable[[], bool]]:
    if redis is None:
        yield lambda: False
        return
    with redis.snapshot.writes_paused(milliseconds) as is_still:
        yield is_still


@contextmanager
def _workspace(draft: Draft, sealing: Sealing) -> Iterator[Path]:
    """Where the parts are written first: in their place, or elsewhere where only their encrypted form may lie there."""
    if not sealing.recipients:
        yield draft.folder
        return
    with tempfile.TemporaryDirectory(prefix="chatctl-backup-") as folder:
        yield Path(folder)


def _write_environment(folder: Path, system: System, sealing: Sealing) -> None:
    """The configuration; what may be a secret only where the backup is encrypted."""
    chosen = system.environment["encrypted" if sealing.recipients else "plain"]
    text = json.dumps(chosen, indent=1, sort_keys=True, ensure_ascii=False)
    (folder / ENVIRONMENT_FILE).write_text(text + "\n", encoding="utf-8")


def _stored(folder: Path, draft: Draft, sealing: Sealing) -> tuple[StoredFile, ...]:
    """Puts every file in its place in the draft, and says what it is there."""
    found = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        if sealing.recipients:
            sealed = draft.folder / f"{name}.age"
            sealed.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with path.open("rb") as source, sealed.open("xb") as target:
                sealing.encrypt(source, target)
            path.unlink()
            path, name = sealed, f"{name}.age"
        found.append(StoredFile(name, path.stat().st_size, hash_file(path)))
    return tuple(found)
