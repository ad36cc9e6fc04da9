"""A CREATE TABLE text keeps everything but the columns that are taken out of it."""

from __future__ import annotations

import sqlite3

import pytest

from chatctl.stores.sql.dialects.sqlite_rebuild import TableText, column_name, index_names_any

SQL = """CREATE TABLE "mess, (ages" ( -- a comment, with a comma (
  id TEXT PRIMARY KEY COLLATE NOCASE, /* two, (more */
  "userId" TEXT NOT NULL DEFAULT 'a, (b',
  [odd name] INTEGER CHECK ([odd name] IN (1, 2)),
  `plain` TEXT DEFAULT (lower('X,Y')),
  "check" TEXT,
  doubled INTEGER GENERATED ALWAYS AS ([odd name] * 2) VIRTUAL,
  CHECK (plain <> 'userId'),
  UNIQUE ("userId", id),
  FOREIGN KEY ("userId") REFERENCES users (id) ON DELETE CASCADE,
  FOREIGN KEY (plain) REFERENCES users ("userId")
) STRICT, WITHOUT ROWID"""


def test_the_text_splits_at_its_own_commas_alone() -> None:
    names = [column_name(text) for text in TableText.parse(SQL).definitions]
    assert names == ["id", "userId", "odd name", "plain", "check", "doubled", None, None, None, None]


def test_what_stands_behind_the_definitions_stays() -> None:
    assert TableText.parse(SQL).tail == "STRICT, WITHOUT ROWID"


def test_a_column_goes_with_the_constraints_that_name_it() -> None:
    left = TableText.parse(SQL).without({"userId"}).definitions
    assert [column_name(text) for text in left] == ["id", "odd name", "plain", "check", "doubled", None, None]
    assert left[-2] == "CHECK (plain <> 'userId')"
    assert "REFERENCES users" in left[-1]


def test_out_and_in_again_is_the_same_table() -> None:
    text = TableText.parse(SQL)
    assert text.without({"userId"}).having(text.removed({"userId"})) == text


def test_a_column_added_meanwhile_keeps_its_place_before_the_constraints() -> None:
    text = TableText.parse("CREATE TABLE t (a, b, CHECK (b > 0), CHECK (a > 0))")
    shorter = TableText(("a", "c", "CHECK (a > 0)"), "")
    assert shorter.having(text.removed({"b"})).definitions == ("a", "b", "c", "CHECK (b > 0)", "CHECK (a > 0)")


def test_sqlite_takes_the_text_that_comes_out() -> None:
    with sqlite3.connect(":memory:") as connection:
        for columns in (set(), {"userId"}, {"check"}):
            text = TableText.parse(SQL).without(columns).sql('"again"')
            connection.execute(text)
            connection.execute('DROP TABLE "again"')
    connection.close()


@pytest.mark.parametrize(
    ("sql", "named"),
    [
        ('CREATE INDEX "userId" ON messages (id)', False),
        ('CREATE INDEX i ON messages (id, "userId")', True),
        ("CREATE INDEX i ON messages (lower(userId))", True),
        ("CREATE INDEX i ON messages (id) WHERE userId IS NULL", True),
        ("CREATE INDEX i ON messages (id) WHERE role = 'userId'", False),
    ],
)
def test_an_index_names_what_it_indexes_and_asks(sql: str, named: bool) -> None:
    assert index_names_any(sql, {"userId"}) is named
