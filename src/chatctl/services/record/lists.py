"""The completion lists: what must be so at a migration's end, by system. The data stands in lists.yaml."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict

from chatctl.services.doctor.checking import CHECKS

#: The list of a layout that has none of its own.
_USUAL = "native"


class Item(BaseModel):
    """One line of a list, and what can check it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: str
    checks: list[str] = []
    run: str | None = None
    get: str | None = None
    code: bool = False
    env: Literal["development", "staging", "production"] | None = None

    @property
    def checked(self) -> bool:
        """Whether a command can tell; else a person signs."""
        return bool(self.checks or self.run or self.get or self.code or self.env)


def items_of(layout: str) -> dict[str, Item]:
    """The completion list of `layout`."""
    return _all().get(layout) or _all()[_USUAL]


@cache
def _all() -> dict[str, dict[str, Item]]:
    text = (resources.files("chatctl.services.record") / "lists.yaml").read_text(encoding="utf-8")
    found = {
        layout: {key: Item.model_validate(item) for key, item in items.items()}
        for layout, items in yaml.safe_load(text).items()
    }
    known = {check.name for check in CHECKS}
    assert all(set(item.checks) <= known for items in found.values() for item in items.values())
    return found
