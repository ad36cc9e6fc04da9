"""`chatctl sessions`: creates, shows, names, shares and archives sessions."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from chatctl.cli.confirm import consent
from chatctl.cli.groups import group
from chatctl.cli.options import Confirm, DryRun
from chatctl.cli.runtime import invocation_of, progress, run, run_unwired, stop
from chatctl.domain.result import Result

if TYPE_CHECKING:
    from chatctl.services.sessions.changing import Titler
    from chatctl.services.sessions.reading import Archive
    from chatctl.wiring import Wiring

app = group("Create, show, name, share and archive sessions.")

SessionArgument = Annotated[
    str, typer.Argument(metavar="ID", help="G-yyyyMM-nnnnnn, P-project-nnnnnn or a UUID; in SQL a chat's ID.")
]
UserOption = Annotated[str | None, typer.Option("--user", metavar="USER", help="This user's alone.")]
ProjectOption = Annotated[str | None, typer.Option("--project", metavar="PROJECT", help="This project's alone.")]


@app.command()
def create(
    ctx: typer.Context,
    user: Annotated[str, typer.Option("--user", metavar="USER", help="Whose session it is.")],
    project: Annotated[str | None, typer.Option("--project", metavar="ID", help="The project it belongs to.")] = None,
    page: Annotated[str | None, typer.Option("--page", metavar="NAME", help="The project's page.")] = None,
    title: Annotated[str | None, typer.Option("--title", metavar="TEXT", help="A project session's name.")] = None,
    dry_run: DryRun = False,
    confirm: Confirm = None,
) -> None:
    """Create a session. One of a project only where the user may enter it.

    Example: chatctl sessions create --user jane.smith --project 12345 --page "Panel Analysis"
    """

    def work(wiring: Wiring) -> Result:
        from chatctl.services.sessions import creating

        wanted = creating.NewSession(user, project, page, title)
        if dry_run:
            return creating.rehearse(wiring.prober(), wanted)
        _ask_if_protected(ctx, f"Create a session of '{user}'?")
        return creating.create(wiring.issuer(), wiring.redis.sessions, wiring.prober(), wanted, _now())

    run(ctx, "sessions create", work)


@app.command()
def show(ctx: typer.Context, session: SessionArgument) -> None:
    """Show a session's record and messages, wherever they are.

    Example: chatctl sessions show G-202512-000123
    """

    def work(wiring: Wiring) -> Result:
        from chatctl.domain.session_ids import parse_session
        from chatctl.services.sessions import chats, reading

        if wiring.chats is not None:
            return chats.show_chat(wiring.chats, session)
        return reading.show(wiring.redis.sessions, _archive(wiring), parse_session(session))

    run(ctx, "sessions show", work)


@app.command("list")
def list_(
    ctx: typer.Context,
    user: UserOption = None,
    project: ProjectOption = None,
    limit: Annotated[int, typer.Option(min=1, help="The most sessions to show.")] = 50,
    offset: Annotated[int, typer.Option(min=0, help="Sessions to leave out first.")] = 0,
) -> None:
    """List the sessions, newest first: those in Redis, or the chats of a layout that keeps them in SQL.

    Example: chatctl sessions list --user jane.smith
    """

    def work(wiring: Wiring) -> Result:
        from chatctl.services.sessions import chats, reading

        if wiring.chats is not None:
            return chats.list_chats(wiring.chats, user, project, limit=limit, offset=offset)
        return reading.list_sessions(wiring.redis.sessions, user, project, limit=limit, offset=offset)

    run(ctx, "sessions list", work)


@app.command()
def title(
    ctx: typer.Context,
    session: SessionArgument,
    text: Annotated[str | None, typer.Option("--title", metavar="TEXT", help="The name to give it.")] = None,
    dry_run: DryRun = False,
    confirm: Confirm = None,
) -> None:
    """Name a session by its first message, or as --title says.

    Example: chatctl sessions title G-202512-000123
    """

    def work(wiring: Wiring) -> Result:
        from chatctl.domain.session_ids import parse_session
        from chatctl.services.sessions import changing

        parsed = parse_session(session)
        if not dry_run:
            _ask_if_protected(ctx, f"Rename session {parsed}?")
        return changing.title(wiring.redis.sessions, parsed, text, dry_run=dry_run, titler=_titler(wiring))

    run(ctx, "sessions title", work)


@app.command()
def share(
    ctx: typer.Context,
    session: SessionArgument,
    with_: Annotated[list[str] | None, typer.Option("--with", metavar="USER", help="Let this user in.")] = None,
    revoke: Annotated[list[str] | None, typer.Option("--revoke", metavar="USER", help="No longer let in.")] = None,
    dry_run: DryRun = False,
    confirm: Confirm = None,
) -> None:
    """Let other users into a session. Guests of a project session must be allowed into the project.

    Example: chatctl sessions share P-12345-000001 --with john.doe
    """

    def work(wiring: Wiring) -> Result:
        from chatctl.domain.session_ids import parse_session
        from chatctl.services.sessions import changing

        parsed = parse_session(session)
        if not dry_run:
            _ask_if_protected(ctx, f"Change who may enter session {parsed}?")
        decide = wiring.prober().decide
        return changing.share(wiring.redis.sessions, decide, parsed, with_ or (), revoke or (), dry_run=dry_run)

    run(ctx, "sessions share", work)


@app.command()
def usage(ctx: typer.Context, user: UserOption = None) -> None:
    """Count sessions and messages per user and month.

    Example: chatctl sessions usage --output csv
    """

    def work(wiring: Wiring) -> Result:
        from chatctl.services.sessions import reading

        return reading.usage(wiring.redis.sessions, _archive(wiring), user)

    run(ctx, "sessions usage", work)


@app.command()
def validate(
    ctx: typer.Context, ids: Annotated[list[str], typer.Argument(metavar="ID...", help="What may be session IDs.")]
) -> None:
    """Say which texts are session IDs, and what is wrong with the others. Needs no server.

    Example: chatctl sessions validate G-202512-000123 P-AB-CD-000001
    """

    def work() -> Result:
        from chatctl.services.sessions import reading

        return reading.validate(ids)

    run_unwired(ctx, "sessions validate", work)


@app.command()
def archive(
    ctx: typer.Context,
    ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="With --restore: these alone.")] = None,
    idle: Annotated[str, typer.Option("--idle", metavar="DURATION", help="Not written to for so long.")] = "30d",
    restore: Annotated[bool, typer.Option("--restore", help="Back from SQL to Redis.")] = False,
    dry_run: DryRun = False,
    confirm: Confirm = None,
) -> None:
    """Move idle sessions with their messages from Redis to SQL, or back.

    Example: chatctl sessions archive --idle 30d
    """

    def work(wiring: Wiring) -> Result:
        from chatctl.domain.durations import parse_duration
        from chatctl.errors import UsageError
        from chatctl.services.sessions import archiving, journaling

        if ids and not restore:
            raise UsageError("Sessions are named only to restore them.", hint="--restore ID...")
        idle_for = parse_duration(idle)
        if not dry_run:
            _ask_if_protected(ctx, "Restore archived sessions?" if restore else "Archive idle sessions?")
        surroundings = archiving.Surroundings(progress(ctx), stop(ctx))
        sessions, store = wiring.redis.sessions, wiring.session_archive()

        def action() -> Result:
            if restore:
                return archiving.restore(sessions, store, ids or (), surroundings, dry_run=dry_run)
            marks = wiring.high_water(read_only=dry_run)
            return archiving.archive(sessions, store, marks, idle_for, _now(), surroundings, dry_run=dry_run)

        if dry_run:
            return action()
        store.require()
        options = {"ids": sorted(ids or ())} if restore else {"idle_seconds": idle_for.total_seconds()}
        kind = "sessions restore" if restore else "sessions archive"
        return journaling.as_run(wiring.runs().journal, journaling.Move(wiring.layout.name, kind, options), action)

    run(ctx, "sessions archive", work)


def _ask_if_protected(ctx: typer.Context, question: str) -> None:
    if invocation_of(ctx).settings.protected:
        consent(ctx, question)


def _titler(wiring: Wiring) -> Titler:
    """The model that is configured; without one, or its answer, titles are made from the text."""
    from chatctl.services.breaking import Breaker
    from chatctl.services.chatting.answering import Answering

    return Answering(wiring.serving.language_model, Breaker("model"), wiring.settings.model.history_tokens).title


def _archive(wiring: Wiring) -> Archive | None:
    """The archive, where the layout has one and it has been made."""
    return next((archive for archive in wiring.archives() if archive.ready), None)


def _now() -> datetime:
    return datetime.now(UTC)
