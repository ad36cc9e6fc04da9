"""What goes wrong around an import: a clear error, the right code, and nothing half done."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.support.cli import Cli, Completed
from tests.support.disks import SmallDisk, small_disk
from tests.support.transfers import execute, fingerprint, make_tables, message, rows_of, write_lines

Invoke = Callable[..., Completed]
SERVERS = [
    pytest.param("mariadb", marks=pytest.mark.mysql),
    pytest.param("postgresql", marks=pytest.mark.postgresql),
]
KILLED = 137


@pytest.fixture
def mentor(tmp_path: Path) -> str:
    """The URL of a SQLite database with mentor's legacy tables."""
    url = f"sqlite:///{tmp_path / 'chat.db'}"
    make_tables(url)
    return url


@pytest.fixture
def importing(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Completed]:
    """`importing(url, "file", …)` imports into a mentor database."""
    monkeypatch.setenv("CHATCTL_LAYOUT", "mentor")

    def importing(url: str, *arguments: str | Path) -> Completed:
        return invoke("import", *arguments, "--database", url, "--output", "json")

    return importing


Importing = Callable[..., Completed]


def failure(done: Completed) -> tuple[int, str]:
    """The exit code and the first error's name."""
    return done.exit_code, done.json["errors"][0]["code"]


@pytest.mark.parametrize("engine_name", SERVERS, indirect=True)
def test_a_wrong_password(engine_url: str, importing: Importing, tmp_path: Path) -> None:
    wrong = sa.make_url(engine_url).set(password="wrong-as-can-be").render_as_string(hide_password=False)
    done = importing(wrong, write_lines(tmp_path / "m.jsonl", [message(1)]))

    assert failure(done) == (5, "access_denied")
    assert "wrong-as-can-be" not in done.stdout + done.stderr


