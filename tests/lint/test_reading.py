"""Scripts are cut into statements and read, whatever stands in them."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatctl.services.lint.allowing import Allowances
from chatctl.services.lint.ddl import AddColumn, AlterTable, ChangeColumn, CreateTable, SqlType
from chatctl.services.lint.judging import Judge
from chatctl.services.lint.parsing import parse
from chatctl.services.lint.statements import SourceStatement, statements
from chatctl.services.lint.tokens import TokenKind, tokens


def read(script: str, *, mysql: bool = True) -> list[SourceStatement]:
    return list(statements(script, "x.sql", backslash_escapes=mysql))


@pytest.mark.parametrize(
    ("script", "mysql", "expected"),
    [
        ("SELECT 1; SELECT 2", True, ["SELECT 1", "SELECT 2"]),
        ("SELECT ';' ; SELECT 2", True, ["SELECT ';'", "SELECT 2"]),
        (r"SELECT 'it\'s; one'; SELECT 2", True, [r"SELECT 'it\'s; one'", "SELECT 2"]),
        ("SELECT 'it''s; one'", True, ["SELECT 'it''s; one'"]),
        ('SELECT `a;b`, "c;d"', True, ['SELECT `a;b`, "c;d"']),
        ("-- a; b\n# c; d\n/* e; f */ SELECT 1", True, ["SELECT 1"]),
        ("SELECT 1 # no comment", False, ["SELECT 1 # no comment"]),
        (r"SELECT 'a\'; SELECT 2", False, [r"SELECT 'a\'", "SELECT 2"]),
        (r"SELECT E'it\'s; one'", False, [r"SELECT E'it\'s; one'"]),
        ("DO $x$ BEGIN; END; $x$; SELECT 2", False, ["DO $x$ BEGIN; END; $x$", "SELECT 2"]),
        (";;  ;", True, []),
        ("DELIMITER //\nCREATE TRIGGER t BEGIN a; b; END//\nDELIMITER ;\nSELECT 1", True, ["SELECT 1"]),
    ],
)
def test_statements_end_at_semicolons_that_count(script: str, mysql: bool, expected: list[str]) -> None:
    assert [statement.sql for statement in read(script, mysql=mysql)] == expected


def test_a_statement_knows_the_line_that_it_begins_on() -> None:
    found = read("-- head\n\nSELECT 1;\nDELIMITER //\nx;\ny//\nDELIMITER ;\n/* two\nlines */ SELECT\n2;")

    assert [statement.where for statement in found] == ["x.sql:3", "x.sql:9"]


def test_conditional_comments_of_mysql_count() -> None:
    (statement,) = read("/*!40101 ALTER TABLE t ADD COLUMN a INT */")

    assert isinstance(parse(statement.tokens), AlterTable)


@pytest.mark.parametrize(
    "script",
    [
        "-- chatctl: allow table-copy, blocking-lock\nALTER TABLE t FORCE;",
        "ALTER TABLE t -- chatctl: allow Table-Copy, blocking-lock\n FORCE;",
        "ALTER TABLE t FORCE; -- why not. chatctl: allow table-copy,blocking-lock",
        "/* chatctl: allow table-copy */ ALTER TABLE t FORCE /* chatctl: allow blocking-lock */;",
    ],
)
def test_an_allowance_stands_above_in_or_behind_its_statement(script: str) -> None:
    first, second = read(f"{script}\nSELECT 2;")

    assert first.allowed == {"table-copy", "blocking-lock"}
    assert second.allowed == frozenset()


def test_an_allowance_takes_its_rules_findings_away_and_no_others() -> None:
    script = (
        "-- chatctl: allow table-copy\nALTER TABLE t ENGINE=Aria, ADD COLUMN b INT NOT NULL; ALTER TABLE t ENGINE=Aria"
    )
    judge = Judge("mariadb")

    found = [(item.rule, item.where) for source in read(script) for item in judge.judge(source)]

    assert found == [("not-null-without-default", "x.sql:2"), ("table-copy", "x.sql:2"), ("several-alters", "x.sql:2")]


PYTHON = """\
# chatctl: allow one
def upgrade():
    first()
    # chatctl: allow two
    # and why
    second(
        1,  # chatctl: allow three
    )
    third()

    # chatctl: allow four
    for name in names:
        fourth(name)


