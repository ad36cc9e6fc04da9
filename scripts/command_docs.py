"""The pages that are made of the commands themselves: the reference and the man page."""

from __future__ import annotations

from collections.abc import Iterator

from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from chatctl.cli import exit_codes, lazy
from chatctl.cli.options import declared_options

_ROFF = {"\\": "\\e", "-": "\\-"}


def commands() -> Iterator[tuple[str, TyperCommand | TyperGroup]]:
    """Every command that does something, with its words, in the order of the help."""
    for entry in lazy.REGISTRY:
        yield from _below(entry.name, lazy.load(entry.name))


def _below(words: str, command: TyperCommand | TyperGroup) -> Iterator[tuple[str, TyperCommand | TyperGroup]]:
    if not isinstance(command, TyperGroup):
        yield words, command
        return
    if command.invoke_without_command:
        yield words, command
    for name, below in command.commands.items():
        assert isinstance(below, TyperCommand | TyperGroup)
        yield from _below(f"{words} {name}", below)


def own_options(command: TyperCommand | TyperGroup) -> list[TyperOption]:
    """The options that are the command's own, those that it shows."""
    return [
        param
        for param in command.params
        if isinstance(param, TyperOption) and not param.hidden and param.name != "help"
    ]


def usage(words: str, command: TyperCommand | TyperGroup) -> str:
    """`chatctl regroup run [OPTIONS] [RUN]`."""
    arguments = [
        param.metavar or str(param.name).upper() for param in command.params if isinstance(param, TyperArgument)
    ]
    options = ["[OPTIONS]"] if own_options(command) else []
    return " ".join(["chatctl", words, *options, *arguments])


def spelled(option: TyperOption) -> str:
    """`--max-runtime 30m`, or `--dry-run`."""
    value = option.metavar
    if value is None and option.type_descriptor.is_choice:
        value = "|".join(map(str, option.type_descriptor.choices or ()))
    if value is None and not option.is_flag:
        value = "N" if option.type_descriptor.ranged_type_name in ("int", "float") else "TEXT"
    names = ", ".join(option.opts)
    return names if option.is_flag else f"{names} {value}"


def reference(generated: str) -> str:
    """The page of all commands."""
    return "\n".join(_reference(generated)) + "\n"


def _reference(generated: str) -> Iterator[str]:
    yield from ("# Commands", "", generated, "")
    yield "The [global options](#global-options) go before or after any command. What each answers in JSON stands in"
    yield "the schemas that ship with chatctl (`chatctl/schemas`)."
    for words, command in commands():
        yield from ("", f"## chatctl {words}", "", "```text", usage(words, command), "```", "")
        yield _text(command)
        example = _example(command)
        if example:
            yield from ("", f"Example: `{example}`")
        options = own_options(command)
        if options:
            yield from ("", "| option | |", "|---|---|")
            yield from (f"| `{_cell(spelled(option))}` | {_cell(option.help or '')} |" for option in options)
    yield from ("", "## Global options", "", "| option | |", "|---|---|")
    yield from (f"| `{_cell(spelled(option))}` | {_cell(option.help or '')} |" for option in declared_options())


def man_page(version: str) -> str:
    """chatctl(1)."""
    return "\n".join(_man_page(version)) + "\n"


def _man_page(version: str) -> Iterator[str]:
    yield '.\\" Written by scripts/docs.py. Change the code, not this page.'
    yield f'.TH CHATCTL 1 "" "chatctl {version}" "User Commands"'
    yield ".SH NAME"
    yield "chatctl \\- carries a chat system from its legacy shape to chats, sessions and counters"
    yield ".SH SYNOPSIS"
    yield ".B chatctl\n[\\fIglobal options\\fR] \\fIcommand\\fR [\\fIoptions\\fR]"
    yield ".SH DESCRIPTION"
    yield "chatctl migrates the schema and the rows of a chat system, keeps them by a retention policy, repairs the"
    yield "counters that session numbers come from, and takes backups that were proven. Data goes to standard output,"
    yield "everything else to standard error."
    yield ".SH GLOBAL OPTIONS"
    for option in declared_options():
        yield from (".TP", f".B {_roff(spelled(option))}", _roff(option.help or ""))
    yield ".SH COMMANDS"
    for words, command in commands():
        yield from (".SS " + _roff(usage(words, command)), _roff(_text(command)))
        for option in own_options(command):
            yield from (".TP", f".B {_roff(spelled(option))}", _roff(option.help or ""))
        example = _example(command)
        if example:
            yield from (".PP", f"Example: \\fI{_roff(example)}\\fR")
    yield ".SH EXIT STATUS"
    for code, meaning in exit_codes.MEANINGS.items():
        yield from (".TP", f".B {code}", _roff(meaning))
    yield ".SH FILES"
    yield from (".TP", ".I ./chatctl.yaml", "The contexts: layouts, servers, policies.")
    yield from (".TP", ".I $XDG_CONFIG_HOME/chatctl/config.yaml", "The same for a user, where no file is beside it.")
    yield from (".TP", ".I $XDG_DATA_HOME/chatctl", "The embedded database and Redis, archives, backups.")


def _text(command: TyperCommand | TyperGroup) -> str:
    paragraphs = (command.help or "").split("\n\n")
    return " ".join(" ".join(text.split()) for text in paragraphs if not text.strip().startswith("Example: "))


def _example(command: TyperCommand | TyperGroup) -> str | None:
    for text in (command.help or "").split("\n\n"):
        if text.strip().startswith("Example: "):
            return " ".join(text.split()).removeprefix("Example: ")
    return None


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _roff(text: str) -> str:
    escaped = "".join(_ROFF.get(letter, letter) for letter in text)
    # A line that begins with a dot or a quote would be a request.
    return f"\\&{escaped}" if escaped[:1] in (".", "'") else escaped
