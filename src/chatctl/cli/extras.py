"""Rooms of chatctl that only an extra brings: they are imported by name, when their command is called."""

from __future__ import annotations

import importlib
from typing import Any

from chatctl.errors import MissingExtraError


def room(module: str, extra: str, needed_for: str) -> Any:
    """The module; raises MissingExtraError where a package that the extra brings isn't installed."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as problem:
        if (problem.name or "").startswith("chatctl"):
            raise
        raise MissingExtraError(extra, needed_for) from problem
