"""Mistakes in files, variables and flags: each is answered with its place and what was expected."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.settings.conftest import Load

from chatctl.errors import ConfigurationError

Write = Callable[[str], Path]

CANARY = "canary-7f3a"


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("contex: a\n", "chatctl.yaml:1: contex: no such key.", "Did you mean 'context'?"),
        ("database: x\n", "chatctl.yaml:1: database: no such key.", "Known keys here: context, contexts."),
        (
            "contexts:\n  a:\n    layout: ray\n    databse: x\n",
            "chatctl.yaml:4: contexts.a.databse: no such key.",
            "Did you mean 'database'?",
        ),
        (
            "contexts:\n  a:\n    redis:\n      # a comment\n      chatdb: 1\n",
            "chatctl.yaml:5: contexts.a.redis.chatdb: no such key.",
            "Did you mean 'chat_db'?",
        ),
        (
            "contexts:\n  a:\n    journal: {schemas: x}\n",
            "chatctl.yaml:3: contexts.a.journal.schemas: no such key.",
            "Did you mean 'schema'?",
        ),
        ("contexts:\n  a: ray\n", "chatctl.yaml:2: contexts.a: expected keys and values, found a text.", None),
        (
            "contexts:\n  a:\n    redis: [1]\n",
            "chatctl.yaml:3: contexts.a.redis: expected keys and values, found a list.",
            None,
        ),
        (
            "contexts:\n  a:\n    layout: 5\n",
            "chatctl.yaml:3: contexts.a.layout: Input should be a valid string.",
            None,
        ),
        (
            "contexts:\n  a:\n    database: 5\n",
            "chatctl.yaml:3: contexts.a.database: expected a text, found a number.",
            None,
        ),
        (
            f"contexts:\n  a:\n    database: {{password: {CANARY}}}\n",
            "chatctl.yaml:3: contexts.a.database: expected a text, found keys and values.",
            None,
        ),
        (
            "contexts:\n  a:\n    protected: perhaps\n",
            "chatctl.yaml:3: contexts.a.protected: Input should be a valid boolean, unable to interpret input.",
            None,
        ),
        (
            "contexts:\n  a:\n    purge:\n      retention_days: yes\n",
            "chatctl.yaml:4: contexts.a.purge.retention_days: expected a number, found true or false.",
            None,
        ),
        (
            "contexts:\n  a:\n    purge:\n      retention_days: 0\n",
            "chatctl.yaml:4: contexts.a.purge.retention_days: Input should be greater than or equal to 1.",
            None,
        ),
        (
            "contexts:\n  a:\n    purge:\n\n      archive: tape\n",
            "chatctl.yaml:5: contexts.a.purge.archive: Input should be 'file', 'table' or 'none'.",
            None,
        ),
        (
            "contexts:\n  a:\n    redis: {chat_db: -1}\n",
            "chatctl.yaml:3: contexts.a.redis.chat_db: Input should be greater than or equal to 0.",
            None,
        ),
        (
            f"contexts:\n  a:\n    redis:\n      url: redsi://:{CANARY}@h\n",
            "chatctl.yaml:4: contexts.a.redis.url: expected a URL that starts with one of redis, rediss, unix,"
            " redis+sentinel, rediss+sentinel, redis+cluster, rediss+cluster, found 'redsi' (did you mean redis?).",
            None,
        ),
        ("contexts: {a: {}, a: {}}\n", "chatctl.yaml:1: the key 'a' stands here twice.", None),
        (f"a: 'it's {CANARY}'\n", "chatctl.yaml:1: not YAML: expected <block end>, but found '<scalar>'.", None),
        ("a: 2026-13-45\n", "chatctl.yaml: not YAML: month must be in 1..12.", None),
        ("- a\n", "chatctl.yaml:1: expected keys and values, found list.", None),
    ],
)
def test_a_mistake_in_a_file_is_answered_with_its_line(
    text: str, message: str, hint: str | None, load: Load, project: Write
) -> None:
    project(text)
    with pytest.raises(ConfigurationError) as caught:
        load()
    assert caught.value.message == message
    assert caught.value.hint == hint
    assert CANARY not in "".join(traceback.format_exception(caught.value))


def test_every_mistake_is_named_at_once(load: Load, project: Write) -> None:
    project("contexts:\n  a:\n    databse: x\n    redis: {chat_db: x}\n")
    with pytest.raises(ConfigurationError) as caught:
        load()
    assert [line.split(": ")[0] for line in caught.value.message.splitlines()] == ["chatctl.yaml:4", "chatctl.yaml:3"]


@pytest.mark.parametrize(
    ("flags", "variables", "message"),
    [
        ({"database": f"mysq://u:{CANARY}@h/c"}, {}, "flag --database: expected a URL that starts with one of"),
        ({"redis": "nowhere"}, {}, "flag --redis: expected a URL such as redis://"),
        ({}, {"CHATCTL_REDIS_CHAT_DB": "one"}, "CHATCTL_REDIS_CHAT_DB: Input should be a valid integer"),
        ({}, {"CHATCTL_PURGE_ARCHIVE": "tape"}, "CHATCTL_PURGE_ARCHIVE: Input should be 'file', 'table' or 'none'."),
        ({}, {"CHATCTL_JOURNAL_SCHEMA": "a b"}, "CHATCTL_JOURNAL_SCHEMA: String should match pattern"),
        ({}, {"REDIS_CHAT_DB": "one"}, "REDIS_CHAT_DB: Input should be a valid integer"),
        (
            {},
            {"MYSQL_HOST": "h", "MYSQL_USER": "u", "MYSQL_PASSWORD": CANARY, "MYSQL_DATABASE": "d", "MYSQL_PORT": "x"},
            "MYSQL_*: expected a port between 1 and 65535",
        ),
    ],
)
def test_a_mistake_in_a_flag_or_variable_is_answered_with_its_name(
    flags: dict[str, str], variables: dict[str, str], message: str, load: Load
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(variables, **flags)
    assert caught.value.message.startswith(message)
    assert CANARY not in "".join(traceback.format_exception(caught.value))


def test_a_file_that_config_names_must_be_there(load: Load, folder: Path) -> None:
    for settings in (lambda: load(config="gone.yaml"), lambda: load({"CHATCTL_CONFIG": "gone.yaml"})):
        with pytest.raises(ConfigurationError, match=r"^gone.yaml: can't be read: No such file or directory\.$"):
            settings()
    (folder / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match=r"^binary.yaml: can't be read: it isn't UTF-8\.$"):
        load(config="binary.yaml")


def test_a_mistake_in_the_users_own_file_names_that_file(load: Load, user: Write) -> None:
    path = user("contexts:\n  a:\n    layuot: ray\n")
    with pytest.raises(ConfigurationError) as caught:
        load()
    assert caught.value.message == f"{path}:3: contexts.a.layuot: no such key."
