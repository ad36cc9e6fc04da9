"""What a backup says of itself: the manifest, its exact bytes, and which backups a retention rule keeps.

Values only; how files are read and written is elsewhere. Standard library only.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, is_dataclass
from datetime import UTC, datetime, timedelta
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from chatctl.errors import ConfigurationError, IntegrityError

#: The format that this chatctl writes.
FORMAT = 1

_ID = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9a-f]{8}")
_ID_TIME = "%Y%m%d-%H%M%S"
_PART = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}"
_NAME = re.compile(rf"(?:{_PART}/){{0,3}}{_PART}")


def is_backup_id(text: str) -> bool:
    """Whether `text` is a backup's ID: `20261120-143455-9f3a01cd`."""
    if _ID.fullmatch(text) is None:
        return False
    try:
        begun_at(text)
    except ValueError:
        return False
    return True


def new_backup_id(moment: datetime, earlier: Sequence[str]) -> str:
    """An ID that sorts by time, and that two creators in the same second don't share.

    It comes after those of `earlier`, also where the clock was set back: the latest backup is the one taken last.
    """
    begun = max([moment, *(begun_at(backup_id) + timedelta(seconds=1) for backup_id in earlier)])
    return f"{begun.astimezone(UTC):{_ID_TIME}}-{secrets.token_hex(4)}"


def begun_at(backup_id: str) -> datetime:
    """When the backup was begun, by its ID, to the second."""
    return datetime.strptime(backup_id[:15], _ID_TIME).replace(tzinfo=UTC)


def is_file_name(text: str) -> bool:
    """Whether `text` may name a file of a backup: relative, plain, and never leading out of its folder."""
    return _NAME.fullmatch(text) is not None


@dataclass(frozen=True)
class StoredFile:
    """One file of a backup, as it lies in the repository (encrypted, where the backup is)."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class TableState:
    """A table's rows, and a fingerprint of them that the engine's dump driver makes and compares."""

    rows: int
    fingerprint: str


@dataclass(frozen=True)
class SqlPart:
    """What a backup holds of the database. `complete` is False where only some tables were asked for; a `portable`
    one holds the layout's rows in a form that every engine takes."""

    engine: str
    server: str
    tool: str
    database: str
    revision: str | None
    complete: bool
    portable: bool
    tables: Mapping[str, TableState]
    schema: Mapping[str, str]

    @property
    def rows(self) -> dict[str, int]:
        """The rows of each table."""
        return {name: state.rows for name, state in self.tables.items()}


@dataclass(frozen=True)
class RedisPart:
    """What a backup holds of Redis: keys by database number, and every counter as a plain number by its scope.

    The keys of a cluster (`clustered`) have other names than those of a single server. `exact` says that writes were
    held back from before the database was dumped until all of it was read: then both are of one point.
    """

    server: str
    databases: Mapping[str, int]
    counters: Mapping[str, int]
    clustered: bool = False
    exact: bool = False

    @property
    def keys(self) -> int:
        """All keys."""
        return sum(self.databases.values())


@dataclass(frozen=True)
class Manifest:
    """Everything that a backup says of itself. Times are ISO 8601 in UTC."""

    id: str
    context: str
    layout: str
    chatctl: str
    started: str
    finished: str
    seconds: float
    files: tuple[StoredFile, ...]
    sql: SqlPart | None
    redis: RedisPart | None
    #: The highest number that was issued in each scope, by scope name, as SQL and Redis bear witness.
    issued: Mapping[str, int] = field(default_factory=dict)
    #: The age recipients that can read the files; empty where they are not encrypted.
    recipients: tuple[str, ...] = ()
    #: Why it was taken, where nobody asked for it by itself.
    reason: str = ""

    def file(self, name: str) -> StoredFile:
        """The file called `name`; raises IntegrityError where the manifest names none."""
        for stored in self.files:
            if stored.name == name:
                return stored
        raise IntegrityError(f"Backup {self.id} has no file '{name}'.")


@dataclass(frozen=True)
class Signature:
    """An Ed25519 signature of a manifest's body, and the public key that checks it (both raw bytes)."""

    public_key: bytes
    value: bytes


def manifest_bytes(manifest: Manifest, sign: Callable[[bytes], Signature] | None = None) -> bytes:
    """The manifest as its file holds it: a line with the body's hash (and signature), then the body as JSON."""
    body = _canonical(asdict(manifest), indent=1) + b"\n"
    header: dict[str, Any] = {"format": FORMAT, "sha256": body_hash(FORMAT, body)}
    if sign is not None:
        signature = sign(body)
        header["key"] = base64.b64encode(signature.public_key).decode()
        header["signature"] = base64.b64encode(signature.value).decode()
    return _canonical(header) + b"\n" + body


def body_hash(number: int, body: bytes) -> str:
    """The hash in a manifest's first line, which covers the number of its format too. It is so in every format."""
    return hashlib.sha256(b"%d\n" % number + body).hexdigest()


