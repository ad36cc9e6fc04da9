"""The project's own source as syntax trees, and the rules of style that no linter knows.

A rule takes a tree and yields its offences as (line, what). The import contracts are elsewhere: in pyproject.toml.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.support.sample import REPOSITORY

PACKAGE = REPOSITORY / "src" / "chatctl"
MIGRATIONS = REPOSITORY / "migrations"

Offence = tuple[int, str]
Rule = Callable[[ast.Module], Iterator[Offence]]

_EXITS = {"sys.exit", "os._exit", "exit", "quit"}

DIALECT_NAMES = {"sqlite", "mysql", "mariadb", "postgresql", "postgres"}


def python_files(*folders: Path) -> list[Path]:
    """Every Python file below `folders`, sorted."""
    return sorted(path for folder in folders for path in folder.rglob("*.py"))


def offences(rule: Rule, files: list[Path]) -> list[str]:
    """`file:line: what` for each place in `files` that breaks `rule`."""
    return [
        f"{path.relative_to(REPOSITORY)}:{line}: {what}"
        for path in files
        for line, what in rule(ast.parse(path.read_text(encoding="utf-8")))
    ]


def compared_dialect_names(tree: ast.Module) -> Iterator[Offence]:
    """A dialect's name in a comparison, a `case`, or a startswith; `.is_mariadb` is one in disguise."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            operands = [node.left, *node.comparators]
            named = any(_dialect_names_in(operand) for operand in operands)
        elif isinstance(node, ast.MatchValue):
            named = bool(_dialect_names_in(node.value))
        elif isinstance(node, ast.Call):
            named = _attribute(node.func) in {"startswith", "endswith"} and any(
                _dialect_names_in(argument) for argument in node.args
            )
        elif isinstance(node, ast.Attribute):
            named = node.attr == "is_mariadb"
        else:
            continue
        if named:
            yield getattr(node, "lineno", 0), f"compares a dialect's name: {ast.unparse(node)}"


def exits(tree: ast.Module) -> Iterator[Offence]:
    """Whatever ends the process: sys.exit, os._exit, SystemExit, exit() and quit()."""
    for node in ast.walk(tree):
        called = isinstance(node, ast.Call) and ast.unparse(node.func) in _EXITS
        raised = isinstance(node, ast.Raise) and node.exc is not None and "SystemExit" in ast.unparse(node.exc)
        if called or raised:
            yield getattr(node, "lineno", 0), f"exits: {ast.unparse(node)}"


def prints(tree: ast.Module) -> Iterator[Offence]:
    """Whatever writes to the terminal: print, the standard streams, Typer's echo, a Rich console.

    `sys.stderr` may be handed on (to the logging handler, say), but not used.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name in {"print", "Console"} or name.rpartition(".")[2] in {"echo", "secho"}:
                yield node.lineno, f"prints: {ast.unparse(node)}"
        elif isinstance(node, ast.Attribute) and ast.unparse(node).startswith(("sys.stdout", "sys.stderr.")):
            yield node.lineno, f"uses a standard stream: {ast.unparse(node)}"


def imports_beyond_the_standard_library(tree: ast.Module) -> Iterator[Offence]:
    """Imports of anything but the standard library, chatctl.domain and chatctl.errors."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or "."]
            if node.module == "chatctl":
                names = [f"chatctl.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            own = name.startswith(("chatctl.domain", "chatctl.errors"))
            if not own and name.partition(".")[0] not in sys.stdlib_module_names:
                yield node.lineno, f"imports {name}"


def building(classes: set[str]) -> Rule:
    """The rule that none of `classes` is instantiated."""

    def builds(tree: ast.Module) -> Iterator[Offence]:
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and _attribute(node.func) in classes:
                yield node.lineno, f"builds a store: {ast.unparse(node)}"

    return builds


def store_classes() -> set[str]:
    """The classes of the stores room that hold a connection: those that can be closed."""
    found = set()
    for path in python_files(PACKAGE / "stores"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                methods = {item.name for item in node.body if isinstance(item, ast.FunctionDef)}
                if "close" in methods:
                    found.add(node.name)
    return found


def _attribute(function: ast.expr) -> str:
    """`name` of both `name` and `anything.name`."""
    return ast.unparse(function).rpartition(".")[2]


def _dialect_names_in(expression: ast.expr) -> set[str]:
    """The dialect names that `expression` is, or that a literal collection holds."""
    if isinstance(expression, ast.Tuple | ast.List | ast.Set):
        return set().union(*(_dialect_names_in(item) for item in expression.elts))
    if isinstance(expression, ast.Constant) and isinstance(expression.value, str):
        return {expression.value.partition("+")[0].rstrip(":/")} & DIALECT_NAMES
    return set()
