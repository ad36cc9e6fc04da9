"""`migrate lint` as its users call it: files, revisions, projects; formats and exit codes."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest
import sqlalchemy as sa
from tests.support.cli import Completed

Invoke = Callable[..., Completed]

HARMFUL = "ALTER TABLE t ENGINE=Aria;\n"
WARNED = "ALTER TABLE t DROP COLUMN a;\n"


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], Path]:
    """`write("change.sql", text)` writes a file where the command runs; text is dedented."""

    def write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text))
        return path

    return write


Write = Callable[[str, str], Path]


def rules(answer: Completed) -> list[tuple[str, str]]:
    return [(item["rule"], item["where"]) for item in answer.json["data"]["findings"]]


# --- files --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "options", "exit_code"),
    [(HARMFUL, (), 9), (WARNED, (), 0), (WARNED, ("--strict",), 9), ("SELECT 1;", ("--strict",), 0)],
)
def test_errors_exit_9_and_warnings_do_where_it_is_strict(
    invoke: Invoke, write: Write, text: str, options: tuple[str, ...], exit_code: int
) -> None:
    write("change.sql", text)

    answer = invoke("migrate", "lint", "change.sql", "--dialect", "mariadb", "--output", "json", *options)

    assert answer.exit_code == answer.json["exit_code"] == exit_code
    assert answer.json["status"] == "success"


def test_each_file_is_a_change_of_its_own(invoke: Invoke, write: Write) -> None:
    write("1.sql", "CREATE TABLE t (a INT NULL);\nALTER TABLE t MODIFY a BIGINT NULL;\n")
    write("2.sql", "ALTER TABLE t MODIFY a SMALLINT NULL;\n")

    answer = invoke("migrate", "lint", "1.sql", "2.sql", "--dialect", "mariadb", "-o", "json")

    assert rules(answer) == [("table-copy", "2.sql:1")]
    assert answer.json["data"]["sources"] == ["1.sql", "2.sql"]
    assert answer.json["data"]["statements"] == 3


def test_a_schema_file_says_what_is_there(invoke: Invoke, write: Write) -> None:
    write("schema.sql", "CREATE TABLE t (a VARCHAR(50) NULL, b VARCHAR(10) NULL) DEFAULT CHARSET=utf8mb4;")
    write("change.sql", "ALTER TABLE t MODIFY a VARCHAR(64) NULL, MODIFY b VARCHAR(64) NULL;")

    answer = invoke("migrate", "lint", "change.sql", "--dialect", "mariadb", "--schema", "schema.sql", "-o", "json")

    assert rules(answer) == [("varchar-growth", "change.sql:1")]


@pytest.mark.parametrize("engine_name", ["mariadb"], indirect=True)
def test_without_a_dialect_the_database_says_what_it_is_and_has(invoke: Invoke, write: Write, engine_url: str) -> None:
    with sa.create_engine(engine_url).begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t (a VARCHAR(50) NULL, KEY (a)) DEFAULT CHARSET=utf8mb4")
        connection.exec_driver_sql("CREATE TABLE s (a TEXT, FULLTEXT KEY (a))")
    write("change.sql", "ALTER TABLE t MODIFY a VARCHAR(64) NULL;\nALTER TABLE s ADD COLUMN b INT NULL;")

    answer = invoke("migrate", "lint", "change.sql", "--database", engine_url, "-o", "json")

    assert answer.json["data"]["dialect"] == "mariadb"
    assert rules(answer) == [("varchar-growth", "change.sql:1"), ("blocking-lock", "change.sql:2")]


def test_annotations_are_one_line_each_with_file_and_line(invoke: Invoke, write: Write) -> None:
    write("a,b.sql", f"\n{HARMFUL}")

    for option in ("--format", "--output"):
        answer = invoke("migrate", "lint", "a,b.sql", "--dialect", "mariadb", option, "github")

        assert answer.exit_code == 9
        assert answer.stdout == (
            "::error file=a%2Cb.sql,line=2,title=table-copy::ENGINE=Aria copies the table and blocks writes.%0A"
            "Add a new column instead, fill it in batches, and drop the old one once nobody reads it.\n"
        )


def test_the_other_formats_are_there_as_ever(invoke: Invoke, write: Write) -> None:
    write("change.sql", HARMFUL)
    command = ("migrate", "lint", "change.sql", "--dialect", "mariadb")

    assert invoke(*command, "--format", "csv").stdout.startswith("rule,severity,where,message,hint,fix")
    assert invoke("--output", "json", *command).json["data"]["findings"]
    assert "table-copy" in invoke(*command).stdout
    refused = invoke(*command, "--format", "pink")
    assert refused.exit_code == 2
    assert "github" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "exit_code", "message"),
    [
        (("change.sql", "--dialect", "oracle"), 2, "There is no dialect 'oracle'."),
        (("missing.sql", "--dialect", "mariadb"), 2, "missing.sql can't be read"),
        (("change.sql", "--all", "--dialect", "mariadb"), 2, "--all"),
        (("--script-location", "nowhere", "--dialect", "mariadb"), 4, "There is no folder nowhere."),
        (("--script-location", "no_package:x", "--dialect", "mariadb"), 4, "There is no package no_package"),
    ],
)
def test_what_cannot_be_linted_is_said(
    invoke: Invoke, write: Write, arguments: tuple[str, ...], exit_code: int, message: str
) -> None:
    write("change.sql", HARMFUL)

    answer = invoke("migrate", "lint", *arguments)

    assert answer.exit_code == exit_code
    assert message in answer.stderr


def test_an_allowance_with_a_slip_in_it_is_told(invoke: Invoke, write: Write) -> None:
    write("change.sql", f"-- chatctl: allow tabel-copy\n{HARMFUL}")

    answer = invoke("migrate", "lint", "change.sql", "--dialect", "mariadb", "-o", "json")

    assert rules(answer) == [("table-copy", "change.sql:2"), ("unknown-rule", "change.sql:2")]


# --- Alembic projects ---------------------------------------------------------------------------------------

HEAD = """\
import sqlalchemy as sa
from alembic import op