@pytest.mark.parametrize("scheme", ["mariadb", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def test_no_such_host(scheme: str, importing: Importing, tmp_path: Path) -> None:
    done = importing(f"{scheme}://app@no-such-host.invalid/chat", write_lines(tmp_path / "m.jsonl", [message(1)]))

    assert failure(done) == (5, "cannot_connect")


@pytest.mark.parametrize("engine_name", SERVERS, indirect=True)
def test_an_account_that_may_not_insert_goes_on_once_it_may(
    engine_url: str, importing: Importing, tmp_path: Path
) -> None:
    make_tables(engine_url)
    importing(engine_url, write_lines(tmp_path / "first.jsonl", [message(0)]))
    file = write_lines(tmp_path / "m.jsonl", map(message, range(1, 50)))
    account = f"reader_{os.getpid()}_{os.urandom(3).hex()}"
    limited = sa.make_url(engine_url).set(username=account, password="s3cret-reader")
    url = limited.render_as_string(hide_password=False)
    target = f"`{limited.database}`." if "mysql" in engine_url else ""
    who = f"'{account}'@'%'" if "mysql" in engine_url else account
    make = "IDENTIFIED BY" if "mysql" in engine_url else "PASSWORD"
    journal = [name for (name,) in rows_of(engine_url, _tables_of(engine_url)) if name.startswith("chatctl_")]
    execute(
        engine_url,
        f"CREATE USER {who} {make} 's3cret-reader'",
        *(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {target}{name} TO {who}" for name in journal),
        f"GRANT SELECT ON {target}messages TO {who}",
    )
    try:
        assert failure(importing(url, file)) == (13, "no_privilege")
        assert fingerprint(engine_url)[0] == 1
        execute(engine_url, f"GRANT INSERT ON {target}messages TO {who}")
        done = importing(url, file)
        assert done.exit_code == 0, str(done)
        data = done.json["data"]
        assert (data["resumed"], data["imported"]) == (True, 49)
    finally:
        execute(engine_url, *([] if "mysql" in engine_url else [f"DROP OWNED BY {who}"]), f"DROP USER {who}")


def _tables_of(url: str) -> str:
    where = "table_schema = DATABASE()" if "mysql" in url else "table_schema = 'public'"
    return f"SELECT table_name FROM information_schema.tables WHERE {where}"


def test_a_database_that_is_read_only(mentor: str, importing: Importing, tmp_path: Path) -> None:
    url = f"sqlite:///file:{tmp_path / 'chat.db'}?mode=ro&uri=true"
    done = importing(url, write_lines(tmp_path / "m.jsonl", [message(1)]))

    assert failure(done) == (13, "read_only")


@pytest.fixture
def small(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "small", "2m") as disk:
        yield disk


def test_a_full_disk_under_the_database_and_more_room_later(
    small: SmallDisk, importing: Importing, tmp_path: Path
) -> None:
    url = f"sqlite:///{small.folder / 'chat.db'}"
    make_tables(url)
    file = write_lines(tmp_path / "m.jsonl", (message(at, content="x" * 400) for at in range(8_000)))

    assert failure(importing(url, file, "--batch-size", "500")) == (13, "disk_full")
    small.grow("64m")
    data = importing(url, file, "--batch-size", "500").json["data"]
    assert (data["rows_read"], data["imported"], data["repeated"]) == (8_000, 8_000, 0)


def test_a_full_disk_under_the_reject_file_and_more_room_later(
    mentor: str, small: SmallDisk, importing: Importing, tmp_path: Path
) -> None:
    records = (message(at) if at % 2 else f"no JSON {'x' * 2_000}" for at in range(4_000))
    file = write_lines(tmp_path / "m.jsonl", records)
    options = ("--rejects", small.folder / "bad.jsonl", "--batch-size", "500")

    assert failure(importing(mentor, file, *options)) == (13, "disk_full")
    small.grow("64m")
    data = importing(mentor, file, *options).json["data"]
    assert (data["rows_read"], data["imported"], data["rejected"]) == (4_000, 2_000, 2_000)
    assert len((small.folder / "bad.jsonl").read_text().splitlines()) == 2_000


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("missing.jsonl", None, (11, "not_found")),
        ("m.unknown", b"{}", (2, "usage")),
        ("m.jsonl.zst", b"\x28\xb5\x2f\xfd\x00\x00broken", (2, "input_file")),
        ("m.jsonl", b'[{"id": 1}]', (2, "input_file")),
        ("m.csv", b"id,role\n1,user\n", (2, "input_file")),
    ],
)
def test_a_file_that_can_not_be_read_leaves_no_trace(
    mentor: str, importing: Importing, tmp_path: Path, name: str, content: bytes | None, expected: tuple[int, str]
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)

    assert failure(importing(mentor, tmp_path / name)) == expected
    assert fingerprint(mentor)[0] == 0
    names = [table for (table,) in rows_of(mentor, "SELECT name FROM sqlite_master WHERE type = 'table'")]
    assert "chatctl_runs" not in names or rows_of(mentor, "SELECT id FROM chatctl_runs WHERE kind = 'import'") == []


def test_an_empty_file_imports_nothing_and_is_no_error(mentor: str, importing: Importing, tmp_path: Path) -> None:
    answer = importing(mentor, write_lines(tmp_path / "m.jsonl", [])).json

    assert (answer["exit_code"], answer["data"]["rows_read"], answer["data"]["imported"]) == (0, 0, 0)


def test_a_file_that_is_damaged_further_on_keeps_what_came_before_and_can_be_mended(
    mentor: str, importing: Importing, tmp_path: Path
) -> None:
    whole = write_lines(tmp_path / "whole.jsonl", map(message, range(20_000)))
    packed = gzip.compress(whole.read_bytes())
    file = tmp_path / "m.jsonl.gz"
    file.write_bytes(packed[: len(packed) // 2])
    assert failure(importing(mentor, file)) == (2, "input_file")

    file.write_bytes(packed)
    data = importing(mentor, file).json["data"]
    assert data["resumed"] is False
    assert data["imported"] + data["repeated"] == 20_000
    assert fingerprint(mentor)[0] == 20_000


def test_names_that_the_layout_and_the_database_do_not_have(mentor: str, importing: Importing, tmp_path: Path) -> None:
    file = write_lines(tmp_path / "m.jsonl", [message(1)])
    unknown = importing(mentor, file, "--entity", "letters")
    absent = importing(mentor, file, "--entity", "chats")

    assert failure(unknown) == failure(absent) == (4, "missing_entity")
    assert "'chats'" in absent.json["errors"][0]["message"]


def test_a_database_file_that_is_not_there_is_not_made(importing: Importing, tmp_path: Path) -> None:
    done = importing(f"sqlite:///{tmp_path / 'typo.db'}", write_lines(tmp_path / "m.jsonl", [message(1)]))

    assert failure(done) == (5, "cannot_connect")
    assert not (tmp_path / "typo.db").exists()


# --- runs that stopped half-way -----------------------------------------------------------------------------


@pytest.fixture
def half_way(mentor: str, run_cli: Cli, tmp_path: Path) -> Path:
    """A file of 1,000 messages whose import died after 400."""
    file = write_lines(tmp_path / "m.jsonl", map(message, range(1_000)))
    options = ("--database", mentor, "--layout", "mentor", "--batch-size", "100")
    env = {"CHATCTL_FAIL_POINT": "batch.after-commit:4"}
    assert run_cli("import", file, *options, env=env).exit_code == KILLED
    assert fingerprint(mentor)[0] == 400
    return file


def test_the_same_command_goes_on_in_batches_of_another_size(mentor: str, half_way: Path, importing: Importing) -> None:
    answer = importing(mentor, half_way, "--batch-size", "333").json

    assert (answer["data"]["resumed"], answer["data"]["rows_read"], answer["data"]["imported"]) == (True, 1_000, 1_000)
    assert rows_of(mentor, "SELECT id, status FROM chatctl_runs") == [(answer["run_id"], "done")]


def test_a_file_that_has_changed_since_is_refused(mentor: str, half_way: Path, importing: Importing) -> None:
    write_lines(half_way, map(message, range(2_000)))

    assert failure(importing(mentor, half_way)) == (10, "stale_plan")
    assert fingerprint(mentor)[0] == 400


def test_other_options_and_other_files_are_refused_naming_the_run(
    mentor: str, half_way: Path, importing: Importing, tmp_path: Path
) -> None:
    ((run_id,),) = rows_of(mentor, "SELECT id FROM chatctl_runs")
    other = write_lines(tmp_path / "other.jsonl", [message(5_000)])
    for arguments in ((half_way, "--map", "author=user_id"), (other,)):
        done = importing(mentor, *arguments)
        assert failure(done) == (6, "unfinished_run")
        assert run_id in done.json["errors"][0]["message"]
    assert fingerprint(mentor)[0] == 400


def test_a_protected_context_wants_the_name(mentor: str, invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "chatctl.yaml").write_text(
        f"contexts:\n  default:\n    layout: mentor\n    database: {mentor}\n    protected: true\n"
    )
    file = write_lines(tmp_path / "m.jsonl", [message(1)])

    assert failure(invoke("import", file, "--yes", "-o", "json")) == (2, "consent_required")
    assert invoke("import", file, "--confirm", "default").exit_code == 0
