"""One call of the program: what its global options said, and what is made from them when it is needed."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chatctl.domain.progress import StopSignal
from chatctl.domain.result import Notice
from chatctl.observe.masking import mask
from chatctl.render.formats import ColorMode, Format, LogFormat
from chatctl.render.terminal import Terminal
from chatctl.settings.flags import Flags

if TYPE_CHECKING:
    from chatctl.settings import Settings

_CHOICES: dict[str, type[StrEnum]] = {"output": Format, "color": ColorMode, "log_format": LogFormat}
_SWITCHES = ("quiet", "verbose", "no_input", "yes")
_FALSE = ("", "0", "false", "no", "off")


@dataclass
class Invocation:
    """The global options of one call. Later mentions win over earlier ones, as `remember` is called in their order."""

    config: str | None = None
    context: str | None = None
    database: str | None = None
    redis: str | None = None
    layout: str | None = None
    output: Format = Format.TABLE
    quiet: bool = False
    verbose: bool = False
    no_input: bool = False
    yes: bool = False
    color: ColorMode = ColorMode.AUTO
    log_format: LogFormat = LogFormat.TEXT
    #: The raw command line, for the sentence that says how to go on.
    arguments: Sequence[str] = ()
    #: Set by the first SIGINT or SIGTERM, polled by long work.
    stop: StopSignal = field(default_factory=StopSignal)
    #: What was noticed before the command's work began, for the answer.
    warnings: list[Notice] = field(default_factory=list)
    #: What is to be undone when the command ends: signal handlers, open stores.
    cleanup: ExitStack = field(default_factory=ExitStack)

    def remember(self, option: str, value: Any) -> None:
        """Stores an option's value. Raises ValueError, naming what is allowed, where it isn't one of its words."""
        if option in _CHOICES:
            choices = _CHOICES[option]
            if value not in list(choices):
                raise ValueError(f"'{value}' is not one of {', '.join(choices)}.")
            value = choices(value)
        elif option in _SWITCHES:
            value = str(value).lower() not in _FALSE
        setattr(self, option, value)
        if self.quiet and self.verbose:
            raise ValueError("--quiet and --verbose exclude each other.")

    @property
    def flags(self) -> Flags:
        """What the settings read of the command line."""
        return Flags(self.config, self.context, self.database, self.redis, self.layout)

    @property
    def terminal(self) -> Terminal:
        """How to talk to whoever called."""
        return Terminal(self.color, self.quiet, self.verbose)

    @cached_property
    def settings(self) -> Settings:
        """The settings of this call, read once. Raises ConfigurationError."""
        from chatctl.settings import load_settings

        settings = load_settings(self.flags, os.environ, Path.cwd())
        self.warnings.extend(settings.warnings)
        return settings

    @property
    def has_settings(self) -> bool:
        """Whether the settings were asked for, and could be read."""
        return "settings" in self.__dict__

    @property
    def command_line(self) -> str | None:
        """What was typed, without secrets; None where nothing was (a call from Python)."""
        return mask(shlex.join(("chatctl", *self.arguments))) if self.arguments else None