revision = {revision!r}
down_revision = {parent!r}

"""


@pytest.fixture
def revision(tmp_path: Path) -> Callable[..., Path]:
    """`revision("b", "a", body)` writes alembic/versions/b.py; `body` is the code of its upgrade."""

    def revision(name: str, parent: str | None, body: str = "pass") -> Path:
        path = tmp_path / "alembic" / "versions" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        code = "\n".join(f"    {line}" for line in dedent(body).strip().splitlines())
        path.write_text(f"{HEAD.format(revision=name, parent=parent)}\ndef upgrade():\n{code}\n")
        return path

    return revision


Revision = Callable[..., Path]

TABLE = "op.create_table('t', sa.Column('id', sa.Integer, primary_key=True), sa.Column('n', sa.Integer))"
COPY = "op.alter_column('t', 'n', type_=sa.BigInteger, existing_type=sa.Integer)"


def lint(invoke: Invoke, *options: str) -> Completed:
    return invoke("migrate", "lint", "--script-location", "alembic", "--dialect", "mariadb", "-o", "json", *options)


def test_a_projects_findings_name_the_revisions_file_and_line(invoke: Invoke, revision: Revision) -> None:
    revision("a", None, TABLE)
    path = revision("b", "a", f"op.add_column('t', sa.Column('m', sa.Integer))\n{COPY}")

    answer = lint(invoke)

    line = next(number for number, text in enumerate(path.read_text().splitlines(), 1) if "alter_column" in text)
    assert answer.exit_code == 9
    assert rules(answer) == [("table-copy", f"alembic/versions/b.py:{line}")]
    assert answer.json["data"]["sources"] == ["a", "b"]


def test_a_comment_in_the_revision_allows(invoke: Invoke, revision: Revision) -> None:
    revision("a", None, TABLE)
    revision("b", "a", f"# The table is small. chatctl: allow table-copy\n{COPY}")

    assert rules(lint(invoke)) == []


@pytest.mark.usefixtures("squawk")
def test_a_concurrent_index_needs_a_revision_that_leaves_its_transaction(invoke: Invoke, revision: Revision) -> None:
    index = "op.create_index('{}', 't', ['n'], postgresql_concurrently=True)"
    revision("a", None, TABLE)
    revision("b", "a", index.format("inside"))
    revision("c", "b", f"with op.get_context().autocommit_block():\n    {index.format('outside')}")

    answer = invoke("migrate", "lint", "--script-location", "alembic", "--dialect", "postgresql", "-o", "json")

    (finding,) = answer.json["data"]["findings"]
    assert finding["rule"] == "ban-concurrent-index-creation-in-transaction"
    assert finding["where"].startswith("alembic/versions/b.py:")


def test_a_broken_chain_is_told_before_any_revision_is_run(invoke: Invoke, revision: Revision, tmp_path: Path) -> None:
    revision("a", None, "open('ran', 'w').close()")
    revision("b", "a")
    revision("c", "a")
    revision("d", "lost")

    answer = lint(invoke)

    assert answer.exit_code == 9
    assert rules(answer) == [
        ("chain-missing-parent", "alembic/versions/d.py"),
        ("chain-branch", "alembic/versions/b.py"),
    ]
    assert "b.py and c.py" in answer.json["data"]["findings"][1]["message"]
    assert not (tmp_path / "ran").exists()


def test_a_revision_that_needs_a_database_is_read_as_far_as_it_came(invoke: Invoke, revision: Revision) -> None:
    revision("a", None, TABLE)
    revision("b", "a", f"{COPY}\nrows = op.get_bind().execute(sa.text('SELECT 1')).scalar()\nop.drop_table('t')")

    answer = lint(invoke)

    assert [rule for rule, _ in rules(answer)] == ["table-copy"]
    (warning,) = answer.json["warnings"]
    assert warning["code"] == "revision_not_read"
    assert warning["message"].startswith("b was read only in part")


@pytest.mark.parametrize("body", ["raise SystemExit(3)", "import no_such_module", "op.get_bind().close()"])
def test_whatever_a_revision_raises_the_others_are_linted(invoke: Invoke, revision: Revision, body: str) -> None:
    revision("a", None, TABLE)
    revision("b", "a", body)
    revision("c", "b", COPY)

    answer = lint(invoke)

    assert [rule for rule, _ in rules(answer)] == ["table-copy"]
    assert [warning["code"] for warning in answer.json["warnings"]] == ["revision_not_read"]


def test_a_project_is_found_by_its_ini_and_imports_its_application(
    invoke: Invoke, write: Write, tmp_path: Path
) -> None:
    write("project/alembic.ini", "[alembic]\nscript_location = %(here)s/db\nversion_locations = db/one db/two\n")
    write("project/shop_names.py", "TABLE = 't'\n")
    write("project/db/env.py", "raise RuntimeError('env.py was run')\n")
    write("project/db/one/a.py", "revision = 'a'\ndown_revision = None\ndef upgrade(): pass\n")
    write(
        "project/db/two/b.py",
        """\
        from alembic import op
        from shop_names import TABLE
        revision = 'b'
        down_revision = 'a'
        def upgrade():
            print('noise')
            op.execute(f'ALTER TABLE {TABLE} ENGINE=Aria')
        """,
    )

    for place in ("project", "project/db"):
        answer = invoke("migrate", "lint", "--script-location", place, "--dialect", "mysql", "-o", "json")
        assert rules(answer) == [("table-copy", "project/db/two/b.py:7")]


def test_what_is_applied_already_is_left_out(invoke: Invoke, revision: Revision, tmp_path: Path) -> None:
    revision("a", None, TABLE)
    revision("b", "a", "op.drop_column('t', 'n')")
    revision("c", "b", "op.rename_table('t', 'u')")
    with sqlite3.connect(tmp_path / "app.db") as connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)")
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32))")
        connection.execute("INSERT INTO alembic_version VALUES ('b')")
    connection.close()
    command = ("migrate", "lint", "--script-location", "alembic", "--database", "sqlite:///app.db", "-o", "json")

    pending, everything = invoke(*command), invoke(*command, "--all")

    assert pending.json["data"]["sources"] == ["c"]
    assert [rule for rule, _ in rules(pending)] == ["rename-in-use"]
    assert everything.json["data"]["sources"] == ["a", "b", "c"]
    assert [rule for rule, _ in rules(everything)] == ["drop-in-use", "rename-in-use"]


def test_the_contexts_own_project_is_linted_without_an_option(invoke: Invoke, revision: Revision, write: Write) -> None:
    revision("a", None, TABLE)
    revision("b", "a", COPY)
    write("chatctl.yaml", "contexts:\n  default:\n    migrations:\n      script_location: alembic\n")

    answer = invoke("migrate", "lint", "--dialect", "mariadb", "-o", "json")

    assert [rule for rule, _ in rules(answer)] == ["table-copy"]
