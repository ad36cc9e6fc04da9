"""Finds the statements of an SQL script, and the comments that say which rules they are allowed to break.

`-- chatctl: allow table-copy` stands above a statement, in it or behind it on its last line, and may name several
rules, with commas between them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from chatctl.services.lint.tokens import Token, TokenKind, tokens

_ALLOWANCE = re.compile(r"chatctl:\s*allow\s+(?P<rules>[\w-]+(?:\s*,\s*[\w-]+)*)", re.IGNORECASE)
_DELIMITER = re.compile(r"^[ \t]*delimiter[ \t]+(\S+)[ \t]*$", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class SourceStatement:
    """One statement: its text and tokens without comments, where it begins, and the rules that it may break."""

    sql: str
    tokens: tuple[Token, ...]
    where: str
    allowed: frozenset[str] = frozenset()


def allowances(comment: str) -> frozenset[str]:
    """The rules that a comment names, if it is an allowance."""
    match = _ALLOWANCE.search(comment)
    return frozenset(re.split(r"\s*,\s*", match["rules"].lower())) if match else frozenset()


def statements(script: str, where: str, *, backslash_escapes: bool) -> Iterator[SourceStatement]:
    """The statements of `script` in order; `where` is what their places are named by: its file.

    Of what stands under another DELIMITER (procedures, triggers) nothing is read: it changes no table.
    """
    script = _without_routines(script)
    found: list[Token] = []
    for token in tokens(script, backslash_escapes=backslash_escapes):
        complete = bool(found) and found[-1].is_symbol(";")
        if complete and token.kind is TokenKind.COMMENT and token.line == found[-1].line:
            found.insert(-1, token)
            continue
        if complete:
            yield from _statement(script, found, where)
            found = []
        found.append(token)
    yield from _statement(script, found, where)


def _statement(script: str, found: Iterable[Token], where: str) -> Iterator[SourceStatement]:
    kept = [token for token in found if token.kind is not TokenKind.COMMENT and not token.is_symbol(";")]
    if not kept:
        return
    comments = [token.text for token in found if token.kind is TokenKind.COMMENT]
    allowed = frozenset[str]().union(*map(allowances, comments))
    text = script[kept[0].start : kept[-1].end]
    yield SourceStatement(text, tuple(kept), f"{where}:{kept[0].line}", allowed)


def _without_routines(script: str) -> str:
    """Blanks, with as many lines, from a DELIMITER to the one that brings `;` back."""
    pieces, position, hidden = [], 0, False
    for match in _DELIMITER.finditer(script):
        piece = script[position : match.start()]
        pieces.append("\n" * piece.count("\n") if hidden else piece)
        hidden = match.group(1) != ";"
        position = match.end()
    rest = script[position:]
    return "".join([*pieces, "\n" * rest.count("\n") if hidden else rest])
