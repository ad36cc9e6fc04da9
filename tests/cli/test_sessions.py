"""`chatctl sessions`, as its users run it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import redis
from tests.support import schemas
from tests.support.cli import Cli, Completed
from tests.support.model_server import running_model
from tests.support.permissions import make_permissions

Invoke = Callable[..., Completed]


@pytest.fixture
def sessions(invoke: Invoke, redis_url: str, tmp_path: Path) -> Invoke:
    """Runs `chatctl sessions …` of the layout simorgh and checks the answer against its schema."""
    database = f"sqlite:///{tmp_path / 'chat.db'}"
    make_permissions(database, [("12345", "Industrial Plant XYZ"), ("777", "Other")], [("12345", "jane")])

    def run(command: str, *arguments: str) -> Completed:
        options = ["--layout", "simorgh", "--database", database, "--redis", redis_url, "-o", "json"]
        answer = invoke("sessions", command, *arguments, *options)
        schemas.check(f"sessions {command}", answer.json)
        return answer

    return run


@pytest.fixture
def chats(redis_url: str) -> redis.Redis:
    return redis.Redis.from_url(redis_url.rsplit("/", 1)[0] + "/1", decode_responses=True)


def test_a_general_session_is_made_at_once_and_named_later(sessions: Invoke) -> None:
    data = sessions("create", "--user", "jane", "--title", "Mine").json["data"]
    assert (data["chat_name"], data["chat_type"], data["project_name"]) == ("New conversation", "general", None)
    assert data["id"].startswith("G-")
    assert data["id"].endswith("-000001")


def test_a_project_session_is_made_where_the_user_may_enter(sessions: Invoke) -> None:
    data = sessions("create", "--user", "jane", "--project", "12345", "--page", "Panel").json["data"]
    assert (data["id"], data["project_name"], data["chat_name"]) == ("P-12345-000001", "Industrial Plant XYZ", "Panel")


@pytest.mark.parametrize(
    ("arguments", "exit_code", "message"),
    [
        (["--user", "john", "--project", "12345", "--page", "P"], 8, "Access denied for project 12345"),
        (["--user", "jane", "--project", "777", "--page", "P"], 8, "Access denied for project 777"),
        (["--user", "jane", "--project", "99999", "--page", "P"], 11, "Project ID 99999 not found in database"),
        (["--user", "jane", "--project", "12345"], 2, "needs a page name"),
        (["--user", "jane", "--page", "P"], 2, "has no page"),
        (["--user", " "], 2, "needs a user"),
    ],
)
def test_what_may_not_be_is_refused_and_nothing_is_created(
    arguments: list[str], exit_code: int, message: str, sessions: Invoke, chats: redis.Redis
) -> None:
    answer = sessions("create", *arguments)
    assert answer.exit_code == exit_code
    assert message in answer.json["errors"][0]["message"]
    assert chats.dbsize() == 0


def test_a_dry_run_creates_nothing(sessions: Invoke, chats: redis.Redis) -> None:
    data = sessions("create", "--user", "jane", "--dry-run").json["data"]
    assert (data["id"], data["dry_run"]) == (None, True)
    assert chats.dbsize() == 0


def test_sessions_are_shown_and_listed(sessions: Invoke, chats: redis.Redis) -> None:
    ids = [sessions("create", "--user", user).json["data"]["id"] for user in ("jane", "jane", "john")]
    chats.rpush(f"chat:history:{ids[0]}", '{"role": "user", "content": "Hello. How do I configure panel X?"}')
    assert sessions("show", ids[0]).json["data"]["messages"][0]["role"] == "user"
    assert [row["id"] for row in sessions("list", "--user", "jane").json["data"]["sessions"]] == [ids[1], ids[0]]
    assert sessions("list", "--limit", "1").json["data"]["total"] == 3
    (written, *_) = sessions("usage", "--user", "jane").json["data"]["usage"]
    assert (written["sessions"], written["messages"]) == (2, 1), "though the record was never counted up"
    assert sessions("title", ids[0]).json["data"]["chat_name"] == "How do I configure panel X"
    (row,) = sessions("usage", "--user", "john").json["data"]["usage"]
    assert (row["sessions"], row["archived"]) == (1, 0)


def test_the_model_that_is_configured_makes_the_title_and_without_its_answer_the_text_does(
    sessions: Invoke, chats: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = sessions("create", "--user", "jane").json["data"]["id"]
    chats.rpush(f"chat:history:{session}", '{"role": "user", "content": "Hello. How do I configure panel X?"}')
    with running_model() as model:
        monkeypatch.setenv("CHATCTL_MODEL_URL", model.url)
        model.text = '"Configuring panel X"'
        assert sessions("title", session).json["data"]["chat_name"] == "Configuring panel X"
        model.status = 400
        assert sessions("title", session).json["data"]["chat_name"] == "How do I configure panel X"


def test_a_session_that_is_nowhere_is_not_found(sessions: Invoke) -> None:
    for command in ("show", "title", "share"):
        assert sessions(command, "G-202512-000123").exit_code == 11
        assert sessions(command, "G-202513-000123").exit_code == 2


def test_guests_of_a_project_session_must_be_allowed_in_themselves(sessions: Invoke) -> None:
    project = sessions("create", "--user", "jane", "--project", "12345", "--page", "P").json["data"]["id"]
    assert sessions("share", project, "--with", "john").exit_code == 8
    general = sessions("create", "--user", "jane").json["data"]["id"]
    assert sessions("share", general, "--with", "john").json["data"]["allowed_users"] == ["john"]
    assert sessions("share", general, "--revoke", "john").json["data"]["allowed_users"] == []


def test_validate_needs_no_server_and_says_what_is_wrong(invoke: Invoke) -> None:
    answer = invoke("sessions", "validate", "G-202512-000123", "G-202513-000001", "nonsense", "-o", "json")
    schemas.check("sessions validate", answer.json)
    assert answer.exit_code == 9
    assert [(item["valid"], item["kind"]) for item in answer.json["data"]["ids"]] == [
        (True, "general"), (False, "general"), (False, None),
    ]  # fmt: skip
    assert "no month" in answer.json["data"]["ids"][1]["reason"]


def test_archiving_goes_there_and_back(sessions: Invoke, invoke: Invoke, tmp_path: Path) -> None:
    created = sessions("create", "--user", "jane").json["data"]["id"]
    assert sessions("archive", "--idle", "0s").exit_code == 4
    invoke("migrate", "up", "--layout", "simorgh", "--database", f"sqlite:///{tmp_path / 'chat.db'}", "--yes")
    assert sessions("archive", "--idle", "1d").json["data"]["archived"] == 0
    assert sessions("archive", "--idle", "0s", "--dry-run").json["run_id"] is None
    archived = sessions("archive", "--idle", "0s").json
    assert archived["data"]["archived"] == 1
    assert sessions("show", created).json["data"]["archived"] is True
    restored = sessions("archive", "--restore", created).json
    assert restored["data"]["restored"] == 1
    assert sessions("show", created).json["data"]["archived"] is False

    listed = invoke("runs", "list", "--database", f"sqlite:///{tmp_path / 'chat.db'}", "-o", "json").json
    runs = {run["run_id"]: (run["command"], run["status"]) for run in listed["data"]["runs"]}
    assert runs[archived["run_id"]] == ("sessions archive", "done")
    assert runs[restored["run_id"]] == ("sessions restore", "done")


def test_everything_works_without_any_server_or_configuration(run_cli: Cli) -> None:
    for number in (1, 2):
        answer = run_cli("sessions", "create", "--user", "jane", "-o", "json")
        assert answer.exit_code == 0, answer
        assert answer.json["data"]["id"].endswith(f"-00000{number}")
    assert run_cli("counters", "check").exit_code == 0


def test_a_redis_that_is_down_is_told(invoke: Invoke) -> None:
    answer = invoke("sessions", "list", "--redis", "redis://127.0.0.1:1/0", "-o", "json")
    assert answer.exit_code == 5
    assert "127.0.0.1:1" in answer.json["errors"][0]["message"]
