"""Finds and reads layouts: the built-in ones by name, a user's own by file."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from chatctl.errors import LayoutError
from chatctl.layouts.model import Layout
from chatctl.yamlfile import YamlDocument

_BUILTIN = "chatctl.layouts.builtin"


def builtin_names() -> list[str]:
    """The names of the layouts that ship with chatctl, sorted."""
    files = resources.files(_BUILTIN).iterdir()
    return sorted(file.name.removesuffix(".yaml") for file in files if file.name.endswith(".yaml"))


def load_layout(name_or_file: str) -> Layout:
    """The layout called `name_or_file`, or the one in that file.

    A value that holds a path separator or ends in .yaml or .yml is a file. Raises LayoutError where there is no
    such layout, or naming line, key and what was expected where the file is wrong.
    """
    if "/" in name_or_file or name_or_file.endswith((".yaml", ".yml")):
        return _layout_in(YamlDocument.read(Path(name_or_file), LayoutError))
    if name_or_file not in builtin_names():
        raise LayoutError(
            f"No layout is called '{name_or_file}'.",
            hint=f"Built in: {', '.join(builtin_names())}. Your own is a file: its name ends in .yaml, or holds a /.",
        )
    file = resources.files(_BUILTIN) / f"{name_or_file}.yaml"
    return _layout_in(YamlDocument(file.read_text(encoding="utf-8"), f"{name_or_file}.yaml", LayoutError))


def _layout_in(document: YamlDocument) -> Layout:
    layout = document.validate(Layout)
    for path, problem in layout.dangling():
        raise document.problem(path, problem + ".")
    return layout
