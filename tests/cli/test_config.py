"""`chatctl config show` and `chatctl config check`, as their users run them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support import schemas
from tests.support.cli import Cli, Completed

Invoke = Callable[..., Completed]

CANARY = "canary-7f3a"

LAYOUT = (
    "layout: mine\ntitle: Mine\nentities: {chats: {table: c, columns: {id: {name: id, type: integer, key: true}}}}\n"
)
GOOD = f"""\
contexts:
  default:
    layout: ./mine.yaml
    database: mysql://root:{CANARY}@h/chat
    serve: {{jwt_secret: {CANARY}}}
"""


@pytest.fixture(autouse=True)
def _files(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(LAYOUT)
    (tmp_path / "chatctl.yaml").write_text(GOOD)


@pytest.mark.parametrize("output", ["table", "json", "yaml", "csv"])
def test_show_says_where_each_value_came_from_and_no_secret(output: str, run_cli: Cli) -> None:
    answer = run_cli("config", "show", "--source", "--output", output, "--redis", f"redis://:{CANARY}@h", "--verbose")
    assert answer.exit_code == 0
    assert CANARY not in str(answer.stdout + answer.stderr)
    assert "mysql://root:***@h/chat" in answer.stdout
    assert "chatctl.yaml:4" in answer.stdout
    assert "flag --redis" in answer.stdout
    if output == "json":
        schemas.check("config show", answer.json)


def test_show_as_csv_is_one_line_a_setting(invoke: Invoke) -> None:
    lines = invoke("config", "show", "-o", "csv").stdout.split("\r\n")
    assert lines[0] == "key,value"
    assert "serve.jwt_secret,***" in lines


def test_a_password_in_a_flag_is_warned_of_once(invoke: Invoke) -> None:
    answer = invoke("config", "show", "--database", f"mysql://u:{CANARY}@h/c", "--output", "json")
    schemas.check("config show", answer.json)
    assert [warning["code"] for warning in answer.json["warnings"]] == ["password_in_flag"]
    assert "CHATCTL_DATABASE" in answer.json["warnings"][0]["hint"]


def test_check_passes_a_good_configuration(invoke: Invoke) -> None:
    answer = invoke("config", "check", "--output", "json")
    assert answer.exit_code == 0
    schemas.check("config check", answer.json)
    assert answer.json["data"]["ok"] is True


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD.replace("database:", "databse:"), "chatctl.yaml:4: contexts.default.databse: no such key."),
        (GOOD.replace("mysql:", "mysq:"), "chatctl.yaml:4: contexts.default.database: expected a URL that starts"),
        (GOOD.replace("./mine.yaml", "mentr"), "chatctl.yaml:3: layout: No layout is called 'mentr'."),
        (GOOD.replace(f"t: {CANARY}", "t: file:gone"), "chatctl.yaml:5: serve.jwt_secret: the file"),
        (GOOD + f"  x: {CANARY}: {CANARY}\n", "chatctl.yaml:6: not YAML: mapping values are not allowed here."),
    ],
)
@pytest.mark.parametrize("verbose", [(), ("--verbose",)])
def test_check_answers_a_mistake_with_its_line_and_exit_4(
    text: str, message: str, verbose: tuple[str, ...], invoke: Invoke, tmp_path: Path
) -> None:
    (tmp_path / "chatctl.yaml").write_text(text)
    answer = invoke("config", "check", "--output", "json", *verbose)
    assert answer.exit_code == 4
    schemas.check("config check", answer.json)
    assert answer.json["errors"][0]["message"].startswith(message)
    assert CANARY not in str(answer.stdout + answer.stderr)


def test_an_unknown_context_exits_4_and_names_those_there_are(invoke: Invoke) -> None:
    answer = invoke("config", "show", "--context", "prod", "--output", "json")
    assert answer.exit_code == 4
    assert answer.json["errors"][0]["hint"] == "There is: default."
