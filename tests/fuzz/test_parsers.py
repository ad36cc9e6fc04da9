"""Whatever stands in a file, an ID or a token: it is read, or refused by an error with a name, and nothing else.

Hypothesis writes the input: texts that nobody would write, and good ones with something changed, left out, put in or
swapped. `CHATCTL_SOAK=1` tries 9,000 of each kind.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.support.entities import entity

from chatctl.domain import backups, session_ids
from chatctl.errors import ChatctlError
from chatctl.layouts import builtin_names, load_layout
from chatctl.services import payloads, planfile
from chatctl.services.environment import envfile
from chatctl.services.identity.tokens import Tokens
from chatctl.services.lint import parsing, statements
from chatctl.services.transfer.readers import RowSource
from chatctl.settings import load_settings
from chatctl.settings.flags import Flags

TRIES = 30 * (300 if os.environ.get("CHATCTL_SOAK") else 1)
fuzzed = settings(
    max_examples=TRIES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
pytestmark = [pytest.mark.slow, pytest.mark.timeout(7200)] if os.environ.get("CHATCTL_SOAK") else []

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
)
ENTITY = entity(
    id="text(64)", name={"type": "text(9)", "nullable": True}, at={"type": "datetime(3)", "nullable": True},
    size={"type": "integer", "nullable": True}, extra={"type": "json", "nullable": True},
)  # fmt: skip
SECRETS = ["a secret that is long enough to sign with, for tests"]


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    if isinstance(value, dict):
        return found + [deeper for key in value for deeper in _paths(value[key], (*path, key))]
    if isinstance(value, list):
        return found + [deeper for place, one in enumerate(value) for deeper in _paths(one, (*path, place))]
    return found


@st.composite
def changed(draw: st.DrawFn, good: Any) -> Any:
    """`good` (of JSON) with one to three places left out or holding something else."""
    value = json.loads(json.dumps(good))
    for _ in range(draw(st.integers(1, 3))):
        paths = _paths(value)
        if not paths:
            return value
        *way, last = draw(st.sampled_from(paths))
        holder = value
        for step in way:
            holder = holder[step]
        if draw(st.booleans()):
            holder[last] = draw(VALUES)
        elif isinstance(holder, dict):
            holder[draw(st.text(max_size=8))] = holder.pop(last)
        else:
            holder.pop(last)
    return value


@st.composite
def damaged(draw: st.DrawFn, good: bytes) -> bytes:
    """`good` with some bytes replaced by others, or by none."""
    begin = draw(st.integers(0, len(good)))
    end = min(len(good), begin + draw(st.integers(0, 8)))
    return good[:begin] + draw(st.binary(max_size=8)) + good[end:]


def read_or_refused(read: Callable[[], object]) -> None:
    """Reads, or is told why not; what is no ChatctlError fails the test."""
    with suppress(ChatctlError):
        read()


# --- layouts and configurations -----------------------------------------------------------------------------


def layout_text(name: str) -> Any:
    from importlib import resources

    return yaml.safe_load((resources.files("chatctl.layouts") / "builtin" / f"{name}.yaml").read_text())


@pytest.mark.parametrize("name", builtin_names())
@fuzzed
@given(data=st.data())
def test_layouts(tmp_path: Path, name: str, data: st.DataObject) -> None:
    file = tmp_path / "layout.yaml"
    file.write_text(yaml.safe_dump(data.draw(changed(layout_text(name)))), encoding="utf-8")
    read_or_refused(lambda: load_layout(str(file)))


CONFIGURATION = {
    "context": "here",
    "contexts": {
        "here": {
            "layout": "mentor", "database": "sqlite:///a.db", "redis": {"url": "redis://localhost/0"},
            "purge": {"days": 30, "archive": "file"}, "protected": True, "backup": {"store": "backups"},
        }
    },
}  # fmt: skip


@fuzzed
@given(content=changed(CONFIGURATION).map(lambda value: yaml.safe_dump(value).encode()) | st.binary(max_size=60))
@example(b"contexts: &a [*a]")
@example(b"contexts: " + b"[" * 5_000)
@example(
    b"a: &a [1, 1, 1]\n" + b"".join(b"%c: &%c [*%c, *%c, *%c]\n" % (n + 1, n + 1, n, n, n) for n in range(97, 120))
)
@example(b"a: !!python/object/apply:os.system [true]")
def test_configurations(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "chatctl.yaml").write_bytes(content)
    read_or_refused(lambda: load_settings(Flags(), {"HOME": str(tmp_path)}, tmp_path))


# --- plans, manifests, payloads -----------------------------------------------------------------------------

PLAN = {"chatctl_plan": 1, "command": "regroup", "data": {"fingerprint": "x", "groups": 1}}


@fuzzed
@given(content=changed(PLAN).map(lambda value: json.dumps(value).encode()) | st.binary(max_size=60))
@example(b"[" * 100_000)
@example(b'{"chatctl_plan": 1, "command": "regroup"}')
@example(b'{"chatctl_plan": 1, "command": "regroup", "data": 7}')
def test_plans(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "plan.json").write_bytes(content)
    read_or_refused(lambda: planfile.load_plan(tmp_path / "plan.json", "regroup"))


BACKUP = "20261120-143455-0123abcd"


@fuzzed
@given(content=st.binary(max_size=80) | VALUES.map(lambda value: json.dumps(value).encode()))
@example(b"[" * 100_000)
@example(b'{"body": "e30="}')
def test_manifests(content: bytes) -> None:
    read_or_refused(lambda: backups.parse_manifest(content, BACKUP))


REQUEST = {
    "message": "hi", "model": None, "project_id": "p-0123abcd", "chat_id": "chat-01234567",
    "user_id": "550e8400-e29b-41d4-a716-446655440001", "command_results": [{"command": "x", "ok": True}],
}  # fmt: skip


@fuzzed
@given(content=changed(REQUEST).map(lambda value: json.dumps(value).encode()) | st.binary(max_size=60))
@example(b"[" * 100_000)
def test_payloads(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "requests.jsonl"
    file.write_bytes(content + b"\n")
    read_or_refused(lambda: payloads.check(file))
    read_or_refused(lambda: payloads.upgrade(file, None, payloads.Ids({"user_id": "u"}), lambda _: None))
    read_or_refused(lambda: payloads.read_rules(file))


# --- import -------------------------------------------------------------------------------------------------

ROW = {"id": "1", "name": "a", "at": {"$date": "2024-01-01T00:00:00Z"}, "size": {"$numberLong": "5"}, "extra": [1]}


@pytest.mark.parametrize("ending", ["jsonl", "csv", "tsv", "json", "jsonl.gz", "csv.zst"])
@fuzzed
@given(
    content=changed(ROW).map(lambda value: json.dumps(value).encode())
    | damaged(b'id,name,size\r\n1,"a ""b""",5\r\n2,\xc3\xa9,6\r\n')
    | st.binary(max_size=80)
)
def test_import_files(tmp_path: Path, ending: str, content: bytes) -> None:
    file = tmp_path / f"rows.{ending}"
    file.write_bytes(content)

    def read() -> None:
        for chunk in RowSource.open([str(file)], ENTITY, list(ENTITY.columns), None):
            assert all(len(row) == len(ENTITY.columns) for row in chunk.rows)

    read_or_refused(read)


