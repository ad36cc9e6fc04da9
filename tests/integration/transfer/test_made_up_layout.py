"""A layout file for a system that chatctl has never seen works on every engine, with no code of its own."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.cli import Completed
from tests.support.transfers import execute, rows_of, write_lines

Invoke = Callable[..., Completed]

LAYOUT = """
layout: helpdesk
title: A made-up help desk
entities:
  chats:
    table: TICKET
    columns:
      id:         {name: ticket_no, type: bigint, key: true}
      user_id:    {name: caller, type: integer}
      created_at: {name: opened, type: epoch(s)}
  messages:
    table: TICKET_LINE
    columns:
      id:         {name: line_no, type: bigint, key: true}
      chat_id:    {name: ticket, type: bigint, references: chats}
      content:    {name: line_text, type: longtext}
      created_at: {name: at_second, type: epoch(s)}
      note:       {name: note, type: text(40), nullable: true, optional: true}
"""

TABLES = (
    'CREATE TABLE "TICKET" (ticket_no bigint PRIMARY KEY, caller integer NOT NULL, opened bigint NOT NULL)',
    'CREATE TABLE "TICKET_LINE" (line_no bigint PRIMARY KEY, ticket bigint NOT NULL REFERENCES "TICKET" (ticket_no),'
    " line_text text NOT NULL, at_second bigint NOT NULL)",
)


@pytest.fixture
def helpdesk(engine_url: str, invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a help desk's database, which commands work on."""
    quotes = "`" if "mysql" in engine_url else '"'
    execute(engine_url, *(table.replace('"', quotes) for table in TABLES))
    layout = tmp_path / "helpdesk.yaml"
    layout.write_text(LAYOUT)
    monkeypatch.setenv("CHATCTL_DATABASE", engine_url)
    monkeypatch.setenv("CHATCTL_LAYOUT", str(layout))
    return engine_url


def test_status_import_export_and_check(helpdesk: str, invoke: Invoke, tmp_path: Path) -> None:
    status = invoke("migrate", "status", "--output", "json").json
    assert (status["exit_code"], status["data"]["layout"], status["data"]["pending"]) == (0, "helpdesk", [])
    assert status["data"]["state"] in ("before", "after")

    tickets = ({"ticket_no": at, "caller": at * 3, "opened": 1_700_000_000 + at} for at in range(1, 21))
    lines = [
        {"line_no": at, "ticket": at % 20 + 1, "line_text": f"line {at}", "at_second": "2023-11-14T22:13:20.9Z"}
        for at in range(100)
    ]
    lines.append({"line_no": 500, "ticket": 999, "line_text": "of no ticket", "at_second": 1})
    assert invoke("import", write_lines(tmp_path / "t.jsonl", tickets), "--entity", "chats").exit_code == 0
    answer = invoke("import", write_lines(tmp_path / "l.jsonl", lines), "--output", "json").json
    assert (answer["exit_code"], answer["data"]["imported"], answer["data"]["rejected"]) == (3, 100, 1)
    assert rows_of(helpdesk, "SELECT DISTINCT at_second FROM " + _quoted(helpdesk, "TICKET_LINE")) == [(1_700_000_000,)]

    assert invoke("export", "--out", "l.csv").exit_code == 0
    assert (tmp_path / "l.csv").read_text().splitlines()[:2] == [
        "line_no,ticket,line_text,at_second", "0,1,line 0,1700000000",
    ]  # fmt: skip
    execute(helpdesk, "DELETE FROM " + _quoted(helpdesk, "TICKET_LINE"))
    assert invoke("import", "l.csv", "--output", "json").json["data"]["imported"] == 100

    check = invoke("migrate", "check", "--output", "json").json
    assert (check["exit_code"], check["data"]["ok"]) == (0, True)


@pytest.mark.parametrize(
    "engine_name",
    [
        pytest.param("mariadb", marks=pytest.mark.mysql),
        pytest.param("postgresql", marks=pytest.mark.postgresql),
    ],
    indirect=True,
)
def test_names_that_need_quotes_in_a_schema_of_their_own(engine_url: str, invoke: Invoke, tmp_path: Path) -> None:
    schema = f"crm_{uuid.uuid4().hex[:8]}"
    quotes = "`" if "mysql" in engine_url else '"'
    table = f'{schema}."order by"'.replace('"', quotes)
    layout = tmp_path / "crm.yaml"
    layout.write_text(
        "layout: crm\ntitle: A made-up CRM\nentities:\n  messages:\n    table: order by\n"
        f"    schema: {schema}\n    columns:\n      id: {{name: select, type: integer, key: true}}\n"
        "      created_at: {name: at second, type: epoch(s)}\n"
    )
    options = ("--database", engine_url, "--layout", str(layout), "--output", "json")
    assert invoke("migrate", "check", *options).exit_code == 9, "there is no such schema"
    execute(
        engine_url,
        f"CREATE SCHEMA {schema}",
        f'CREATE TABLE {table} ("select" integer PRIMARY KEY, "at second" bigint NOT NULL)'.replace('"', quotes),
    )
    try:
        assert invoke("migrate", "status", *options).json["data"]["state"] in ("before", "after")
        file = write_lines(tmp_path / "m.jsonl", [{"select": 7, "at second": 1_700_000_000}])
        assert invoke("import", file, *options).json["data"]["imported"] == 1
        assert invoke("export", *options).stdout == '{"select":7,"at second":1700000000}\n'
        assert invoke("migrate", "check", *options).exit_code == 0
        execute(engine_url, f'ALTER TABLE {table} DROP COLUMN "at second"'.replace('"', quotes))
        drift = invoke("migrate", "check", *options).json["data"]["drift"]
        assert [(item["where"], item["expected"], item["actual"]) for item in drift] == [
            ("messages.created_at", "there", None)
        ]
    finally:
        execute(engine_url, f"DROP SCHEMA {schema}{'' if 'mysql' in engine_url else ' CASCADE'}")


def test_check_finds_what_the_layout_declares_and_the_database_lacks(helpdesk: str, invoke: Invoke) -> None:
    execute(helpdesk, f"ALTER TABLE {_quoted(helpdesk, 'TICKET')} DROP COLUMN caller")
    check = invoke("migrate", "check", "--output", "json").json

    assert check["exit_code"] == 9
    assert [item["message"] for item in check["data"]["drift"]] == ["chats.user_id is missing"]


def test_there_is_nothing_to_adopt_without_revisions(helpdesk: str, invoke: Invoke) -> None:
    answer = invoke("migrate", "adopt", "--output", "json").json

    assert (answer["exit_code"], answer["errors"][0]["code"]) == (4, "revision")


def _quoted(url: str, name: str) -> str:
    return f"`{name}`" if "mysql" in url else f'"{name}"'
