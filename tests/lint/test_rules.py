"""Each rule finds what its page shows, is silent about what the page recommends, and knows its engine."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from chatctl.errors import MissingExtraError
from chatctl.services.lint import squawk as driver
from chatctl.services.lint.findings import Finding, Severity
from chatctl.services.lint.judging import ENGINES, Judge, nobody_knows
from chatctl.services.lint.rules import RULES
from chatctl.services.lint.rules.base import Rule
from chatctl.services.lint.statements import statements

DOCS = Path(__file__).parents[2] / "docs" / "lint"
SCHEMA = """
CREATE TABLE users (id VARCHAR(64) NOT NULL PRIMARY KEY, name VARCHAR(50) NULL);
CREATE TABLE chats (id VARCHAR(64) NOT NULL PRIMARY KEY);
CREATE TABLE breakers (name VARCHAR(64) NOT NULL PRIMARY KEY, state VARCHAR(16) NOT NULL);
CREATE TABLE sessions (id VARCHAR(64) NOT NULL PRIMARY KEY);
CREATE TABLE messages (
    id VARCHAR(64) NOT NULL PRIMARY KEY, userId VARCHAR(64) NOT NULL, role VARCHAR(32) NOT NULL, content TEXT NOT NULL,
    model VARCHAR(64) NOT NULL, tokens INT NULL, chat_id VARCHAR(64) NULL,
    createdAt DATETIME NOT NULL) DEFAULT CHARSET=latin1;
