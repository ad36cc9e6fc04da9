"""What chatctl was told: files, variables and flags, merged into one context.

The names below are loaded when they are first used: the command line reads `flags` from this package at every
start, and must not pay for pydantic and YAML then.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chatctl.settings.loading import initial_settings, load_settings, project_file
    from chatctl.settings.model import PurgePolicy, RedisSettings, Setting, Settings
    from chatctl.settings.secrets import Secret

__all__ = [
    "PurgePolicy", "RedisSettings", "Secret", "Setting", "Settings", "initial_settings", "load_settings",
    "project_file",
]  # fmt: skip

_MODULES = {
    "PurgePolicy": "model",
    "RedisSettings": "model",
    "Secret": "secrets",
    "Setting": "model",
    "Settings": "model",
    "initial_settings": "loading",
    "load_settings": "loading",
    "project_file": "loading",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
