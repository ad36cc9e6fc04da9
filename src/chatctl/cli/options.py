"""The options that every command takes, and the reusable ones of commands that change something.

The global options stand once, in the signature of `declare`. They are shown by `chatctl --help` and are taken
before and after the command alike; wherever one is given, it lands in the `Invocation`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperOption
from typer.main import get_command

from chatctl import __version__
from chatctl.cli import completing
from chatctl.cli.invocation import Invocation
from chatctl.render.terminal import Terminal

if TYPE_CHECKING:
    from typer._click import Context  # what Typer calls the context at run time; it has no public name
    from typer._click.shell_completion import CompletionItem


def declare(
    config: Annotated[
        str | None, typer.Option(metavar="FILE", help="Read this file instead of ./chatctl.yaml.")
    ] = None,
    context: Annotated[
        str | None, typer.Option(metavar="NAME", help="The context of the configuration to work in.")
    ] = None,
    database: Annotated[
        str | None, typer.Option(metavar="URL", help="The database. A password is safer in CHATCTL_DATABASE.")
    ] = None,
    redis: Annotated[str | None, typer.Option(metavar="URL", help="Redis or Valkey, or 'embedded'.")] = None,
    layout: Annotated[
        str | None, typer.Option(metavar="NAME|FILE", help="What the system's tables and columns are called.")
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output", "-o", metavar="table|json|yaml|csv", help="How the answer is written.", envvar="CHATCTL_OUTPUT"
        ),
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No progress, no notes.", envvar="CHATCTL_QUIET")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Log everything; tracebacks too.", envvar="CHATCTL_VERBOSE")
    ] = False,
    no_input: Annotated[bool, typer.Option("--no-input", help="Never ask.", envvar="CHATCTL_NO_INPUT")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Yes to what loses no data.", envvar="CHATCTL_YES")] = False,
    color: Annotated[
        str | None,
        typer.Option(metavar="auto|always|never", help="When to use colours.", envvar="CHATCTL_COLOR"),
    ] = None,
    log_format: Annotated[
        str | None,
        typer.Option(metavar="text|json", help="How log lines are written.", envvar="CHATCTL_LOG_FORMAT"),
    ] = None,
) -> None:
    """Carries a chat system from its legacy shape to chats, sessions and counters, and keeps it healthy."""


class GlobalOption(TyperOption):
    """An option whose value goes to the invocation, from whatever level it was given at."""

    def process_value(self, ctx: Context, value: Any) -> Any:
        """Remembers a value that was given.

        A variable counts once, at the root, so that it never beats a flag. Typer's own coercion is left out: it
        would load pydantic for every `--help`.
        """
        source = ctx.get_parameter_source(self.name)
        name = source.name if source is not None else "DEFAULT"
        if name == "COMMANDLINE" or (name == "ENVIRONMENT" and ctx.parent is None):
            try:
                ctx.ensure_object(Invocation).remember(self.name, value)
            except ValueError as problem:
                raise typer.BadParameter(str(problem), ctx=ctx, param=self) from None
        return value

    def shell_complete(self, ctx: Context, incomplete: str) -> list[CompletionItem]:
        """The contexts and layouts that there are; what Typer knows for the others."""
        found = completing.values_for(self.name, incomplete)
        if not found:
            return super().shell_complete(ctx, incomplete)
        from typer._click.shell_completion import CompletionItem  # Typer has no public name for it

        return [CompletionItem(value) for value in found]


def declared_options() -> list[TyperOption]:
    """The options of `declare` as Typer reads them off its signature."""
    return _options_of(declare)


def _options_of(signature: Callable[..., None]) -> list[TyperOption]:
    reader = typer.Typer(add_completion=False)
    reader.command()(signature)
    return [param for param in get_command(reader).params if isinstance(param, TyperOption)]


def global_options(declared: Iterable[TyperOption], *, hidden: bool, taken: Collection[str] = ()) -> list[GlobalOption]:
    """The `declared` options, storing into the invocation.

    A spelling in `taken` is the command's own (an `-o` that means something else) and is left to it.
    """
    options = []
    for option in declared:
        spellings = [spelling for spelling in option.opts if spelling not in taken]
        if not spellings:
            continue
        options.append(
            GlobalOption(
                param_decls=[option.name, *spellings],
                type_descriptor=option.type_descriptor,
                metavar=option.metavar,
                is_flag=option.is_flag,
                help=option.help,
                envvar=[option.envvar] if isinstance(option.envvar, str) else None,
                hidden=hidden,
                expose_value=False,
            )
        )
    return options


def version_option() -> TyperOption:
    """`--version`, which answers before anything else is looked at."""
    (option,) = _options_of(_declare_version)
    option.expose_value = False
    return option


def _answer_version(wanted: bool) -> None:
    if wanted:
        Terminal().write(f"chatctl {__version__}\n")
        raise typer.Exit


def _declare_version(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_answer_version, help="Show the version.")
    ] = False,
) -> None:
    """Its signature is all that is read."""


DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would change; write nothing.")]
Confirm = Annotated[
    str | None,
    typer.Option("--confirm", metavar="NAME", help="Consent to what loses data: the context's name."),
]
BackupFirst = Annotated[
    bool, typer.Option("--backup", help="Take a backup first, which chatctl rollback can fall back to.")
]
Out = Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Save the plan for later.")]
PlanFile = Annotated[Path | None, typer.Option("--plan", metavar="FILE", help="Apply exactly this saved plan.")]
