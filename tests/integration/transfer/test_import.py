"""Import on every engine: what is in afterwards, what is counted, what is left out and why."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.cli import Completed
from tests.support.servers import MariaDBServer, own_server
from tests.support.transfers import (
    execute,
    fingerprint,
    first_lines,
    make_tables,
    message,
    rejects_in,
    rows_of,
    write_lines,
)

from chatctl.layouts import Phase

Invoke = Callable[..., Completed]

IDS = "SELECT id FROM messages ORDER BY id"


@pytest.fixture
def mentor(engine_url: str, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a database with mentor's legacy tables, which commands work on."""
    make_tables(engine_url)
    monkeypatch.setenv("CHATCTL_DATABASE", engine_url)
    monkeypatch.setenv("CHATCTL_LAYOUT", "mentor")
    return engine_url


def test_the_sample_is_imported_with_the_counts_that_it_says(
    mentor: str, invoke: Invoke, sample: Path, tmp_path: Path
) -> None:
    answer = invoke("import", sample, "--output", "json").json

    assert answer["exit_code"] == 0
    counts = {name: answer["data"][name] for name in ("rows_read", "imported", "repeated", "rejected", "reject_file")}
    assert counts == {"rows_read": 48_131, "imported": 48_126, "repeated": 5, "rejected": 0, "reject_file": None}
    groups = 'SELECT COUNT(*) FROM (SELECT 1 FROM messages GROUP BY "userId", "mentorId") AS g'
    quoted = groups.replace('"', "`") if "mysql" in mentor else groups
    assert rows_of(mentor, quoted) == [(1_621,)]
    assert fingerprint(mentor) == _on_sqlite(invoke, sample, tmp_path)


def _on_sqlite(invoke: Invoke, file: Path, folder: Path) -> tuple[int, str]:
    """The fingerprint of the same file's rows in a SQLite database."""
    url = f"sqlite:///{folder / 'reference.db'}"
    make_tables(url)
    assert invoke("import", file, "--database", url).exit_code == 0
    return fingerprint(url)


def test_an_import_again_counts_every_row_as_repeated(mentor: str, invoke: Invoke, tmp_path: Path) -> None:
    file = write_lines(tmp_path / "m.jsonl", map(message, range(300)))
    invoke("import", file)
    before = fingerprint(mentor)
    answer = invoke("import", file, "--output", "json").json

    assert (answer["exit_code"], answer["data"]["imported"], answer["data"]["repeated"]) == (0, 0, 300)
    assert fingerprint(mentor) == before


@pytest.mark.parametrize("batch_size", ["7", "1000"])
def test_the_first_of_a_repeated_id_stays(mentor: str, invoke: Invoke, tmp_path: Path, batch_size: str) -> None:
    records = [message(number) for number in range(50)]
    records += [message(number, content="too late") for number in (3, 49)] + [message(60), message(60, content="late")]
    file = write_lines(tmp_path / "m.jsonl", records)
    data = invoke("import", file, "--batch-size", batch_size, "--output", "json").json["data"]

    assert (data["imported"], data["repeated"], data["rejected"]) == (51, 3, 0)
    assert rows_of(mentor, "SELECT id FROM messages WHERE content LIKE '%late%'") == []


def test_rows_that_do_not_fit_are_kept_with_line_and_reason_and_the_others_are_in(
    mentor: str, invoke: Invoke, tmp_path: Path
) -> None:
    broken = {"id": "x", "userId": "u", "role": "r", "createdAt": "2024-01-01T00:00:00Z"}
    file = write_lines(tmp_path / "m.jsonl", [message(1), "no JSON", message(2), broken, message(3, role="r" * 33)])
    answer = invoke("import", file, "--rejects", tmp_path / "bad.jsonl", "--output", "json").json

    assert (answer["exit_code"], answer["status"]) == (3, "partial")
    assert answer["errors"][0]["code"] == "rows_rejected"
    assert (answer["data"]["imported"], answer["data"]["rejected"]) == (2, 3)
    assert rows_of(mentor, IDS) == [("m00000001",), ("m00000002",)]
    rejects = rejects_in(tmp_path / "bad.jsonl")
    assert [(item["line"], item["reason"]) for item in rejects] == [
        (2, "is not JSON: Expecting value, column 1"),
        (4, "content is missing"),
        (5, "role is longer than 32 characters"),
    ]
    assert rejects[0]["raw"] == "no JSON"


