"""What is exported and imported again is the same, in every format, on every engine."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.cli import Cli, Completed
from tests.support.transfers import execute, fingerprint, make_tables, message, write_lines

Invoke = Callable[..., Completed]


@pytest.fixture
def mentor(engine_url: str, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a database with mentor's legacy tables, which commands work on."""
    make_tables(engine_url)
    monkeypatch.setenv("CHATCTL_DATABASE", engine_url)
    monkeypatch.setenv("CHATCTL_LAYOUT", "mentor")
    return engine_url


@pytest.mark.parametrize("name", ["m.jsonl", "m.jsonl.gz", "m.csv.zst", "m.tsv"])
def test_the_sample_is_the_same_after_export_and_import(
    mentor: str, invoke: Invoke, sample: Path, tmp_path: Path, name: str
) -> None:
    invoke("import", sample)
    before = fingerprint(mentor)
    answer = invoke("export", "--out", name, "--output", "json").json
    assert answer["data"] | {"seconds": 0, "rows_per_second": 0} == {
        "entity": "messages",
        "file": name,
        "format": name.split(".")[1],
        "rows": 48_126,
        "seconds": 0,
        "rows_per_second": 0,
    }
    execute(mentor, "DELETE FROM messages")

    assert invoke("import", name).exit_code == 0
    assert fingerprint(mentor) == before


@pytest.mark.parametrize("name", ["m.jsonl", "m.csv", "m.tsv", "m.bson"])
def test_values_of_every_kind_are_the_same_after_export_and_import(
    mentor: str, invoke: Invoke, tmp_path: Path, name: str
) -> None:
    metadata = [{"a": [1, 2.5, None, "ü\n"]}, "a text", "[1]", 7, True, None, {"$oid": "x"}, []]
    records = [message(at, metadata=value, tokens=at, prompt="\\N") for at, value in enumerate(metadata)]
    invoke("import", write_lines(tmp_path / "given.jsonl", [*records, message(99)]))
    before = fingerprint(mentor)
    format = ("--bson",) if name == "m.bson" else ()
    assert invoke("export", "--out", name, *format).exit_code == 0
    execute(mentor, "DELETE FROM messages")

    assert invoke("import", name, *(("--format", "bson") if format else ())).exit_code == 0
    assert fingerprint(mentor) == before


def test_rows_come_in_the_order_of_their_keys_over_many_pages(mentor: str, invoke: Invoke, tmp_path: Path) -> None:
    file = write_lines(tmp_path / "m.jsonl", (message(at * 7_919 % 25_013) for at in range(25_013)))
    invoke("import", file)
    invoke("export", "--out", "all.jsonl")
    ids = [json.loads(line)["id"] for line in (tmp_path / "all.jsonl").read_text(encoding="utf-8").splitlines()]

    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids) == 25_013


def test_a_composite_key_is_paged_through(engine_url: str, invoke: Invoke, tmp_path: Path) -> None:
    execute(
        engine_url,
        "CREATE TABLE parts (chat varchar(20) NOT NULL, place integer NOT NULL, body varchar(20),"
        " PRIMARY KEY (chat, place))",
    )
    layout = tmp_path / "parts.yaml"
    layout.write_text(
        "layout: parts\ntitle: Parts\nentities:\n  parts:\n    table: parts\n    columns:\n"
        "      chat: {name: chat, type: text(20), key: true}\n"
        "      place: {name: place, type: integer, key: true}\n"
        "      body: {name: body, type: text(20), nullable: true}\n"
    )
    records = ({"chat": f"c{at % 3}", "place": at, "body": None} for at in range(22_000))
    options = ("--entity", "parts", "--database", engine_url, "--layout", str(layout))
    file = write_lines(tmp_path / "p.jsonl", records)
    assert invoke("import", file, *options).exit_code == 0
    assert json.loads(invoke("import", file, *options, "-o", "json").stdout)["data"]["repeated"] == 22_000
    assert invoke("export", *options, "--out", "all.csv").exit_code == 0
    lines = (tmp_path / "all.csv").read_text(encoding="utf-8").splitlines()[1:]

    assert len(set(lines)) == len(lines) == 22_000
    assert [line.split(",")[0] for line in lines] == sorted(line.split(",")[0] for line in lines)


def test_stdout_holds_the_rows_and_nothing_else(tmp_path: Path, run_cli: Cli) -> None:
    url = f"sqlite:///{tmp_path / 'c.db'}"
    make_tables(url)
    options = ("--database", url, "--layout", "mentor")
    run_cli("import", write_lines(tmp_path / "m.jsonl", map(message, range(3))), *options)
    done = run_cli("export", *options)

    assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == ["m00000000", "m00000001", "m00000002"]
    assert "rows" in done.stderr


def test_an_export_that_fails_leaves_the_old_file(tmp_path: Path, invoke: Invoke) -> None:
    url = f"sqlite:///{tmp_path / 'c.db'}"
    make_tables(url)
    invoke("import", write_lines(tmp_path / "m.jsonl", [message(1)]), "--database", url, "--layout", "mentor")
    (tmp_path / "out.jsonl").write_text("old")
    execute(url, "UPDATE messages SET metadata = 'no JSON'")
    done = invoke("export", "--out", "out.jsonl", "--database", url, "--layout", "mentor", "--output", "json")

    assert (done.exit_code, done.json["errors"][0]["code"]) == (9, "integrity")
    assert (tmp_path / "out.jsonl").read_text() == "old"
