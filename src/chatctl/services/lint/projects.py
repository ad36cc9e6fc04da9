"""Where an Alembic project's files are, read from its configuration without running anything of it."""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Iterator
from configparser import ConfigParser
from dataclasses import dataclass
from pathlib import Path

from chatctl.errors import ConfigurationError

#: Alembic's own name for it.
_VERSION_TABLE = "alembic_version"
_SEPARATORS = re.compile(r"[,;\s]+")


@dataclass(frozen=True)
class AlembicProject:
    """A project's script directory, the folders of its revisions, where its imports start from, and its alembic.ini."""

    location: Path
    version_folders: tuple[Path, ...]
    root: Path
    ini: Path | None = None


def find_project(place: str) -> AlembicProject:
    """The project at `place`: a script directory, the folder that holds its alembic.ini, or `package:folder`.

    Raises ConfigurationError where there is none.
    """
    folder = (_in_package(place) if ":" in place and not Path(place).exists() else Path(place)).resolve()
    own = folder / "alembic.ini"
    if own.is_file():
        return _configured(own)
    if not folder.is_dir():
        raise ConfigurationError(f"There is no folder {place}.", hint="Name the folder that holds Alembic's env.py.")
    for ini in (parent / "alembic.ini" for parent in folder.parents[:2]):
        if ini.is_file() and (project := _configured(ini)).location == folder:
            return project
    versions = folder / "versions"
    return AlembicProject(folder, (versions if versions.is_dir() else folder,), folder.parent)


def version_table_of(project: AlembicProject) -> str:
    """The version table that the project's env.py names, as far as its text tells."""
    try:
        tree = ast.parse((project.location / "env.py").read_text(encoding="utf-8"))
    except (OSError, SyntaxError, UnicodeDecodeError):
        return _VERSION_TABLE
    named = [
        keyword.value.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg == "version_table" and isinstance(keyword.value, ast.Constant)
    ]
    return next((name for name in named if isinstance(name, str)), _VERSION_TABLE)


def _in_package(place: str) -> Path:
    package, _, folder = place.partition(":")
    try:
        found = importlib.util.find_spec(package)
    except ImportError:
        found = None
    if found is None or found.origin is None:
        raise ConfigurationError(f"There is no package {package} to find {folder} in.")
    return Path(found.origin).parent / folder


def _configured(ini: Path) -> AlembicProject:
    here = ini.resolve().parent
    parser = ConfigParser({"here": str(here)})
    parser.read(ini, encoding="utf-8")
    options = parser["alembic"] if parser.has_section("alembic") else parser.defaults()
    location = here / options.get("script_location", "alembic")
    listed = options.get("version_locations", "")
    folders = tuple(_folders(here, listed)) or (location / "versions",)
    if options.get("recursive_version_locations", "false").lower() == "true":
        folders += tuple(below for folder in folders for below in sorted(folder.rglob("*")) if _holds_revisions(below))
    return AlembicProject(location.resolve(), folders, here, ini)


def _holds_revisions(folder: Path) -> bool:
    return folder.is_dir() and folder.name != "__pycache__"


def _folders(here: Path, listed: str) -> Iterator[Path]:
    for part in filter(None, _SEPARATORS.split(listed.strip())):
        yield from (here / piece for piece in part.split(":") if piece)