def other():
    fifth()
"""


@pytest.mark.parametrize(
    ("line", "allowed"),
    [
        (3, {"one"}),
        (6, {"one", "two", "three"}),
        (7, {"one", "two", "three"}),
        (9, {"one"}),
        (13, {"one", "four"}),
        (17, set()),
    ],
)
def test_in_python_an_allowance_stands_above_or_on_the_call_or_above_what_it_is_in(
    line: int, allowed: set[str]
) -> None:
    assert Allowances(PYTHON).at(line) == allowed


def test_a_column_is_read_with_all_of_its_attributes() -> None:
    (statement,) = read(
        "ALTER TABLE db.t CHANGE COLUMN `old` `new name` CHARACTER VARYING(20) CHARACTER SET utf8 COLLATE utf8_bin"
        " NOT NULL DEFAULT 'a, (b)' COMMENT 'c' AFTER x, ADD (p INTEGER UNSIGNED, q NUMERIC(5) NULL)"
    )
    alter = parse(statement.tokens)

    assert isinstance(alter, AlterTable)
    change, first, second = alter.actions
    assert isinstance(change, ChangeColumn)
    assert isinstance(first, AddColumn)
    assert isinstance(second, AddColumn)
    assert (alter.table, change.name, change.column.name) == ("t", "old", "new name")
    assert change.column.type == SqlType("varchar", ("20",))
    assert (change.column.charset, change.column.collation) == ("utf8mb3", "utf8_bin")
    assert (change.column.nullable, change.column.default) == (False, "'a, (b)'")
    assert change.position is not None
    assert change.position.after == "x"
    assert first.column.type == SqlType("int", unsigned=True)
    assert second.column.type == SqlType("decimal", ("5",))


def test_a_table_of_postgresqls_dump_is_read() -> None:
    (statement,) = read(
        "CREATE TABLE public.t (id character varying(64) DEFAULT 'x'::character varying NOT NULL,"
        " at timestamp(3) without time zone, seen timestamp with time zone DEFAULT now(), tags text[],"
        " CONSTRAINT c CHECK ((id <> ''::text)), PRIMARY KEY (id));",
        mysql=False,
    )
    table = parse(statement.tokens)

    assert isinstance(table, CreateTable)
    assert [(column.name, str(column.type), column.nullable) for column in table.columns] == [
        ("id", "VARCHAR(64)", False),
        ("at", "TIMESTAMP(3)", True),
        ("seen", "TIMESTAMPTZ", True),
        ("tags", "TEXT", True),
    ]


VOCABULARY = """
ALTER TABLE t ADD COLUMN a INT NOT NULL DEFAULT ( ) , ; ' " ` MODIFY CHANGE DROP INDEX PRIMARY KEY RENAME TO CONSTRAINT
FOREIGN REFERENCES CHECK SET STATEMENT FOR CREATE UNIQUE FULLTEXT CONVERT CHARACTER = . -- /* */ # \\ $ 1 ENUM ON AS
GENERATED AFTER FIRST PARTITION BY TYPE USING OPTIMIZE LOCK TABLES AUTO_INCREMENT VACUUM FULL
"""
WORDS = sorted(set(VOCABULARY.split()))


@given(st.lists(st.sampled_from(WORDS), max_size=30), st.sampled_from(["mariadb", "mysql", "sqlite", "postgresql"]))
def test_no_script_however_broken_stops_the_linter(words: list[str], engine: str) -> None:
    judge = Judge(engine)
    judge.know("CREATE TABLE t (a VARCHAR(20) NULL, b INT NOT NULL PRIMARY KEY)")
    for source in statements(" ".join(words), "x", backslash_escapes=judge.backslash_escapes):
        judge.judge(source)


@given(st.text(max_size=60), st.booleans())
def test_tokens_are_the_text_itself_in_order(script: str, mysql: bool) -> None:
    kept = [token for token in tokens(script, backslash_escapes=mysql) if token.kind is not TokenKind.COMMENT]

    for before, after in pairwise(kept):
        assert before.end <= after.start
        assert after.line == script[: after.start].count("\n") + 1
