"""Where files are: chatctl's own, in the XDG base directories, and those that a configuration names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from chatctl.errors import ConfigurationError

PROJECT_FILE = "chatctl.yaml"


def data_dir(environ: Mapping[str, str]) -> Path:
    """The folder of the embedded database, the embedded Redis, archives and backups."""
    return _base(environ, "XDG_DATA_HOME", ".local/share") / "chatctl"


def user_config_file(environ: Mapping[str, str]) -> Path:
    """The user's own configuration, which need not exist."""
    return _base(environ, "XDG_CONFIG_HOME", ".config") / "chatctl" / "config.yaml"


def _base(environ: Mapping[str, str], variable: str, below_home: str) -> Path:
    given = Path(environ.get(variable, ""))
    # The XDG specification tells programs to ignore a relative path.
    if given.is_absolute():
        return given
    home = environ.get("HOME")
    try:
        return (Path(home) if home else Path.home()) / below_home
    except RuntimeError:  # an account that the machine doesn't know, as containers have
        raise ConfigurationError(
            "There is no home folder.", hint="Set HOME, or XDG_CONFIG_HOME and XDG_DATA_HOME."
        ) from None


def is_there(path: Path) -> bool:
    """Whether a file that nobody named exists; one in a folder that may not be searched doesn't."""
    try:
        return path.exists()
    except PermissionError:
        return False


def placed(text: str, base: Path) -> Path:
    """The path `text`, seen from `base`; `~` is a home folder where there is such a user."""
    try:
        return base / Path(text).expanduser()
    except RuntimeError:
        return base / text
