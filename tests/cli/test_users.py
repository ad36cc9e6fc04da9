"""`chatctl users`, as its users run it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.support import schemas
from tests.support.cli import Completed

Invoke = Callable[..., Completed]


def answered(invoke: Invoke, *arguments: str, stdin: str = "") -> Completed:
    answer = invoke("users", *arguments, "-o", "json", stdin=stdin)
    schemas.check(f"users {arguments[0]}", answer.json)
    return answer


def test_an_account_is_made_listed_given_a_password_and_a_token(invoke: Invoke) -> None:
    made = answered(invoke, "create", "jane", "--email", "jane@example.org", "--role", "admin").json["data"]
    assert len(made["password"]) >= 20
    (listed,) = answered(invoke, "list").json["data"]["users"]
    assert (listed["username"], listed["role"], listed["user_id"]) == ("jane", "admin", made["user_id"])
    assert "password" not in str(listed)
    changed = answered(invoke, "password", "jane", "--password-stdin", stdin="a better one\n").json
    assert changed["data"]["user_id"] == made["user_id"]
    token = answered(invoke, "token", "jane", "--for", "1h").json["data"]
    assert (token["user_id"], token["token"].count(".")) == (made["user_id"], 2)


def test_a_given_password_is_never_shown(invoke: Invoke) -> None:
    answer = answered(invoke, "create", "joe", "--id", "joe-1", "--password-stdin", stdin="hunter22 and more\n")
    assert answer.json["data"] == {
        "user_id": "joe-1", "username": "joe", "email": None, "role": "user", "password": None, "dry_run": False,
    }  # fmt: skip
    assert "hunter22" not in answer.stdout + answer.stderr


def test_a_dry_run_and_a_look_make_nothing(invoke: Invoke, tmp_path: Path) -> None:
    assert answered(invoke, "create", "jane", "--dry-run").json["data"]["password"] is None
    assert answered(invoke, "list").json["data"]["users"] == []
    assert answered(invoke, "token", "jane").exit_code == 11
    assert list(tmp_path.rglob("*.db")) == []


def test_what_cant_be_is_refused(invoke: Invoke) -> None:
    answered(invoke, "create", "jane")
    for arguments, code in (
        (["create", "jane"], 2),
        (["create", "two words"], 2),
        (["create", "joe", "--role", "root"], 2),
        (["create", "joe", "--password-stdin"], 2),
        (["password", "jane"], 2),
        (["token", "nobody"], 11),
        (["token", "jane", "--for", "soon"], 2),
    ):
        assert answered(invoke, *arguments, stdin="short\n").exit_code == code, arguments
