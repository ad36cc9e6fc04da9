"""Which rules a line of a Python revision is allowed to break, by the comments that stand with it.

`# chatctl: allow table-copy` stands on the statement's own lines, or right above it or above what it is in: a block,
or the whole function.
"""

from __future__ import annotations

import ast
import io
import tokenize

from chatctl.services.lint.statements import allowances


class Allowances:
    """The allowances of one source file."""

    def __init__(self, source: str) -> None:
        self._comments = _comments(source)
        self._nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.stmt)]

    def at(self, line: int) -> frozenset[str]:
        """The rules that may be broken by what `line` sends."""
        around = [node for node in self._nodes if node.lineno <= line <= (node.end_lineno or node.lineno)]
        if not around:
            return frozenset()
        innermost = max(around, key=lambda node: node.lineno)
        lines = set(range(innermost.lineno, (innermost.end_lineno or innermost.lineno) + 1))
        for node in around:
            lines.update(self._above(node.lineno))
        named = [allowances(text) for at, (text, _) in self._comments.items() if at in lines]
        return frozenset[str]().union(*named)

    def _above(self, line: int) -> list[int]:
        """The comment lines that end right above `line`, and the line itself."""
        found = [line]
        while self._comments.get(found[-1] - 1, ("", False))[1]:
            found.append(found[-1] - 1)
        return found


def _comments(source: str) -> dict[int, tuple[str, bool]]:
    """Line → its comment, and whether the line holds nothing else."""
    found: dict[int, tuple[str, bool]] = {}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            found[token.start[0]] = (token.string, token.line.strip().startswith("#"))
    return found