def parse_manifest(data: bytes, backup_id: str) -> tuple[Manifest, Signature | None, bytes]:
    """The manifest, its signature if it bears one, and the body that was signed.

    Raises IntegrityError where any byte is not as it was written, or where the manifest is another backup's, and
    ConfigurationError where a newer chatctl wrote it. Whether a signature is good is the caller's to check.
    """
    first, _, body = data.partition(b"\n")
    try:
        header = json.loads(first)
        number = int(header["format"])
        expected = {"format": number, "sha256": body_hash(number, body)}
        signature = None
        if "signature" in header:
            signature = Signature(_exact_base64(header["key"]), _exact_base64(header["signature"]))
            expected |= {"key": header["key"], "signature": header["signature"]}
        if _canonical(expected) != first:
            raise ValueError("its hash differs")
        if number > FORMAT:
            raise ConfigurationError(
                f"Backup {backup_id} has format {number}; this chatctl knows formats up to {FORMAT}.",
                hint="Use the chatctl version that wrote it, or a newer one.",
            )
        manifest = _manifest(json.loads(body))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as problem:
        raise IntegrityError(
            f"The manifest of backup {backup_id} is damaged.", hint="Use another backup: chatctl backup list."
        ) from problem
    if manifest.id != backup_id:
        raise IntegrityError(f"The manifest in backup {backup_id} is that of backup {manifest.id}.")
    return manifest, signature, body


def _manifest(raw: Mapping[str, Any]) -> Manifest:
    sql, redis = raw["sql"], raw["redis"]
    files = tuple(StoredFile(**item) for item in raw["files"])
    names = [file.name for file in files]
    if len(set(names)) != len(names) or not all(map(is_file_name, names)) or not is_backup_id(raw["id"]):
        raise ValueError("a name that no backup has")
    tables = {name: TableState(**state) for name, state in sql["tables"].items()} if sql else {}
    manifest = Manifest(
        **{
            **raw,
            "files": files,
            "sql": SqlPart(**{**sql, "tables": tables}) if sql else None,
            "redis": RedisPart(**redis) if redis else None,
            "recipients": tuple(raw["recipients"]),
        }
    )
    moments = [datetime.fromisoformat(text) for text in (manifest.started, manifest.finished)]
    if not _fits(manifest, Manifest) or any(moment.tzinfo is None for moment in moments):
        raise ValueError("a value of a kind that no backup has")
    return manifest


def _fits(value: Any, hint: Any) -> bool:
    """Whether `value`, and all that is in it, is of the type that `hint` says."""
    inner = get_args(hint)
    if is_dataclass(hint):
        named = get_type_hints(hint).items()
        return type(value) is hint and all(_fits(getattr(value, name), each) for name, each in named)
    if isinstance(hint, UnionType):
        return any(_fits(value, each) for each in inner)
    if get_origin(hint) is tuple:
        return all(_fits(each, inner[0]) for each in value)
    if get_origin(hint) is Mapping:
        return type(value) is dict and all(_fits(each, inner[1]) for each in value.values())
    return type(value) is hint or (hint is float and type(value) is int)


def _canonical(value: Any, indent: int | None = None) -> bytes:
    separators = (",", ":") if indent is None else (",", ": ")
    return json.dumps(value, sort_keys=True, ensure_ascii=False, indent=indent, separators=separators).encode()


def _exact_base64(text: str) -> bytes:
    """The bytes that `text` stands for, in the one way of writing them."""
    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error as problem:
        raise ValueError(str(problem)) from problem
    if base64.b64encode(data).decode() != text:
        raise ValueError("not the canonical base64")
    return data


# --- retention ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class KeepRule:
    """How many backups to keep: the newest ones, and the newest of each day, week (from Monday) and month, in UTC."""

    last: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0
    #: However the rest comes out, so many are left.
    minimum: int = 1

    def kept(self, backups: Mapping[str, datetime], needed: Collection[str] = ()) -> dict[str, list[str]]:
        """The IDs to keep, each with the reasons. `backups` maps ID to the time it was begun."""
        newest_first = sorted(backups, key=lambda each: (backups[each], each), reverse=True)
        reasons: dict[str, list[str]] = {}
        for reason, count, period in self._periods():
            for backup in _newest_of_each(newest_first, backups, period)[:count]:
                reasons.setdefault(backup, []).append(reason)
        for backup in newest_first:
            if backup in needed:
                reasons.setdefault(backup, []).append("needed by a run")
        for backup in newest_first:
            if len(reasons) >= self.minimum:
                break
            reasons.setdefault(backup, ["minimum"])
        return reasons

    def _periods(self) -> Sequence[tuple[str, int, Callable[[datetime], Any]]]:
        return (
            ("last", self.last, lambda moment: None),
            ("daily", self.daily, lambda moment: moment.date()),
            ("weekly", self.weekly, lambda moment: moment.isocalendar()[:2]),
            ("monthly", self.monthly, lambda moment: (moment.year, moment.month)),
        )


def _newest_of_each(
    newest_first: Sequence[str], times: Mapping[str, datetime], period: Callable[[datetime], Any]
) -> list[str]:
    """The newest backup of each period; all of them where the period is None."""
    seen = set()
    chosen = []
    for backup in newest_first:
        mark = period(times[backup])
        if mark is None or mark not in seen:
            seen.add(mark)
            chosen.append(backup)
    return chosen
