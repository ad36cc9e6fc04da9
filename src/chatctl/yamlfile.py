"""YAML files that answer a mistake with its line, its key and what was expected.

Both configuration and layouts are read here: PyYAML parses, pydantic says what is wrong, and this module finds
the line.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from chatctl.errors import ConfigurationError

#: Where a value stands: keys and list positions from the document's root.
KeyPath = tuple[str | int, ...]

M = TypeVar("M", bound=BaseModel)

#: A few aliases of aliases would stand for more than fits into memory.
_MOST_VALUES = 100_000


class YamlDocument:
    """A parsed YAML file that remembers the line of each key.

    `data` is the document as plain values; `source` is what error messages call the file.
    """

    def __init__(self, text: str, source: str, error: type[ConfigurationError] = ConfigurationError) -> None:
        self.source = source
        self.error = error
        self._lines: dict[KeyPath, int] = {}
        try:
            node = yaml.compose(text, Loader=yaml.SafeLoader)
            self._note_lines(node, ())
            self.data: Any = yaml.safe_load(text) if node is not None else {}
        except yaml.MarkedYAMLError as problem:
            line = problem.problem_mark.line + 1 if problem.problem_mark else 1
            # PyYAML's own error quotes the line, which may hold a password: it is not chained.
            raise error(f"{source}:{line}: not YAML: {problem.problem}.") from None
        except (yaml.YAMLError, ValueError) as problem:
            raise error(f"{source}: not YAML: {problem}.") from None
        except RecursionError:
            raise error(f"{source}: nested too deeply, or an alias in it refers to itself.") from None
        if not isinstance(self.data, dict):
            raise error(f"{source}:1: expected keys and values, found {type(self.data).__name__}.")

    @classmethod
    def read(
        cls, path: Path, error: type[ConfigurationError] = ConfigurationError, *, label: str | None = None
    ) -> YamlDocument:
        """Parses the file at `path` (UTF-8), which messages call `label`.

        Raises `error` where it can't be read or isn't YAML.
        """
        source = label or str(path)
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as problem:
            raise error(f"{source}: can't be read: {problem.strerror}.") from problem
        except UnicodeDecodeError:
            raise error(f"{source}: can't be read: it isn't UTF-8.") from None
        return cls(text, source, error)

    def _note_lines(self, node: yaml.Node | None, path: KeyPath) -> None:
        if node is None:
            return
        self._lines.setdefault(path, node.start_mark.line + 1)
        if len(self._lines) > _MOST_VALUES:
            raise self.error(f"{self.source}: more than {_MOST_VALUES:,} values; aliases count each time.")
        if isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key, value in node.value:
                name = str(key.value)
                line = key.start_mark.line + 1
                if name in seen:
                    raise self.error(f"{self.source}:{line}: the key '{name}' stands here twice.")
                seen.add(name)
                self._lines[(*path, name)] = line
                self._note_lines(value, (*path, name))
        elif isinstance(node, yaml.SequenceNode):
            for position, item in enumerate(node.value):
                self._note_lines(item, (*path, position))

    def line(self, path: KeyPath) -> int:
        """The line of the value at `path`, or of the nearest key above it that the file holds."""
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path, 1)

    def where(self, path: KeyPath) -> str:
        """`file:line` of the value at `path`."""
        return f"{self.source}:{self.line(path)}"

    def problem(self, path: KeyPath, message: str, *, hint: str | None = None) -> ConfigurationError:
        """The error that says `message` about the value at `path`."""
        return self.error(f"{self.where(path)}: {dotted(path)}: {message}", hint=hint)

    def validate(self, model: type[M]) -> M:
        """The document as `model`; raises the document's error class naming line, key and expectation."""
        try:
            return model.model_validate(self.data)
        except ValidationError as problems:
            raise self._explain(problems, model) from problems

    def _explain(self, problems: ValidationError, model: type[BaseModel]) -> ConfigurationError:
        lines, hint = [], None
        for item in problems.errors(include_url=False):
            path = tuple(part for part in item["loc"] if not str(part).startswith("function-"))
            if item["type"] == "extra_forbidden":
                known = _fields_at(model, path[:-1])
                close = difflib.get_close_matches(str(path[-1]), known, n=1)
                hint = hint or (f"Did you mean '{close[0]}'?" if close else _known(known))
                lines.append(f"{self.where(path)}: {dotted(path)}: no such key.")
            else:
                text = item["msg"].removeprefix("Value error, ").rstrip(".")
                lines.append(f"{self.where(path)}: {dotted(path)}: {text}.")
        return self.error("\n".join(lines), hint=hint)


def dotted(path: KeyPath) -> str:
    """`contexts.prod.redis.url`, as messages name a key."""
    return ".".join(str(part) for part in path) or "(top)"


def _known(names: list[str]) -> str | None:
    return f"Known keys here: {', '.join(names)}." if names else None


def _fields_at(model: type[BaseModel], path: KeyPath) -> list[str]:
    """The keys that `model` takes at `path`; mappings and lists along the way are stepped through."""
    current: Any = model
    for part in path:
        current = _below(_required(current), part)
    current = _required(current)
    if not _is_model(current):
        return []
    return sorted(field.alias or name for name, field in current.model_fields.items())


def _below(annotation: Any, part: str | int) -> Any:
    """What a model declares for its key `part`, or the type of a mapping's values or a list's items."""
    if _is_model(annotation):
        fields = annotation.model_fields.items()
        return next((field.annotation for name, field in fields if part in (name, field.alias)), None)
    return next(reversed(get_args(annotation)), None)


def _required(annotation: Any) -> Any:
    """`Model` for `Model | None`."""
    if get_origin(annotation) not in (Union, UnionType):
        return annotation
    return next((choice for choice in get_args(annotation) if choice is not NoneType), None)


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
