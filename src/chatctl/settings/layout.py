"""The layout that the settings name."""

from __future__ import annotations

from pathlib import Path

from chatctl.errors import LayoutError
from chatctl.layouts import Layout, load_layout
from chatctl.settings.loading import is_file
from chatctl.settings.model import Settings


def configured_layout(settings: Settings) -> Layout:
    """Loads the layout of the chosen context.

    Raises LayoutError: naming who asked for it where there is no such layout, else file, line and key of what is
    wrong in it.
    """
    try:
        return load_layout(settings.layout)
    except LayoutError as problem:
        if is_file(settings.layout) and Path(settings.layout).is_file():
            raise
        raise LayoutError(f"{settings.source('layout')}: layout: {problem.message}", hint=problem.hint) from None
