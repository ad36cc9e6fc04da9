"""`backup drill`: a backup counts once it has been restored into scratch servers and compared."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from chatctl.domain.backups import Manifest, RedisPart, SqlPart
from chatctl.domain.result import Outcome, Result
from chatctl.domain.session_ids import parse_scope_name
from chatctl.errors import IntegrityError
from chatctl.services.backup.parts import REDIS_FILE, SQL, RedisSide, System, Work
from chatctl.services.backup.portable import PortableDump
from chatctl.services.backup.reading import open_backup, require_intact, unpacked
from chatctl.services.backup.redis_file import read_records
from chatctl.services.backup.sealing import Opening
from chatctl.stores.repository.base import DRILL
from chatctl.stores.sql.dumps import dumper_for
from chatctl.stores.sql.dumps.base import require_same_engine
from chatctl.stores.sql.inspection import differences, take_snapshot

#: Starts an empty Redis that can read what a server of that version dumped, and names keys as a cluster if asked.
ScratchRedis = Callable[[str, bool], AbstractContextManager[RedisSide]]
Check = dict[str, Any]


def drill(
    system: System, work: Work, backup_id: str, opening: Opening, scratch_redis: ScratchRedis, *, jobs: int = 2
) -> Result:
    """Restores into a scratch database beside the system's own and into a scratch Redis, compares, drops both.

    Findings where anything differs. The date and the outcome are kept beside the backup.
    """
    opened = open_backup(work.repository, backup_id, opening)
    manifest = opened.manifest
    checks: list[Check] = []
    try:
        require_intact(work.repository, manifest)
        checks.append(_check("every byte is as the manifest says", []))
        with unpacked(work.repository, manifest, opening) as folder:
            if manifest.sql is not None:
                checks += _drill_sql(system, manifest.sql, folder, work, jobs)
            if manifest.redis is not None:
                work.progress.note("Restoring into a scratch Redis.")
                with scratch_redis(manifest.redis.server, manifest.redis.clustered) as redis:
                    checks += _drill_redis(redis, manifest, manifest.redis, folder)
    except IntegrityError as problem:
        checks.append(_check("the backup can be read", [problem.message]))
    ok = all(check["ok"] for check in checks)
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    note = {"at": at, "ok": ok, "checks": checks, "manifest": opened.digest}
    work.repository.write_note(backup_id, DRILL, json.dumps(note, indent=1).encode())
    data = {"id": backup_id, "at": at, "checks": checks, "ok": ok}
    return Result(data, Outcome.DONE if ok else Outcome.FINDINGS)


def _drill_sql(system: System, sql: SqlPart, folder: Path, work: Work, jobs: int) -> list[Check]:
    if not sql.portable:
        require_same_engine(system.target.database, sql.engine)
    work.progress.note("Restoring into a scratch database.")
    with dumper_for(system.target.database).scratch() as scratch:
        dumper = dumper_for(scratch)
        if sql.portable:
            portable = PortableDump(replace(system.target, database=scratch), dumper)
            portable.load(folder / SQL, sql.revision)
            found = portable.census()
        else:
            dumper.load(folder / SQL, elsewhere=True, jobs=jobs)
            found = dumper.census()
        with scratch.connect() as connection:
            schema = take_snapshot(connection)
    rows = [
        f"{name}: {found[name].rows if name in found else 'missing'}, expected {state.rows}"
        for name, state in sql.tables.items()
        if name not in found or found[name].rows != state.rows
    ]
    content = [
        name for name, state in sql.tables.items() if name in found and found[name].fingerprint != state.fingerprint
    ]
    surplus = [f"{name}: not expected" for name in found if name not in sql.tables]
    checks = [
        _check("sql: the tables and their rows", [*rows, *surplus]),
        _check("sql: what the rows hold", content),
    ]
    if sql.portable:
        # Its schema is the one that the layout's revisions make on this engine.
        return checks
    return [*checks, _check("sql: the schema", [str(each) for each in differences(sql.schema, schema)])]


def _drill_redis(redis: RedisSide, manifest: Manifest, part: RedisPart, folder: Path) -> list[Check]:
    loaded = redis.snapshot.load(read_records(folder / REDIS_FILE), replace=False)
    counters = {parse_scope_name(name): number for name, number in part.counters.items()}
    for scope, number in counters.items():
        redis.counters.raise_to(scope, number)
    found = sum(redis.snapshot.counted().values())
    # Keys may expire while the drill goes on; none may come from nowhere, and none may be lost otherwise.
    accounted = found + loaded.expired + loaded.repeated
    lost = part.keys - accounted
    keys = [f"{found} keys, expected {part.keys - loaded.expired - loaded.repeated}"] if lost else []
    readings = {reading.scope: reading.number for reading in redis.counters.read(list(counters))}
    wrong = [
        f"{each.name}: {readings[each]}, expected {number}"
        for each, number in counters.items()
        if readings[each] != number
    ]
    behind = [
        f"{name}: {part.counters.get(name, 0)}, but {number} was issued"
        for name, number in manifest.issued.items()
        if part.counters.get(name, 0) < number
    ]
    return [
        _check("redis: the keys", keys),
        _check("redis: the counters", wrong),
        _check("redis: no counter is behind an issued ID", behind),
    ]


def _check(name: str, problems: list[str]) -> Check:
    return {"name": name, "ok": not problems, "detail": "; ".join(problems) or None}