def test_rows_that_only_the_database_refuses_are_found_one_by_one(
    engine_url: str, invoke: Invoke, tmp_path: Path
) -> None:
    make_tables(engine_url, phase=Phase.EXPAND)
    records = [message(number, chatId="nowhere" if number in (17, 18, 140) else None) for number in range(200)]
    file = write_lines(tmp_path / "m.jsonl", records)
    answer = invoke(
        "import",
        file,
        "--database",
        engine_url,
        "--layout",
        "mentor",
        "--rejects",
        tmp_path / "bad.jsonl",
        "-o",
        "json",
    ).json

    assert answer["exit_code"] == 3
    assert (answer["data"]["imported"], answer["data"]["rejected"]) == (197, 3)
    rejects = rejects_in(tmp_path / "bad.jsonl")
    assert [item["line"] for item in rejects] == [18, 19, 141]
    assert all("foreign key" in item["reason"].lower() for item in rejects)
    assert {**message(17), "chatId": "nowhere"}.items() <= json.loads(rejects[0]["raw"]).items()


@pytest.mark.parametrize("engine_name", [pytest.param("mariadb", marks=pytest.mark.mysql)], indirect=True)
def test_keys_that_only_the_database_calls_the_same_are_repeats(mentor: str, invoke: Invoke, tmp_path: Path) -> None:
    execute(mentor, "ALTER TABLE messages MODIFY id varchar(64) COLLATE utf8mb4_general_ci NOT NULL")
    ids = ["abc", "ABC", "Abc", "x", "é", "e", "abc "]
    file = write_lines(tmp_path / "m.jsonl", [message(at, id=text) for at, text in enumerate(ids)])
    data = invoke("import", file, "--output", "json").json["data"]

    assert (data["imported"], data["repeated"], data["rejected"]) == (3, 4, 0)
    assert rows_of(mentor, IDS) == [("abc",), ("é",), ("x",)]


def test_a_dry_run_says_the_same_and_writes_nothing(mentor: str, invoke: Invoke, tmp_path: Path) -> None:
    file = write_lines(tmp_path / "m.jsonl", [*map(message, range(10)), "no JSON", message(3)])
    files = set(tmp_path.iterdir())
    answer = invoke("import", file, "--dry-run", "--output", "json").json

    assert answer["exit_code"] == 3
    counts = {name: answer["data"][name] for name in ("rows_read", "imported", "repeated", "rejected")}
    assert counts == {"rows_read": 12, "imported": 10, "repeated": 1, "rejected": 1}
    assert "line 11: is not JSON" in answer["errors"][1]["message"]
    assert fingerprint(mentor)[0] == 0
    assert {path.name for path in set(tmp_path.iterdir()) - files if "reject" in path.name} == set()


def test_optional_columns_may_be_missing_in_the_database(mentor: str, invoke: Invoke, tmp_path: Path) -> None:
    execute(mentor, "ALTER TABLE messages DROP COLUMN prompt")
    file = write_lines(tmp_path / "m.jsonl", [message(1, prompt="left out", tokens=5)])
    answer = invoke("import", file, "--output", "json").json

    assert answer["exit_code"] == 0
    assert [warning["code"] for warning in answer["warnings"]] == ["unknown_fields"]
    assert "prompt (1 records)" in answer["warnings"][0]["message"]
    assert rows_of(mentor, "SELECT tokens FROM messages") == [(5,)]


