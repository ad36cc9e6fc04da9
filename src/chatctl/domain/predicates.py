"""Exemptions as layouts write them: `is_pinned is true or status = 'kept'`. Standard library only.

A predicate is terms joined by `or`, each of which is comparisons joined by `and`. There are no brackets.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Operator = Literal["=", "!="]
Value = str | int | bool | None

_COMPARISON = re.compile(
    r"\s*(?P<column>[a-z_][a-z0-9_]*)\s*"
    r"(?:is\s+(?P<negated>not\s+)?(?P<word>true|false|null)"
    r"|(?P<operator>=|!=)\s*(?:'(?P<text>(?:[^']|'')*)'|(?P<number>-?[0-9]+)))\s*"
)
_WORDS: dict[str, Value] = {"true": True, "false": False, "null": None}


@dataclass(frozen=True)
class Comparison:
    """One column held against one value."""

    column: str
    operator: Operator
    value: Value


#: Any of these, all of whose comparisons hold.
Predicate = tuple[tuple[Comparison, ...], ...]


def parse_predicate(text: str) -> Predicate:
    """Reads a predicate; raises ValueError saying where it ends to make sense."""
    terms: list[list[Comparison]] = [[]]
    position = 0
    while True:
        match = _COMPARISON.match(text, position)
        if match is None:
            raise ValueError(
                f"expected a comparison such as is_pinned is true or status = 'kept' at '{text[position:]}'"
            )
        terms[-1].append(_comparison(match))
        position = match.end()
        if position == len(text):
            return tuple(tuple(term) for term in terms)
        joint = re.compile(r"(and|or)\b").match(text, position)
        if joint is None:
            raise ValueError(f"expected 'and' or 'or' at '{text[position:]}'")
        if joint[1] == "or":
            terms.append([])
        position = joint.end()


def _comparison(match: re.Match[str]) -> Comparison:
    if match["word"]:
        return Comparison(match["column"], "!=" if match["negated"] else "=", _WORDS[match["word"]])
    value: Value = int(match["number"]) if match["number"] else (match["text"] or "").replace("''", "'")
    return Comparison(match["column"], "!=" if match["operator"] == "!=" else "=", value)
