"""`sessions list` and `show` where the chats are rows: every layout that has chats and keeps no sessions in Redis."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.cli import Completed
from tests.support.purging import DAY, NOW, PurgeBed, bed

from chatctl.layouts import builtin_names, load_layout
from chatctl.stores.sql.chats import SqlChats

LAYOUTS = [
    name
    for name in builtin_names()
    if SqlChats.declared_by(load_layout(name)) and "chat_metadata" not in load_layout(name).redis
]

on_one_engine = pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)

Sessions = Callable[..., Completed]


@pytest.fixture(params=LAYOUTS)
def chats(request: pytest.FixtureRequest, engine_url: str, tmp_path: Path) -> PurgeBed:
    """Two accounts' chats in each layout in turn: `old` of three messages, and `new` of one."""
    made = bed(engine_url, request.param, tmp_path)
    made.add("old", NOW - 9 * DAY, account="a1", messages=3, created_at=NOW - 9 * DAY)
    made.add("new", NOW - DAY, account="a2", messages=1, created_at=NOW - DAY)
    made.close()
    return made


@pytest.fixture
def sessions(invoke: Callable[..., Completed], chats: PurgeBed, monkeypatch: pytest.MonkeyPatch) -> Sessions:
    monkeypatch.setenv("CHATCTL_DATABASE", chats.url)
    monkeypatch.setenv("CHATCTL_LAYOUT", chats.layout.name)
    return lambda *arguments: invoke("--output", "json", "sessions", *arguments)


def test_the_layouts_are_those_that_are_known() -> None:
    assert LAYOUTS == ["mentor", "ray", "worker"]


def test_chats_are_listed_newest_first_with_their_messages_counted(sessions: Sessions, chats: PurgeBed) -> None:
    data = sessions("list").json["data"]
    assert data["total"] == 2
    assert [row["message_count"] for row in data["sessions"]] == [1, 3]
    assert data["sessions"][0]["created_at"] == (NOW - DAY).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    assert [row["message_count"] for row in sessions("list", "--offset", "1").json["data"]["sessions"]] == [3]
    assert len(sessions("list", "--limit", "1").json["data"]["sessions"]) == 1


@on_one_engine
def test_a_chat_is_shown_with_its_messages_in_order(sessions: Sessions, chats: PurgeBed) -> None:
    name = sessions("list").json["data"]["sessions"][1]["id"]
    shown = sessions("show", name).json["data"]
    assert shown["id"] == name
    assert len(shown["messages"]) == 3
    instants = [message["created_at"] for message in shown["messages"]]
    assert instants == sorted(instants)
    assert instants[0].startswith((NOW - 9 * DAY).isoformat()[:10])
    assert sessions("show", "nobody-called-it-so").exit_code == 11


@on_one_engine
def test_a_user_or_project_that_chats_do_not_tell_is_named(sessions: Sessions, chats: PurgeBed) -> None:
    columns = chats.layout.entities["chats"].columns
    for option, column in (("--user", "user_id"), ("--project", "project_id")):
        answer = sessions("list", option, "a1")
        assert answer.exit_code == (0 if column in columns else 4), answer
        if column in columns:
            assert [row["message_count"] for row in answer.json["data"]["sessions"]] == [3]