def test_a_column_that_every_row_needs_is_named_where_it_is_missing(
    mentor: str, invoke: Invoke, tmp_path: Path
) -> None:
    execute(mentor, "ALTER TABLE messages DROP COLUMN content")
    answer = invoke("import", write_lines(tmp_path / "m.jsonl", [message(1)]), "--output", "json").json

    assert answer["exit_code"] == 4
    assert answer["errors"][0]["code"] == "missing_entity"
    assert "'content'" in answer["errors"][0]["message"]


def test_a_column_that_chatctl_knows_nothing_of_and_every_row_needs_is_no_silent_blank(
    mentor: str, invoke: Invoke, tmp_path: Path
) -> None:
    execute(mentor, "ALTER TABLE messages ADD COLUMN extra integer NOT NULL DEFAULT 1")
    if "sqlite" not in mentor:
        execute(mentor, "ALTER TABLE messages ALTER COLUMN extra DROP DEFAULT")
        answer = invoke("import", write_lines(tmp_path / "m.jsonl", [message(1)]), "--output", "json").json
        assert (answer["exit_code"], answer["data"]["rejected"]) == (3, 1)
        assert "extra" in rejects_in(tmp_path / "m.jsonl.rejects.jsonl")[0]["reason"]


def test_fields_of_other_names_are_mapped(mentor: str, invoke: Invoke, tmp_path: Path) -> None:
    renamed = {"author" if key == "userId" else key: value for key, value in message(1).items()}
    file = write_lines(tmp_path / "m.jsonl", [renamed])

    assert invoke("import", file, "--map", "author=user_id").exit_code == 0
    name = "`userId`" if "mysql" in mentor else '"userId"'
    assert rows_of(mentor, f"SELECT {name} FROM messages") == [("u1",)]


def test_numbers_that_the_server_hands_out_go_on_behind_the_imported_ones(
    engine_url: str, invoke: Invoke, tmp_path: Path
) -> None:
    make_tables(engine_url, "ray")
    records = [
        {"id": 41, "message": "numbered", "timestamp": "2024-01-01T00:00:00Z"},
        {"message": "not numbered", "timestamp": "2024-01-01T00:00:00Z"},
        {"id": 7, "message": "numbered too", "timestamp": "2024-01-01T00:00:00Z"},
    ]
    file = write_lines(tmp_path / "m.jsonl", records)
    answer = invoke("import", file, "--database", engine_url, "--layout", "ray", "--output", "json").json
    assert answer["data"]["imported"] == 3, answer

    execute(engine_url, "INSERT INTO conversations (message, timestamp) VALUES ('by the application', '2024-01-01')")
    ids = {text: number for number, text in rows_of(engine_url, "SELECT id, message FROM conversations")}
    assert (ids["numbered"], ids["numbered too"]) == (41, 7)
    assert ids["by the application"] > 41


def test_the_first_lines_of_the_sample_import_alike_from_stdin(
    mentor: str, invoke: Invoke, sample: Path, tmp_path: Path
) -> None:
    file = first_lines(sample, 500, tmp_path / "m.jsonl")
    data = invoke("import", "-", "--output", "json", stdin=file.read_bytes()).json["data"]

    assert (data["files"], data["imported"]) == (["-"], 500)
    assert fingerprint(mentor) == _on_sqlite(invoke, file, tmp_path)


@pytest.mark.mysql
def test_a_server_that_takes_no_load_data_is_filled_by_inserts(invoke: Invoke, tmp_path: Path) -> None:
    records = [message(number, chatId="nowhere" if number == 17 else None) for number in range(300)]
    file = write_lines(tmp_path / "m.jsonl", [*records, message(3)])
    with own_server("mysql", {"local-infile": "0"}) as server:
        assert isinstance(server, MariaDBServer)
        url = server.databases.create_database()
        make_tables(url, phase=Phase.EXPAND)
        answer = invoke("import", file, "--database", url, "--layout", "mentor", "--output", "json").json
        counts = [answer["data"][name] for name in ("imported", "repeated", "rejected")]
        assert (answer["exit_code"], counts) == (3, [299, 1, 1])
        assert rows_of(url, "SELECT content FROM messages WHERE id = 'm00000003'") == [(message(3)["content"],)]