"""
#: Rules whose pages show no SQL, or whose SQL needs another schema.
OTHERWISE = {"unknown-column", "batch-copy", "primary-key-change"}


def found(engine: str, script: str, schema: str = SCHEMA) -> list[Finding]:
    judge = Judge(engine)
    judge.know(schema)
    sources = list(statements(script, "change.sql", backslash_escapes=judge.backslash_escapes))
    return [finding for source in sources for finding in judge.judge(source)]


def rules_of(engine: str, script: str, schema: str = SCHEMA) -> list[str]:
    return [finding.rule for finding in found(engine, script, schema)]


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.name not in OTHERWISE], ids=lambda rule: rule.name)
def test_the_pages_examples_hold(rule: Rule) -> None:
    engine = "mysql" if rule.name == "column-order" else rule.engines[0]

    assert rule.name in rules_of(engine, rule.bad)
    assert rule.name not in rules_of(engine, rule.good)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_has_a_page_and_says_what_to_do(rule: Rule) -> None:
    page = (DOCS / f"{rule.name}.md").read_text(encoding="utf-8")

    assert rule.problem in page
    assert rule.remedy in page
    assert set(rule.engines) <= set(ENGINES)
    assert rule.hint.endswith(".")


def test_a_finding_says_where_what_and_what_to_do() -> None:
    (finding,) = found("mariadb", "\n\nALTER TABLE messages\n  MODIFY tokens BIGINT NULL")

    assert finding.as_json() == {
        "rule": "table-copy",
        "severity": "error",
        "where": "change.sql:3",
        "message": "Changing tokens from INT to BIGINT copies the table and blocks writes.",
        "hint": "Add a new column instead, fill it in batches, and drop the old one once nobody reads it.",
        "fix": finding.fix,
    }
    assert "write both" in (finding.fix or "")


@pytest.mark.parametrize(
    ("script", "mariadb", "mysql"),
    [
        ("ALTER TABLE messages MODIFY tokens INT NULL FIRST", [], ["column-order"]),
        ("ALTER TABLE users MODIFY name VARCHAR(50) COLLATE utf8mb4_bin NULL", [], ["charset-conversion"]),
        ("ALTER TABLE messages ADD COLUMN x VARCHAR(64) REFERENCES chats (id)", ["foreign-key-validated"], []),
        ("ALTER TABLE messages ADD COLUMN x INT NULL AFTER id", [], []),
        ("ALTER TABLE messages MODIFY role VARCHAR(40) NOT NULL", [], []),
    ],
)
def test_mysql_is_told_from_mariadb(script: str, mariadb: list[str], mysql: list[str]) -> None:
    assert rules_of("mariadb", script) == mariadb
    assert rules_of("mysql", script) == mysql


def test_a_short_varchar_grows_freely_on_mariadb_alone() -> None:
    schema = "CREATE TABLE t (a VARCHAR(20) NULL) DEFAULT CHARSET=utf8mb4"

    assert rules_of("mariadb", "ALTER TABLE t MODIFY a VARCHAR(200) NULL", schema) == []
    assert rules_of("mysql", "ALTER TABLE t MODIFY a VARCHAR(200) NULL", schema) == ["varchar-growth"]


def test_what_the_statement_itself_forbids_is_refused_rather_than_harmful() -> None:
    copying = "ALTER TABLE messages MODIFY tokens BIGINT NULL"

    assert rules_of("mariadb", f"{copying}, ALGORITHM=NOCOPY") == ["refused-algorithm"]
    assert rules_of("mariadb", f"{copying}, LOCK=NONE") == ["refused-algorithm"]
    assert rules_of("mariadb", f"{copying}, ALGORITHM=INPLACE") == ["table-copy"]
    assert rules_of("mariadb", "ALTER TABLE messages MODIFY role VARCHAR(32) NULL, LOCK=NONE") == ["table-rebuild"]


def test_the_second_rewrite_of_a_table_names_the_first() -> None:
    script = "ALTER TABLE messages FORCE;\nALTER TABLE users FORCE;\nOPTIMIZE TABLE messages;"

    messages = [finding.message for finding in found("mariadb", script) if finding.rule == "several-alters"]
    assert messages == ["messages was rewritten already at change.sql:1, and is once more here."]


def test_a_dropped_primary_key_blocks_and_an_exchanged_one_does_not() -> None:
    (dropped,) = found("mariadb", "ALTER TABLE messages DROP PRIMARY KEY")
    (changed,) = found("mariadb", "ALTER TABLE messages DROP PRIMARY KEY, ADD PRIMARY KEY (id, createdAt)")

    assert (dropped.severity, changed.severity) == (Severity.ERROR, Severity.WARNING)


def test_without_a_schema_a_redefinition_is_told_to_be_unknown() -> None:
    assert rules_of("mariadb", "ALTER TABLE t MODIFY a BIGINT", schema="") == ["unknown-column"]


def test_tables_that_the_change_makes_itself_may_be_treated_as_it_pleases() -> None:
    script = (
        "CREATE TABLE t (a INT NULL); ALTER TABLE t MODIFY a BIGINT NOT NULL; ALTER TABLE t DROP COLUMN a; DROP TABLE t"
    )

    for engine in ENGINES:
        assert rules_of(engine, script) == []


def test_once_a_change_is_done_its_tables_are_in_use() -> None:
    judge = Judge("mariadb")
    first, second = statements(
        "CREATE TABLE t (a INT NULL); ALTER TABLE t MODIFY a BIGINT NULL", "x", backslash_escapes=True
    )
    judge.judge(first)
    judge.settle()

    assert [finding.rule for finding in judge.judge(second)] == ["table-copy"]


@pytest.mark.parametrize(("used", "severities"), [(True, [Severity.ERROR]), (None, [Severity.WARNING]), (False, [])])
def test_dropping_is_as_bad_as_what_is_known_of_its_use(used: bool | None, severities: list[Severity]) -> None:
    judge = Judge("mariadb")
    judge.know(SCHEMA)
    (source,) = statements("ALTER TABLE messages DROP COLUMN model", "x", backslash_escapes=True)

    findings = judge.judge(source, in_use=lambda table, column: used)

    assert [finding.severity for finding in findings] == severities
    assert nobody_knows("messages", "model") is None


def test_batch_mode_on_sqlite_is_one_finding_and_not_a_drop() -> None:
    script = """
    CREATE TABLE _alembic_tmp_users (id VARCHAR(64) NOT NULL, name TEXT);
    INSERT INTO _alembic_tmp_users (id, name) SELECT id, name FROM users;
    DROP TABLE users;
    ALTER TABLE _alembic_tmp_users RENAME TO users;
    """

    assert rules_of("sqlite", script) == ["batch-copy"]


def test_without_squawk_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    judge = Judge("postgresql")

    with pytest.raises(MissingExtraError, match="'lint'") as problem:
        judge.judge_all(list(statements("DROP TABLE t", "x", backslash_escapes=False)))
    assert problem.value.hint == "pip install 'chatctl[lint]'"


@pytest.mark.usefixtures("squawk")
def test_squawks_findings_stand_at_their_statements_lines() -> None:
    first = "-- one\nSELECT 1;\nALTER TABLE messages\n  ALTER COLUMN tokens\n  TYPE BIGINT;\n"
    script = f"{first}\nCREATE INDEX i ON messages (role);\n"
    judge = Judge("postgresql")
    judge.know(SCHEMA)

    findings = judge.judge_all(list(statements(script, "x.sql", backslash_escapes=False)))

    assert [(item.rule, item.where) for item in findings] == [
        ("changing-column-type", "x.sql:3"),
        ("require-concurrent-index-creation", "x.sql:7"),
    ]


@pytest.mark.usefixtures("squawk")
def test_every_rule_of_squawk_that_counts_is_one_that_squawk_has() -> None:
    named = ",".join(name for name in driver.RULES if name != "syntax-error")

    assert driver.answer("SELECT 1;", "--exclude", named) == []
