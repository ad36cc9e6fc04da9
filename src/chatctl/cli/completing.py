"""What a shell is told when somebody presses TAB on a value: contexts, layouts, runs, backups.

Nothing here connects to a server: runs and backups are those that chatctl has shown on this machine before, which
`remember` notes. It must answer at once, so nothing heavy is imported.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import chatctl

#: As many of each kind as anybody wants to choose from.
_KEPT = 50

Completer = Callable[[], Iterable[str]]


def contexts() -> list[str]:
    """The contexts of the configuration that is found from here."""
    import yaml

    for file in _configurations():
        with suppress(OSError, ValueError, yaml.YAMLError, AttributeError):
            found: Mapping[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))["contexts"]
            return [str(name) for name in found]
    return []


def layouts() -> list[str]:
    """The built-in layouts, and the files beside the caller that may be one."""
    folder = Path(chatctl.__file__).parent / "layouts/builtin"
    own = [file.name for file in Path().glob("*.yaml") if file.name != "chatctl.yaml"]
    return sorted(file.stem for file in folder.glob("*.yaml")) + sorted(own)


def runs() -> list[str]:
    """The runs that were seen last, newest first."""
    return _remembered().get("runs", [])


def backups() -> list[str]:
    """The backups that were seen last, newest first."""
    return [*_remembered().get("backups", []), "latest"]


#: What completes a value, by its parameter's name.
BY_NAME: dict[str, Completer] = {"context": contexts, "layout": layouts, "run": runs, "backup": backups}
#: Parameters of other names whose metavar says what they take.
BY_METAVAR: dict[str, str] = {"RUN": "run"}


def values_for(name: str, incomplete: str) -> list[str]:
    """The values that a parameter may take and that begin as somebody began."""
    completer = BY_NAME.get(name)
    return [value for value in completer() if value.startswith(incomplete)] if completer else []


def remember(command: str, run_id: str | None, data: Mapping[str, Any]) -> None:
    """Notes the runs and backups in an answer, for later. A cache that can't be written is no matter."""
    seen: dict[str, list[str]] = {"runs": [run_id] if run_id else [], "backups": []}
    if command == "runs list":
        seen["runs"] += [str(item["run_id"]) for item in data.get("runs", ())]
    if command == "backup list":
        seen["backups"] += [str(item["id"]) for item in data.get("backups", ())]
    if command == "backup create" and "id" in data:
        seen["backups"].append(str(data["id"]))
    if not any(seen.values()):
        return
    known = _remembered()
    merged = {kind: sorted({*ids, *known.get(kind, [])}, reverse=True)[:_KEPT] for kind, ids in seen.items()}
    if merged == known:
        return
    with suppress(OSError, RuntimeError):
        _cache().parent.mkdir(parents=True, exist_ok=True)
        draft = _cache().with_suffix(f".{os.getpid()}")
        draft.write_text(json.dumps(merged), encoding="utf-8")
        draft.replace(_cache())


def _remembered() -> dict[str, list[str]]:
    with suppress(OSError, ValueError, RuntimeError):
        content = json.loads(_cache().read_text(encoding="utf-8"))
        return {kind: [str(item) for item in content[kind]] for kind in ("runs", "backups") if kind in content}
    return {}


def _cache() -> Path:
    return _folder("XDG_CACHE_HOME", ".cache") / "completion.json"


def _configurations() -> list[Path]:
    given = os.environ.get("CHATCTL_CONFIG")
    return [Path(given)] if given else [Path("chatctl.yaml"), _folder("XDG_CONFIG_HOME", ".config") / "config.yaml"]


def _folder(variable: str, below_home: str) -> Path:
    given = Path(os.environ.get(variable, ""))
    return (given if given.is_absolute() else Path.home() / below_home) / "chatctl"
