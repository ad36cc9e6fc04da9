"""Opens backups: the manifest, every byte against it, and the files as the restore needs them.

A file is read by the manifest's name alone, and only what was hashed is handed on.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from chatctl.domain.backups import Manifest, StoredFile, is_backup_id, parse_manifest
from chatctl.domain.result import Notice, Outcome, Result
from chatctl.errors import ChatctlError, IntegrityError, NotFoundError, UsageError
from chatctl.services.backup.creating import summary
from chatctl.services.backup.sealing import Opening
from chatctl.stores.repository import Repository
from chatctl.stores.repository.base import DRILL, MANIFEST

_CHUNK = 1024 * 1024
_SEALED = ".age"
#: Stands for the newest backup among IDs.
LATEST = "latest"


@dataclass(frozen=True)
class Opened:
    """A backup whose manifest is whole (and signed as it must be)."""

    manifest: Manifest
    signed: bool
    #: The manifest file's own hash, by which a drill's record says which backup it was of.
    digest: str


def open_backup(repository: Repository, backup_id: str, opening: Opening | None = None) -> Opened:
    """Reads the manifest. Raises NotFoundError where there is no such backup, IntegrityError where it is unfinished,
    damaged, or not signed as `opening` wants it."""
    data = repository.read_note(backup_id, MANIFEST) if is_backup_id(backup_id) else None
    if data is None:
        if backup_id not in repository.ids():
            raise NotFoundError(
                f"There is no backup '{backup_id}' in {repository.where}.", hint="chatctl backup list shows them."
            )
        raise IntegrityError(
            f"Backup {backup_id} is unfinished: it has no manifest.", hint="chatctl backup prune removes it."
        )
    manifest, signature, body = parse_manifest(data, backup_id)
    (opening or Opening()).check(manifest, signature, body)
    return Opened(manifest, signature is not None, hashlib.sha256(data).hexdigest())


def resolve(repository: Repository, text: str) -> str:
    """The ID that `text` is, or the newest whole backup for `latest`; one that was taken for safety doesn't count.

    Raises NotFoundError where there is none.
    """
    if text != LATEST:
        return text
    for backup_id in reversed(repository.ids()):
        with suppress(IntegrityError):
            if not open_backup(repository, backup_id).manifest.reason:
                return backup_id
    raise NotFoundError(f"There is no backup in {repository.where}.", hint="chatctl backup create takes one.")


@dataclass(frozen=True)
class Sample:
    """Part `part` of `of` equal parts of the files, so that all are read in `of` rounds."""

    part: int = 1
    of: int = 1

    @classmethod
    def parse(cls, text: str) -> Sample:
        """The sample that `2/7` is; raises UsageError."""
        part, _, of = text.partition("/")
        if not (part.isdecimal() and of.isdecimal() and 1 <= int(part) <= int(of)):
            raise UsageError(f"'{text}' is no sample.", hint="It is n/t, such as 1/7: the first of seven parts.")
        return cls(int(part), int(of))


def verify(repository: Repository, backup_id: str, opening: Opening, sample: Sample) -> Result:
    """Compares every byte with the manifest: findings where any differs."""
    try:
        manifest = open_backup(repository, backup_id, opening).manifest
    except IntegrityError as problem:
        checks = [{"name": MANIFEST, "ok": False, "detail": problem.message}]
        return Result({"id": backup_id, "checks": checks, "ok": False}, Outcome.FINDINGS)
    checks = [{"name": MANIFEST, "ok": True, "detail": None}, *_file_checks(repository, manifest, sample)]
    ok = all(check["ok"] for check in checks)
    return Result({"id": backup_id, "checks": checks, "ok": ok}, Outcome.DONE if ok else Outcome.FINDINGS)


def require_intact(repository: Repository, manifest: Manifest) -> None:
    """Raises IntegrityError unless every file is there and every byte of it is as the manifest says."""
    for check in _file_checks(repository, manifest, Sample()):
        if not check["ok"]:
            raise IntegrityError(
                f"Backup {manifest.id} is damaged: {check['name']}: {check['detail']}.",
                hint="Nothing was changed. Use another backup: chatctl backup list.",
            )


def show(repository: Repository, backup_id: str, opening: Opening) -> Result:
    """The manifest, and the last drill."""
    opened = open_backup(repository, backup_id, opening)
    drilled = last_drill(repository, opened)
    return Result({**summary(opened.manifest), "signed": opened.signed, "drilled": drilled})


def list_backups(repository: Repository) -> Result:
    """Every backup, newest first, the unfinished and the damaged too."""
    warnings: list[Notice] = []
    rows = [_row(repository, backup_id, warnings) for backup_id in reversed(repository.ids())]
    return Result({"store": repository.where, "backups": rows}, warnings=tuple(warnings))


def last_drill(repository: Repository, opened: Opened) -> dict[str, Any] | None:
    """When the backup was last drilled and whether it came out well; None where it never was."""
    data = repository.read_note(opened.manifest.id, DRILL)
    try:
        note = json.loads(data) if data is not None else None
        if note is None or note["manifest"] != opened.digest:
            return None
        return {"at": str(note["at"]), "ok": bool(note["ok"])}
    except (ValueError, KeyError, TypeError):
        return None


@contextmanager
def unpacked(repository: Repository, manifest: Manifest, opening: Opening) -> Iterator[Path]:
    """A folder with the backup's files, decrypted, under the names that they were made with.

    The backup's own folder serves where it is on this machine and in the clear: `require_intact` has found nothing
    in it but what the manifest names. Elsewhere the files are copied, never more of them than the manifest says;
    raises IntegrityError where a byte differs.
    """
    local = repository.local(manifest.id)
    if local is not None and not manifest.recipients:
        yield local
        return
    with tempfile.TemporaryDirectory(prefix="chatctl-restore-") as name:
        folder = Path(name)
        for stored in manifest.files:
            place = folder / PurePosixPath(stored.name.removesuffix(_SEALED) if manifest.recipients else stored.name)
            place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            _copy(repository, manifest, stored, place, opening)
        yield folder


def _copy(repository: Repository, manifest: Manifest, stored: StoredFile, place: Path, opening: Opening) -> None:
    copy = place.with_name(f"{place.name}.copy")
    with repository.reading(manifest.id, stored.name) as source, copy.open("xb") as target:
        problem = _difference(stored, source, target)
    if problem is not None:
        raise IntegrityError(f"Backup {manifest.id} is damaged: {stored.name}: {problem}.")
    if not manifest.recipients:
        copy.rename(place)
        return
    with copy.open("rb") as sealed, place.open("xb") as plain:
        opening.decrypt(sealed, plain)
    copy.unlink()


def _file_checks(repository: Repository, manifest: Manifest, sample: Sample) -> list[dict[str, Any]]:
    checks = []
    for position, stored in enumerate(manifest.files):
        chosen = position % sample.of == sample.part - 1
        problem = _problem_of(repository, manifest.id, stored, whole=chosen)
        checks.append({"name": stored.name, "ok": problem is None, "detail": problem})
    strays = repository.names(manifest.id) - {stored.name for stored in manifest.files}
    checks += [{"name": name, "ok": False, "detail": "the manifest doesn't name it"} for name in sorted(strays)]
    return checks


def _problem_of(repository: Repository, backup_id: str, stored: StoredFile, *, whole: bool) -> str | None:
    try:
        size = repository.size(backup_id, stored.name)
        if size != stored.bytes:
            return f"{size} bytes, not {stored.bytes}"
        if not whole:
            return None
        with repository.reading(backup_id, stored.name) as stream:
            return _difference(stored, stream)
    except NotFoundError:
        return "missing"


def _difference(stored: StoredFile, source: BinaryIO, copy: BinaryIO | None = None) -> str | None:
    """What is wrong with the bytes, if anything; they are written to `copy` as they are read, never more of them."""
    digest, left = hashlib.sha256(), stored.bytes
    while left and (data := source.read(min(left, _CHUNK))):
        left -= len(data)
        digest.update(data)
        if copy is not None:
            copy.write(data)
    if left or source.read(1):
        return "another length than the manifest says"
    return None if digest.hexdigest() == stored.sha256 else "another content than the manifest says"


def _row(repository: Repository, backup_id: str, warnings: list[Notice]) -> dict[str, Any]:
    try:
        opened = open_backup(repository, backup_id)
    except ChatctlError as problem:
        unfinished = repository.read_note(backup_id, MANIFEST) is None
        warnings.append(Notice.of(problem))
        return {**dict.fromkeys(_COLUMNS), "id": backup_id, "state": "unfinished" if unfinished else "damaged"}
    manifest = opened.manifest
    return {
        "id": backup_id,
        "state": "complete",
        "started": manifest.started,
        "context": manifest.context,
        "layout": manifest.layout,
        "engine": manifest.sql.engine if manifest.sql else None,
        "revision": manifest.sql.revision if manifest.sql else None,
        "rows": sum(manifest.sql.rows.values()) if manifest.sql else None,
        "keys": manifest.redis.keys if manifest.redis else None,
        "bytes": sum(file.bytes for file in manifest.files),
        "encrypted": bool(manifest.recipients),
        "signed": opened.signed,
        "reason": manifest.reason,
        "drilled": last_drill(repository, opened),
    }


_COLUMNS = (
    "id", "state", "started", "context", "layout", "engine", "revision", "rows", "keys", "bytes", "encrypted",
    "signed", "reason", "drilled",
)  # fmt: skip
