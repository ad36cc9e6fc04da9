"""Cuts SQL into tokens: words, quoted names, strings, numbers, symbols and comments, each with its line.

It knows how MySQL, MariaDB, PostgreSQL and SQLite quote and comment, and nothing of any grammar.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum


class TokenKind(Enum):
    """What a token is."""

    WORD = "word"
    NAME = "name"
    STRING = "string"
    NUMBER = "number"
    SYMBOL = "symbol"
    COMMENT = "comment"


@dataclass(frozen=True)
class Token:
    """One token. `text` is its value: a name or a string without its quotes; `raw` is how it stands in the SQL."""

    kind: TokenKind
    text: str
    raw: str
    line: int
    start: int

    @property
    def end(self) -> int:
        """The offset behind it."""
        return self.start + len(self.raw)

    def is_word(self, *words: str) -> bool:
        """Whether it is one of the unquoted `words`, given in upper case."""
        return self.kind is TokenKind.WORD and self.text.upper() in words

    def is_symbol(self, text: str) -> bool:
        """Whether it is this symbol."""
        return self.kind is TokenKind.SYMBOL and self.text == text


_PATTERN = r"""
    (?P<space>\s+)
  | (?P<comment>--[^\n]*|/\*.*?\*/{comment})
  | (?P<name>"(?:[^"]|"")*"|`(?:[^`]|``)*`)
  | (?P<dollar>\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
  | (?P<string>{string})
  | (?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
  | (?P<word>@{{0,2}}[^\W\d][\w$]*)
  | (?P<symbol>.)
"""
_ESCAPED = r"'(?:[^'\\]|''|\\.)*'"
_PLAIN = r"[A-Za-z]?'(?:[^']|'')*'"
_FLAGS = re.VERBOSE | re.DOTALL
_BACKSLASHES = re.compile(_PATTERN.format(comment=r"|\#[^\n]*", string=r"[A-Za-z]?" + _ESCAPED), _FLAGS)
_STANDARD = re.compile(_PATTERN.format(comment="", string=f"[eE]{_ESCAPED}|{_PLAIN}"), _FLAGS)
_CONDITIONAL = re.compile(r"/\*M?!\d*(.*?)\*/", re.DOTALL)


def tokens(sql: str, *, backslash_escapes: bool) -> Iterator[Token]:
    """The tokens of `sql`, comments among them.

    With `backslash_escapes` as MySQL and MariaDB read it: backslashes in strings, `#` comments, "…" as a string, and
    the text of `/*! … */` counts.
    """
    pattern = _BACKSLASHES if backslash_escapes else _STANDARD
    if backslash_escapes:
        # Blanks in the place of the marks keep offsets and lines.
        sql = _CONDITIONAL.sub(_bare, sql)
    line = 1
    for match in pattern.finditer(sql):
        raw = match.group()
        if match.lastgroup != "space":
            yield _token(match, raw, line, double_quoted_strings=backslash_escapes)
        line += raw.count("\n")


def _bare(match: re.Match[str]) -> str:
    before = match.start(1) - match.start()
    return " " * before + match.group(1) + "  "


def _token(match: re.Match[str], raw: str, line: int, *, double_quoted_strings: bool) -> Token:
    group = "dollar" if match["dollar"] else match.lastgroup or "symbol"
    if group == "name" and raw[0] == '"' and double_quoted_strings:
        return Token(TokenKind.STRING, raw[1:-1].replace('""', '"'), raw, line, match.start())
    if group == "name":
        return Token(TokenKind.NAME, raw[1:-1].replace(raw[-1] * 2, raw[-1]), raw, line, match.start())
    if group in ("string", "dollar"):
        text = raw[raw.index("'") + 1 : -1].replace("''", "'") if group == "string" else raw
        return Token(TokenKind.STRING, text, raw, line, match.start())
    return Token(TokenKind(group), raw, raw, line, match.start())
