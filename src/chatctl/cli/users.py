"""`chatctl users`: who may use the embedded API."""

from __future__ import annotations

import getpass
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from chatctl.cli.confirm import consent
from chatctl.cli.extras import room
from chatctl.cli.groups import group
from chatctl.cli.options import Confirm, DryRun
from chatctl.cli.runtime import invocation_of, run
from chatctl.domain.result import Result
from chatctl.errors import UsageError

if TYPE_CHECKING:
    from chatctl.services.identity.accounts import Directory
    from chatctl.wiring import Wiring

app = group("Accounts of the embedded API: create, list, give passwords and tokens.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="The user's name.")]
FromStdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from stdin.")]


@app.command()
def create(
    ctx: typer.Context,
    name: Name,
    email: Annotated[str | None, typer.Option("--email", metavar="ADDRESS", help="An address to log in with.")] = None,
    role: Annotated[str, typer.Option("--role", metavar="ROLE", help="user, student, teacher or admin.")] = "user",
    user_id: Annotated[
        str | None, typer.Option("--id", metavar="ID", help="The user's ID in the application; random if left out.")
    ] = None,
    password_stdin: FromStdin = False,
    dry_run: DryRun = False,
    confirm: Confirm = None,
) -> None:
    """Create an account. Without a password from stdin it gets a random one, which is shown once.

    Example: chatctl users create jane --email jane@example.org
    """

    def work(wiring: Wiring) -> Result:
        accounts = room("chatctl.services.identity.accounts", "api", "chatctl users")
        wanted = accounts.NewAccount(name, email, role, user_id, _password() if password_stdin else None)
        if not dry_run:
            _ask_if_protected(ctx, f"Create the user '{name}'?")
        return _directory(wiring, read_only=dry_run).create(wanted, dry_run=dry_run)

    run(ctx, "users create", work)


@app.command("list")
def list_(ctx: typer.Context) -> None:
    """List the accounts.

    Example: chatctl users list
    """
    run(ctx, "users list", lambda wiring: _directory(wiring, read_only=True).list())


@app.command()
def password(
    ctx: typer.Context,
    name: Name,
    password_stdin: FromStdin = False,
    dry_run: DryRun = False,
    confirm: Confirm = None,
) -> None:
    """Give an account another password.

    Example: chatctl users password jane --password-stdin < new-password
    """

    def work(wiring: Wiring) -> Result:
        if not password_stdin and not invocation_of(ctx).terminal.interactive:
            raise UsageError("There is no terminal to ask for the password.", hint="--password-stdin")
        given = _password() if password_stdin else getpass.getpass("New password: ")
        if not dry_run:
            _ask_if_protected(ctx, f"Change the password of '{name}'?")
        return _directory(wiring, read_only=dry_run).set_password(name, given, dry_run=dry_run)

    run(ctx, "users password", work)


@app.command()
def token(
    ctx: typer.Context,
    name: Name,
    lifetime: Annotated[str, typer.Option("--for", metavar="DURATION", help="How long it is good.")] = "24h",
) -> None:
    """Make an access token for an account.

    Example: chatctl users token jane --for 1h
    """

    def work(wiring: Wiring) -> Result:
        from chatctl.domain.durations import parse_duration

        return _directory(wiring, read_only=True).token(wiring.serving.tokens, name, parse_duration(lifetime))

    run(ctx, "users token", work)


def _directory(wiring: Wiring, *, read_only: bool = False) -> Directory:
    room("chatctl.services.identity.accounts", "api", "chatctl users")
    return wiring.serving.directory(read_only=read_only)


def _password() -> str:
    return sys.stdin.readline().rstrip("\r\n")


def _ask_if_protected(ctx: typer.Context, question: str) -> None:
    if invocation_of(ctx).settings.protected:
        consent(ctx, question)
