"""Rebuilding a SQLite table without some columns, or with them again, and with everything else as it was.

SQLite can't drop a column that a constraint of the table names, nor add one that must not be null. The way that its
manual gives is to make the table anew. The new CREATE TABLE is the old one's own text less (or plus) single
definitions, so that checks, collations, generated columns and whatever else stands there stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""'(?:[^']|'')*' | "(?:[^"]|"")*" | `(?:[^`]|``)*` | \[[^\]]*\] | --[^\n]* | /\*.*?\*/ | \w+ | . """,
    re.VERBOSE | re.DOTALL,
)
_CONSTRAINT = {"CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN"}


@dataclass(frozen=True)
class TableText:
    """A CREATE TABLE statement in its parts: the definitions between the brackets, and what follows them."""

    definitions: tuple[str, ...]
    tail: str

    @classmethod
    def parse(cls, sql: str) -> TableText:
        """Splits the statement at its own brackets and commas, not at those in strings, comments or expressions."""
        parts: list[str] = []
        depth, current = 0, ""
        tokens = _TOKEN.findall(sql[_body_at(sql) :])
        for place, token in enumerate(tokens):
            depth += (token == "(") - (token == ")")
            if depth == 0:
                return cls((*parts, current.strip()), "".join(tokens[place + 1 :]).strip())
            if depth == 1 and token == ",":
                parts.append(current.strip())
                current = ""
            elif place > 0:
                current += token
        raise ValueError("the definitions of the table have no end")

    def without(self, columns: set[str]) -> TableText:
        """Less the definitions of `columns` and the constraints that name one of them."""
        kept = [text for text in self.definitions if not names_any(text, columns)]
        return TableText(tuple(kept), self.tail)

    def removed(self, columns: set[str]) -> list[tuple[int, str]]:
        """What `without` leaves out, each with its place."""
        return [(place, text) for place, text in enumerate(self.definitions) if names_any(text, columns)]

    def having(self, definitions: Sequence[tuple[int, str]]) -> TableText:
        """With `definitions` at their places again: columns among the columns, constraints behind them all."""
        texts = list(self.definitions)
        for place, text in definitions:
            columns = sum(column_name(item) is not None for item in texts)
            texts.insert(max(place, columns) if column_name(text) is None else min(place, columns), text)
        return TableText(tuple(texts), self.tail)

    def sql(self, quoted_name: str) -> str:
        """The statement that makes the table under another name."""
        body = ",\n\t".join(self.definitions)
        return f"CREATE TABLE {quoted_name} (\n\t{body}\n) {self.tail}".rstrip()


def column_name(definition: str) -> str | None:
    """The column that a definition defines, or None where it is a constraint of the table."""
    first = next(token for token in _TOKEN.findall(definition) if not _is_space(token))
    return None if first.upper() in _CONSTRAINT else _plain(first)


def names_any(definition: str, columns: set[str]) -> bool:
    """Whether a definition defines one of `columns`, or is a constraint of the table that names one."""
    own = column_name(definition)
    if own is not None:
        return own in columns
    words = _words(definition)
    upper = [word.upper() for word in words]
    # What follows REFERENCES are the parent's columns.
    end = upper.index("REFERENCES") if "REFERENCES" in upper else len(words)
    return bool(columns & {_plain(word) for word in words[:end]})


def index_names_any(sql: str, columns: set[str]) -> bool:
    """Whether a CREATE INDEX statement names one of `columns`: indexed, in an expression, or in its WHERE."""
    return bool(columns & {_plain(word) for word in _words(sql[_body_at(sql) :])})


def copy_statement(old: str, new: str, columns: Sequence[str], filled: Mapping[str, str]) -> str:
    """INSERT INTO new … SELECT … FROM old: `columns` as they are, and each of `filled` from its expression.

    All of it quoted already.
    """
    names = ", ".join([*columns, *filled])
    values = ", ".join([*columns, *filled.values()])
    return f"INSERT INTO {new} ({names}) SELECT {values} FROM {old}"


def _body_at(sql: str) -> int:
    place = 0
    for token in _TOKEN.findall(sql):
        if token == "(":
            return place
        place += len(token)
    raise ValueError("no CREATE TABLE with definitions")


def _words(definition: str) -> list[str]:
    """The names and keywords of a definition, in order; a string in single quotes is neither."""
    return [token for token in _TOKEN.findall(definition) if token[0] in '"`[_' or token[0].isalnum()]


def _is_space(token: str) -> bool:
    return token.isspace() or token.startswith(("--", "/*"))


def _plain(token: str) -> str:
    if token[0] in "\"`'":
        return token[1:-1].replace(token[0] * 2, token[0])
    return token[1:-1] if token[0] == "[" else token
