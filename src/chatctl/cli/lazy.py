"""Which commands there are, and in which module each lives.

`chatctl --help` and completion read this table alone; a command's module is imported when the command is called.
A new command is one line here, its module and its schema.
"""

from __future__ import annotations

import gc
import importlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption
from typer.main import get_command

from chatctl.cli import completing
from chatctl.cli.options import declared_options, global_options


@dataclass(frozen=True)
class Deferred:
    """A command or group that isn't imported yet: `module` holds its `app`, a typer.Typer."""

    name: str
    module: str
    help: str
    panel: str


_START = "Start here"
_MIGRATE = "Migrate"
_ROWS = "Rows"
_RETENTION = "Retention"
_SESSIONS = "Sessions"
_SAFETY = "Safety"
_AROUND = "Around the data"
_SERVE = "Serve"

REGISTRY: tuple[Deferred, ...] = (
    Deferred("init", "chatctl.cli.init", "Write chatctl.yaml for a database.", _START),
    Deferred("config", "chatctl.cli.config", "Show and check the configuration.", _START),
    Deferred("demo", "chatctl.cli.demo", "A made-up legacy database, and the journey on it.", _START),
    Deferred("migrate", "chatctl.cli.migrate", "Carry the schema to its new shape, and back.", _MIGRATE),
    Deferred("regroup", "chatctl.cli.regroup", "Turn flat messages into chats.", _MIGRATE),
    Deferred("runs", "chatctl.cli.runs", "Look at runs, hold them up, end them.", _MIGRATE),
    Deferred("import", "chatctl.cli.import_", "Rows of files into a table.", _ROWS),
    Deferred("export", "chatctl.cli.export", "A table's rows as a file.", _ROWS),
    Deferred("purge", "chatctl.cli.purge", "Delete what retention lets go, archived first.", _RETENTION),
    Deferred("sessions", "chatctl.cli.sessions", "Create, show, name, share and archive sessions.", _SESSIONS),
    Deferred("counters", "chatctl.cli.counters", "Check and repair what session numbers come from.", _SESSIONS),
    Deferred("permissions", "chatctl.cli.permissions", "Ask who may enter a project.", _SESSIONS),
    Deferred("backup", "chatctl.cli.backup", "Back up SQL and Redis as one, prove it, restore it.", _SAFETY),
    Deferred("rollback", "chatctl.cli.rollback", "Go back to where a run began.", _SAFETY),
    Deferred("record", "chatctl.cli.record", "Keep the migration's own record.", _AROUND),
    Deferred("doctor", "chatctl.cli.doctor", "Check everything around the data.", _AROUND),
    Deferred("env", "chatctl.cli.env", "Check, compare and convert .env files.", _AROUND),
    Deferred("code", "chatctl.cli.code", "Find and rewrite old forms in source code.", _AROUND),
    Deferred("serve", "chatctl.cli.serve", "Serve the five systems' endpoints.", _SERVE),
    Deferred("users", "chatctl.cli.users", "Accounts and tokens of the embedded API.", _SERVE),
    Deferred("smoke", "chatctl.cli.smoke", "The guides' test scripts against any server.", _SERVE),
    Deferred("payload", "chatctl.cli.payload", "Check and rewrite ray's requests.", _SERVE),
)


def placeholders() -> dict[str, TyperCommand]:
    """A command for each line of the registry that has a name and a help text and nothing else."""
    return {
        entry.name: TyperCommand(entry.name, help=entry.help, rich_help_panel=entry.panel, rich_markup_mode=None)
        for entry in REGISTRY
    }


def load(name: str) -> TyperCommand | TyperGroup:
    """The real command `name`, with the global options on each of its levels. Imports its module."""
    entry = next(entry for entry in REGISTRY if entry.name == name)
    app: typer.Typer = importlib.import_module(entry.module).app
    command = get_command(app)
    assert isinstance(command, TyperCommand | TyperGroup)
    command.name = name
    _prepare(command, declared_options())
    return command


def _prepare(command: TyperCommand | TyperGroup, declared: Sequence[TyperOption]) -> None:
    """Gives `command` and everything below it the global options, completion, and help that needs no Rich."""
    own = {spelling for param in command.params for spelling in param.opts}
    for param in command.params:
        completed = completing.BY_METAVAR.get((param.metavar or "").strip("[]"), param.name)
        if completed in completing.BY_NAME:
            param._custom_shell_complete = partial(_complete, completed)
    command.params = [*command.params, *global_options(declared, hidden=True, taken=own)]
    command.rich_markup_mode = None
    command.epilog = command.epilog or "Global options (chatctl --help) go before or after the command."
    for below in getattr(command, "commands", {}).values():
        _prepare(below, declared)


def _complete(name: str, _context: object, _param: object, incomplete: str) -> list[str]:
    return completing.values_for(name, incomplete)


def leaves(command: TyperCommand | TyperGroup, path: str) -> Iterator[str]:
    """The words of every command that does something, from `path` down: "migrate", "migrate status"."""
    if not isinstance(command, TyperGroup):
        yield path
        return
    if command.invoke_without_command:
        yield path
    for name, below in command.commands.items():
        assert isinstance(below, TyperCommand | TyperGroup)
        yield from leaves(below, f"{path} {name}")


def every_command() -> list[str]:
    """The words of every command there is. Imports all their modules."""
    return [words for entry in REGISTRY for words in leaves(load(entry.name), entry.name)]


@contextmanager
def importing() -> Iterator[None]:
    """Lets the garbage collector rest while modules load: none of them is garbage, and looking takes a sixth of it."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
