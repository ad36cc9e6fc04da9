"""`chatctl smoke`: the guides' own test scripts against any server."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from chatctl.cli.groups import command
from chatctl.cli.runtime import run_unwired
from chatctl.domain.result import Result
from chatctl.errors import NotFoundError
from chatctl.observe.masking import remember_secret

app = command()


@app.command()
def smoke(
    ctx: typer.Context,
    base_url: Annotated[str, typer.Option("--base-url", metavar="URL", help="The server.")],
    system: Annotated[
        list[str] | None,
        typer.Option("--system", metavar="NAME", help="ray, toolboxai, mentor, simorgh or worker; all if left out."),
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option("--token-file", metavar="FILE", help="A file with the bearer token; - is stdin.")
    ] = None,
    user: Annotated[
        str | None, typer.Option("--user", metavar="ID", help="Who asks, where the token doesn't tell: john.doe.")
    ] = None,
    mentor: Annotated[str | None, typer.Option("--mentor", metavar="ID", help="A mentor to talk to.")] = None,
    project: Annotated[str | None, typer.Option("--project", metavar="ID", help="A project to enter.")] = None,
) -> None:
    """Run each step of the guides' test scripts: its status, its time, and the bound of 500 ms. Exit 9 where one fails.

    Example: chatctl smoke --base-url http://127.0.0.1:8000 --token-file token.txt
    """

    def work() -> Result:
        from chatctl.services.smoke import running

        token = _token(token_file)
        return running.run(base_url, system or (), token=token, user=user, mentor=mentor, project=project)

    run_unwired(ctx, "smoke", work)


def _token(file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        token = sys.stdin.read().strip() if str(file) == "-" else file.read_text(encoding="utf-8").strip()
    except OSError as problem:
        raise NotFoundError(f"'{file}' can't be read: {problem.strerror}.") from None
    remember_secret(token)
    return token
