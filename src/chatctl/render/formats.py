"""The words that --output, --color and --log-format take. Standard library only."""

from __future__ import annotations

from enum import StrEnum


class Format(StrEnum):
    """How the answer is written to stdout."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    CSV = "csv"


class ColorMode(StrEnum):
    """When escapes are written: `auto` is on a terminal that didn't opt out."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


class LogFormat(StrEnum):
    """How log lines and progress are written to stderr."""

    TEXT = "text"
    JSON = "json"
