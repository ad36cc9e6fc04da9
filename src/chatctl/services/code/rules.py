"""The rules of the code scan: ast-grep's own format, in YAML files.

The files in `forms` hold lists of rules; `languages` stands for a rule of each, and languages.yaml says what they have
in common. A user's file holds rules as ast-grep takes them, one a document.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from chatctl.errors import InputFileError

#: tree-sitter's grammar for TSX reads JavaScript and JSX as well; only plain TypeScript needs its own.
LANGUAGE_GLOBS = {"tsx": ["*.js", "*.jsx", "*.mjs", "*.cjs"]}


_HERE = resources.files("chatctl.services.code")


@dataclass(frozen=True)
class Import:
    """A name that rewritten code needs, and the module that has it."""

    name: str
    module: str


@dataclass(frozen=True)
class RuleSet:
    """Rules as ast-grep takes them, one for each language."""

    rules: tuple[dict[str, Any], ...]

    @property
    def text(self) -> str:
        """All rules as the documents of one YAML text."""
        return "---\n".join(yaml.safe_dump(rule, sort_keys=False, allow_unicode=True) for rule in self.rules)


@cache
def own_rules() -> tuple[dict[str, Any], ...]:
    """The rules that ship with chatctl."""
    folder = _HERE / "forms"
    files = sorted(file.name for file in folder.iterdir() if file.name.endswith(".yaml"))
    return tuple(
        rule for file in files for item in yaml.safe_load((folder / file).read_text("utf-8")) for rule in _each(item)
    )


def rule_set(user_files: tuple[Path, ...] = ()) -> RuleSet:
    """The rules that ship with chatctl and those of `user_files`. Raises InputFileError."""
    return RuleSet((*own_rules(), *(rule for file in user_files for rule in _of_a_user(file))))


def _of_a_user(file: Path) -> Iterator[dict[str, Any]]:
    try:
        documents = list(yaml.safe_load_all(file.read_text("utf-8")))
    except OSError as problem:
        raise InputFileError(f"{file}: can't be read: {problem.strerror}.") from problem
    except (yaml.YAMLError, UnicodeDecodeError) as problem:
        raise InputFileError(f"{file}: not YAML: {str(problem).splitlines()[0]}.") from None
    for document in documents:
        for item in document if isinstance(document, list) else [document]:
            if not isinstance(item, dict) or not {"id", "rule"} <= item.keys():
                hint = "A rule has an id, a language, a message and a rule, as ast-grep takes them."
                raise InputFileError(f"{file}: holds something that is no rule.", hint=hint)
            yield from _each(item)


def _each(item: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The rule for each of its languages. ast-grep tells rules apart by their ID, so that holds the language."""
    languages = item.get("languages") or [item.get("language")]
    rest = {key: value for key, value in item.items() if key not in ("languages", "language", "id")}
    for language in languages:
        yield {"id": f"{item['id']}:{language}", "language": language, **rest, **_common(language, rest)}


def _common(language: str, rule: dict[str, Any]) -> dict[str, Any]:
    common = _languages().get(language)
    return {"utils": {**common, **rule.get("utils", {})}} if common else {}


@cache
def _languages() -> dict[str, dict[str, Any]]:
    loaded: dict[str, dict[str, Any]] = yaml.safe_load((_HERE / "languages.yaml").read_text("utf-8"))
    return loaded
