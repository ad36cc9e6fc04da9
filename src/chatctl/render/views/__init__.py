"""How each command's answer looks to people, and which of its lists is the one that CSV shows.

A view turns a result's data into blocks. It stands in the module named after its command's first word
(`chatctl.render.views.migrate` for "migrate status"), which is imported when it is needed. A command without a
view gets a page made from its data's shape.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from chatctl.render.blocks import Block, Facts, Rows, facts, label, rows

Data = Mapping[str, Any]
Page = Callable[[Data], Iterable[Block]]


def page_by_shape(data: Data) -> Iterator[Block]:
    """Plain values as facts, lists of objects as tables, everything else by its name."""
    plain = {key: value for key, value in data.items() if not _has_parts(value)}
    if plain:
        yield facts(plain)
    for key, value in data.items():
        if not _has_parts(value):
            continue
        if isinstance(value, Mapping):
            yield Facts(tuple((str(name), item) for name, item in value.items()), title=label(key))
        else:
            yield rows(value, title=label(key))


def _has_parts(value: Any) -> bool:
    if isinstance(value, Mapping):
        return bool(value)
    return isinstance(value, list) and bool(value) and all(isinstance(item, Mapping) for item in value)


@dataclass(frozen=True)
class View:
    """A command's page, and for CSV the key of its principal list and that list's columns."""

    page: Page = page_by_shape
    principal: str | None = None
    columns: tuple[str, ...] = ()


_views: dict[str, View] = {}


def view(command: str, *, principal: str | None = None, columns: tuple[str, ...] = ()) -> Callable[[Page], Page]:
    """Registers the decorated function as the page of `command`."""

    def register(page: Page) -> Page:
        _views[command] = View(page, principal, columns)
        return page

    return register


def view_of(command: str) -> View:
    """The view registered for `command`, or the one made from the data's shape."""
    if command not in _views:
        module = f"{__name__}.{command.split(' ', 1)[0].replace('-', '_')}"
        if importlib.util.find_spec(module) is not None:
            importlib.import_module(module)
    return _views.get(command) or View()


__all__ = ["Block", "Data", "Facts", "Rows", "View", "page_by_shape", "view", "view_of"]
