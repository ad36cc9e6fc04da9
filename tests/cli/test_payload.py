"""`chatctl payload`, as its users run it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support import schemas
from tests.support.cli import Completed

from chatctl.domain.ray_messages import formatted_results, is_chat, is_project, is_user

Invoke = Callable[..., Completed]

USER = "550e8400-e29b-41d4-a716-446655440000"
IDS = {"project_id": "app-1234abcd", "chat_id": "chat-abcdef01", "user_id": USER}
OLD = {"message": "hi", "model": None, "thinking_budget": 1, "include_system": True, "use_memory": True}
NEW = {"message": "hi", "model": None, "command_results": [], **IDS}


@pytest.fixture
def lines(tmp_path: Path) -> Callable[..., Path]:
    def write(*requests: Any, name: str = "requests.jsonl") -> Path:
        file = tmp_path / name
        file.write_text("".join(f"{json.dumps(request)}\n" for request in requests))
        return file

    return write


def test_check_says_what_is_wrong_with_which_line(invoke: Invoke, lines: Callable[..., Path]) -> None:
    file = lines(NEW, OLD, [1], {**NEW, "chat_id": "chat 1"}, {**NEW, "command_results": "x"})
    answer = invoke("payload", "check", file, "-o", "json")
    schemas.check("payload check", answer.json)
    data = answer.json["data"]
    assert (answer.exit_code, data["requests"], data["valid"], data["old"]) == (9, 5, 1, 1)
    assert [problem["line"] for problem in data["problems"]] == [2, 3, 4, 5]
    assert data["problems"][0]["problems"] == [
        "Missing required fields: project_id, chat_id, user_id",
        "Fields of the old format: thinking_budget, include_system, use_memory",
    ]
    assert invoke("payload", "check", lines(NEW)).exit_code == 0


def test_upgrade_fills_what_is_missing_and_drops_what_is_old(
    invoke: Invoke, lines: Callable[..., Path], tmp_path: Path
) -> None:
    out = tmp_path / "new.jsonl"
    options = ["--project", IDS["project_id"], "--chat", IDS["chat_id"], "--user", USER, "--out", out]
    answer = invoke("payload", "upgrade", lines(OLD, {**OLD, "chat_id": "chat-00000001"}), *options, "-o", "json")
    schemas.check("payload upgrade", answer.json)
    assert (answer.exit_code, answer.json["data"]["written"], answer.json["data"]["old"]) == (0, 2, 2)
    written = [json.loads(line) for line in out.read_text().splitlines()]
    assert written == [NEW, {**NEW, "chat_id": "chat-00000001"}]
    assert invoke("payload", "check", out).exit_code == 0


def test_a_mapping_says_which_request_gets_which_ids(invoke: Invoke, lines: Callable[..., Path]) -> None:
    rules = lines(
        {"match": {"model": "a"}, "set": {**IDS, "project_id": "a-00000001"}}, {"set": IDS}, name="rules.jsonl"
    )
    answer = invoke("payload", "upgrade", lines({**OLD, "model": "a"}, OLD), "--mapping", rules)
    projects = [json.loads(line)["project_id"] for line in answer.stdout.splitlines()]
    assert projects == ["a-00000001", IDS["project_id"]]


def test_what_cant_be_upgraded_is_left_out_and_told(invoke: Invoke, lines: Callable[..., Path]) -> None:
    options = ["--project", IDS["project_id"], "--chat", IDS["chat_id"], "--user", USER]
    answer = invoke("payload", "upgrade", lines(OLD, {**OLD, "message": ""}), *options)
    assert answer.exit_code == 3
    assert len(answer.stdout.splitlines()) == 1
    assert invoke("payload", "upgrade", lines(OLD)).exit_code == 9
    assert invoke("payload", "check", "nothing.jsonl").exit_code == 11


def test_a_file_that_is_no_json_is_told_with_its_line(invoke: Invoke, tmp_path: Path) -> None:
    file = tmp_path / "bad.jsonl"
    file.write_text('{"message": "x"}\nnot json\n')
    answer = invoke("payload", "check", file, "-o", "json")
    assert answer.exit_code == 2
    assert "bad.jsonl:2" in answer.json["errors"][0]["message"]


def test_both_shapes_of_command_results_are_read_for_the_model() -> None:
    results = [
        {"command": "write", "args": ["a.py", {"mode": 1}], "ok": True, "output": "written"},
        {"command": "run", "args": [], "ok": False, "output": "", "error": "no such file"},
        {"command": "ls", "status": "success", "output": "a b", "args": ["-l", 2], "elapsed_ms": 3, "id": "1"},
        {"command": "rm", "status": "error", "output": "denied", "args": None},
        {},
    ]
    assert formatted_results(results) == (
        '✅ write a.py {"mode": 1}\nOutput: written\n\n'
        "❌ run\nError: no such file\n\n"
        "✅ ls -l 2\nOutput: a b\n\n"
        "❌ rm\nError: denied\n\n"
        "❌ unknown\nError: "
    )


def test_ids_are_told_by_their_form() -> None:
    assert all(map(is_project, ("my:app-1234abcd", "project-xyz", "d41d8cd9-8f00-b204-e980-0998ecf8427e")))
    assert not any(map(is_project, ("app", "app-1234ABCD", "app-123")))
    assert all(map(is_chat, ("chat-abcdef01", "chat-0123456789abcdef")))
    assert not any(map(is_chat, ("chat-1", "chat-abcdef012", "xchat-abcdef01")))
    assert all(map(is_user, (USER, "00000000-0000-4000-8000-000000000000", "user-0123456789ab")))
    assert not any(map(is_user, ("user-1", "550e8400-e29b-11d4-a716-446655440000", "joe")))