# --- IDs, instants, tokens ----------------------------------------------------------------------------------

IDS = st.text(max_size=40) | st.from_regex(r"[GP]-[0-9A-Z-]{1,12}-[0-9]{1,20}") | st.from_regex(r"S-.{1,20}-M-[0-9]+")


@fuzzed
@given(text=IDS)
def test_ids(text: str) -> None:
    for read in (session_ids.parse_session, session_ids.parse_message, session_ids.parse_scope,
                 session_ids.parse_scope_name):  # fmt: skip
        with suppress(ChatctlError, ValueError):
            assert str(read(text))
    session_ids.kind_of(text)
    session_ids.why_no_project(text)


@fuzzed
@given(data=st.data())
def test_tokens(data: st.DataObject) -> None:
    known = Tokens(SECRETS, "tests")
    good = known.issue("jane", "user", timedelta(hours=1)).encode()
    parts = st.lists(VALUES.map(lambda value: base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")))
    token = data.draw(damaged(good) | parts.map(b".".join) | st.binary(max_size=40))
    if token != good:
        with pytest.raises(ChatctlError):
            Tokens(SECRETS, "tests").verify(token.decode(errors="surrogateescape"))


# --- environments and SQL -----------------------------------------------------------------------------------


@fuzzed
@given(text=st.text(max_size=200) | damaged(b"A=1\n# c\nexport B=\"x y\"\nC='q'\n").map(lambda b: b.decode("latin-1")))
def test_environment_files(text: str) -> None:
    found = envfile.parse(text, ".env")
    assert found.text == text


STATEMENT = b"ALTER TABLE `chats` ADD COLUMN a VARCHAR(64) NOT NULL DEFAULT 'x', ADD INDEX (a), ALGORITHM=INSTANT;"


@fuzzed
@given(text=damaged(STATEMENT).map(lambda value: value.decode("latin-1")) | st.text(max_size=80))
def test_statements(text: str) -> None:
    for escapes in (True, False):
        for statement in statements.statements(text, "here", backslash_escapes=escapes):
            parsing.parse(statement.tokens)
