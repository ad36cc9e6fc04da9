"""`chatctl payload`: ray's old requests, checked and rewritten."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chatctl.cli.groups import group
from chatctl.cli.runtime import invocation_of, run_unwired
from chatctl.domain.result import Result

app = group("Check ray's requests, and rewrite those of the old format.")

File = Annotated[Path, typer.Argument(metavar="FILE", help="Requests as JSON lines.")]


@app.command()
def check(ctx: typer.Context, file: File) -> None:
    """Say of each request whether it is whole and in the new format. Exit 9 where one isn't.

    Example: chatctl payload check requests.jsonl
    """

    def work() -> Result:
        from chatctl.services import payloads

        return payloads.check(file)

    run_unwired(ctx, "payload check", work)


@app.command()
def upgrade(
    ctx: typer.Context,
    file: File,
    project: Annotated[str | None, typer.Option("--project", metavar="ID", help="For requests without one.")] = None,
    chat: Annotated[str | None, typer.Option("--chat", metavar="ID", help="For requests without one.")] = None,
    user: Annotated[str | None, typer.Option("--user", metavar="ID", help="For requests without one.")] = None,
    mapping: Annotated[
        Path | None,
        typer.Option("--mapping", metavar="FILE", help='JSON lines: {"match": {field: value}, "set": {"chat_id": …}}.'),
    ] = None,
    out: Annotated[str, typer.Option("--out", metavar="FILE", help="The file to write; - is stdout.")] = "-",
) -> None:
    """Rewrite requests to the new format: old fields go, project, chat and user are filled in.

    Example: chatctl payload upgrade old.jsonl --project app-1234abcd --chat chat-abcdef01 --user UUID --out new.jsonl
    """

    def work() -> Result:
        from chatctl.services import payloads

        given = {"project_id": project, "chat_id": chat, "user_id": user}
        rules = payloads.read_rules(mapping) if mapping is not None else ()
        ids = payloads.Ids({name: value for name, value in given.items() if value is not None}, rules)
        target = None if out == "-" else Path(out)
        return payloads.upgrade(file, target, ids, invocation_of(ctx).terminal.write)

    run_unwired(ctx, "payload upgrade", work, data_on_stdout=out == "-")
