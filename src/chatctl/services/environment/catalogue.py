"""The catalogue of variables: what each means, what it may hold, who needs it. Its data stands in catalogue.yaml."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources
from typing import Literal

from pydantic import BaseModel, ConfigDict

from chatctl.errors import UsageError
from chatctl.yamlfile import YamlDocument

Kind = Literal["text", "secret", "integer", "number", "boolean", "url", "host", "choice", "list"]
Environment = Literal["development", "staging", "production"]

ENVIRONMENTS: tuple[Environment, ...] = ("development", "staging", "production")
OLD, NEW = "1.x", "2.0"


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Variable(_Entry):
    """One variable. `minimum` is a length for a secret, a value for a number."""

    group: str
    type: Kind
    doc: str
    systems: list[str]
    secret: bool = False
    since: Literal["1.x", "2.0"] = "1.x"
    default: str | None = None
    required: Literal["always"] | list[Environment] = []
    when: dict[str, str] = {}
    new: str | None = None
    safe: str | None = None
    rollback: str | None = None
    choices: list[str] = []
    schemes: list[str] = []
    known: list[str] = []
    minimum: float | None = None
    maximum: float | None = None

    @property
    def hidden(self) -> bool:
        """Whether its value is never shown."""
        return self.secret or self.type == "secret"

    @property
    def made_here(self) -> bool:
        """Whether it is a secret of one's own choice, not one that a provider hands out."""
        return self.type == "secret" and self.minimum is not None

    def needed_in(self, environment: str) -> bool:
        """Whether the `environment` needs it, its `when` left aside."""
        return self.required == "always" or environment in self.required


class System(_Entry):
    """A system, and the variables that only it has: a file that holds one of them is its file."""

    title: str
    mark: list[str]


class Catalogue(_Entry):
    """Every variable and every system, by name."""

    systems: dict[str, System]
    keys: dict[str, Variable]
    same: dict[str, str] = {}
    current: list[str] = []

    def systems_of(self, names: Iterable[str]) -> list[str]:
        """The systems whose own variables are among `names`."""
        held = set(names)
        return [name for name, system in self.systems.items() if held & set(system.mark)]

    def version_of(self, names: Iterable[str]) -> str:
        """Whether a file that holds `names` is one of 1.x or of 2.0."""
        return NEW if set(names) & set(self.current) else OLD

    def of(self, systems: Iterable[str]) -> Mapping[str, Variable]:
        """The variables that one of `systems` reads, in the catalogue's order."""
        wanted = set(systems)
        return {name: variable for name, variable in self.keys.items() if wanted & set(variable.systems)}

    def chosen(self, system: str | None, names: Iterable[str]) -> list[str]:
        """The systems to judge a file by: the one that was named (toolboxai for one that has no variables of its own
        and no mark in the file), else those that the file's `names` show.

        Raises UsageError for a system that isn't in the catalogue.
        """
        if system is not None and system not in self.systems:
            raise UsageError(f"No system is called '{system}'.", hint=f"Known: {', '.join(self.systems)}.")
        return [system] if system is not None else self.systems_of(names) or ["toolboxai"]


@cache
def catalogue() -> Catalogue:
    """The catalogue that ships with chatctl."""
    text = (resources.files("chatctl.services.environment") / "catalogue.yaml").read_text(encoding="utf-8")
    return YamlDocument(text, "catalogue.yaml").validate(Catalogue)
