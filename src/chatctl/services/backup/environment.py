"""What of the configuration goes into a backup: with secrets left out, or whole where the backup is encrypted."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from chatctl.settings import Settings
from chatctl.settings.secrets import Secret

ENV_FILE = ".env"
_NAME = re.compile(r"^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=", re.MULTILINE)


def describe(settings: Settings, folder: Path) -> dict[str, Any]:
    """The context's settings, the configuration files and the `.env` of `folder`, in both forms.

    Of an application's `.env` nobody can tell which values are secret, so the plain form holds its names alone.
    """
    shown = {
        entry.key: str(entry.value) if isinstance(entry.value, Secret) else entry.value
        for entry in settings.entries.values()
    }
    env = _texts([folder / ENV_FILE])
    names = [name for text in env.values() for name in _NAME.findall(text)]
    plain = {"settings": shown, "env_names": names}
    return {"plain": plain, "encrypted": {**plain, "files": {**_texts(Path(file) for file in settings.files), **env}}}


def _texts(files: Iterable[Path]) -> dict[str, str]:
    """The files that can be read, by name."""
    found = {}
    for path in files:
        try:
            found[path.name] = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            continue
    return found
