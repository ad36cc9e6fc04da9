"""`chatctl backup`: SQL and Redis as one, proven by restoring."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chatctl.cli.confirm import consent
from chatctl.cli.groups import group
from chatctl.cli.options import Confirm, DryRun
from chatctl.cli.runtime import progress, run, show
from chatctl.domain.result import Result
from chatctl.errors import UsageError

if TYPE_CHECKING:
    from chatctl.services.backup.parts import Work
    from chatctl.services.backup.pruning import PrunePlan
    from chatctl.services.backup.restoring import RestorePlan
    from chatctl.wiring import Wiring

app = group("Back up SQL and Redis as one, prove that it restores, and restore it.")

BackupId = Annotated[str, typer.Argument(metavar="ID", help="The backup, as `backup list` names it, or 'latest'.")]
Tables = Annotated[
    list[str] | None, typer.Option("--tables", metavar="NAME,…", help="These tables, by their names in the database.")
]
Jobs = Annotated[int, typer.Option(min=1, max=64, help="Parallel jobs, where the engine's tool has them.")]
Identity = Annotated[Path | None, typer.Option(metavar="FILE", help="The age identity that opens an encrypted backup.")]
TrustedKey = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Refuse what this public Ed25519 key (PEM) didn't sign.")
]


@app.command()
def create(
    ctx: typer.Context,
    tables: Tables = None,
    layout_only: Annotated[bool, typer.Option("--layout-only", help="Only the tables that the layout names.")] = False,
    portable: Annotated[
        bool, typer.Option("--portable", help="The layout's rows in a form that every engine takes.")
    ] = False,
    jobs: Jobs = 2,
    level: Annotated[int | None, typer.Option(min=1, max=19, help="How hard to compress.")] = None,
    pause_writes: Annotated[
        int | None,
        typer.Option("--pause-writes", metavar="MS", min=1, help="Hold writes to Redis back for at most so long."),
    ] = None,
    from_replica: Annotated[
        str | None, typer.Option(metavar="URL", help="Read the database from this replica. env:NAME hides a password.")
    ] = None,
    recipient: Annotated[
        list[str] | None, typer.Option(metavar="AGE", help="Encrypt to this age recipient; may be repeated.")
    ] = None,
    sign_key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Sign with this private Ed25519 key (PEM).")
    ] = None,
    drill: Annotated[bool, typer.Option("--drill", help="Then restore it into scratch servers and compare.")] = False,
    identity: Identity = None,
) -> None:
    """Take one backup of the database, of Redis and of the configuration.

    Example: chatctl backup create --drill
    """

    def work(wiring: Wiring) -> Result:
        from chatctl.services.backup import creating
        from chatctl.services.backup.sealing import Opening, Sealing

        chosen = _names(tables)
        if portable and (chosen is not None or layout_only):
            raise UsageError("--portable holds the layout's tables, all of them: leave --tables and --layout-only out.")
        if layout_only:
            if chosen is not None:
                raise UsageError("--tables and --layout-only exclude each other.")
            chosen = creating.layout_tables(wiring.migration(read_only=True))
        system = wiring.backup_system(replica_url=_url(from_replica, "--from-replica"))
        sealing = Sealing(tuple(recipient or ()), sign_key)
        request = creating.CreateRequest(chosen, portable, True, jobs, level, pause_writes, sealing)
        created = creating.create(system, _work(ctx, wiring), request)
        if not drill:
            return created
        drilled = _drill(ctx, wiring, created.data["id"], Opening(identity), jobs)
        return Result({**created.data, "drill": drilled.data}, drilled.outcome)

    run(ctx, "backup create", work)


@app.command("list")
def list_(ctx: typer.Context) -> None:
    """List the backups, newest first, with their last drills.

    Example: chatctl backup list
    """

    def work(wiring: Wiring) -> Result:
        from chatctl.services.backup import reading

        return reading.list_backups(wiring.repository())

    run(ctx, "backup list", work)


@app.command("show")
def show_(ctx: typer.Context, backup: BackupId, trusted_key: TrustedKey = None) -> None:
    """Show what a backup holds.

    Example: chatctl backup show 20261120-143455-9f3a01cd
    """

    def work(wiring: Wiring) -> Result:
        from chatctl.services.backup import reading
        from chatctl.services.backup.sealing import Opening

        repository = wiring.repository()
        return reading.show(repository, reading.resolve(repository, backup), Opening(trusted_key=trusted_key))

    run(ctx, "backup show", work)


@app.command()
def verify(
    ctx: typer.Context,
    backup: BackupId,
    sample: Annotated[str, typer.Option(metavar="n/t", help="Read only the n-th of t parts of the files.")] = "1/1",
    trusted_key: TrustedKey = None,
) -> None:
    """Compare every byte of a backup with its manifest. Exit 9 where one differs.

    Example: chatctl backup verify 20261120-143455-9f3a01cd
    """

    def work(wiring: Wiring) -> Result:
        from chatctl.services.backup import reading
        from chatctl.services.backup.sealing import Opening

        opening = Opening(trusted_key=trusted_key)
        repository = wiring.repository()
        return reading.verify(repository, reading.resolve(repository, backup), opening, reading.Sample.parse(sample))

    run(ctx, "backup verify", work)


@app.command()
def restore(
    ctx: typer.Context,
    backup: BackupId,
    sql_only: Annotated[bool, typer.Option("--sql-only", help="Leave Redis as it is.")] = False,
    redis_only: Annotated[bool, typer.Option("--redis-only", help="Leave the database as it is.")] = False,
    tables: Tables = None,
    into: Annotated[
        str | None, typer.Option(metavar="URL", help="Another database. env:NAME hides a password.")
    ] = None,
    into_redis: Annotated[
        str | None, typer.Option(metavar="URL", help="Another Redis. Without it --into leaves Redis alone.")
    ] = None,
    no_safety_backup: Annotated[
        bool, typer.Option("--no-safety-backup", help="Don't back up first what would be replaced.")
    ] = False,
    jobs: Jobs = 2,
    identity: Identity = None,
    trusted_key: TrustedKey = None,
    dry_run: DryRun = False,
    confirm: Confirm = None,
) -> None:
    """Bring a backup back. What is there is backed up first; replacing it needs --confirm.

    Example: chatctl backup restore 20261120-143455-9f3a01cd --confirm default
    """
    if sql_only and redis_only:
        raise typer.BadParameter("--sql-only and --redis-only exclude each other.")

    def work(wiring: Wiring) -> Result:
        from chatctl.services.backup import restoring
        from chatctl.services.backup.reading import resolve
        from chatctl.services.backup.sealing import Opening

        chosen = _names(tables)
        parts = ("sql",) if sql_only or chosen else ("redis",) if redis_only else ("sql", "redis")
        database_url, redis_url = _url(into, "--into"), _redis_url(into_redis)
        system = wiring.backup_system(database_url=database_url, redis_url=redis_url)
        chosen_backup = resolve(wiring.repository(), backup)
        request = restoring.RestoreRequest(
            chosen_backup, parts, chosen, into is not None, not no_safety_backup, jobs, Opening(identity, trusted_key)
        )
        if dry_run:
            return Result({**restoring.plan(system, _work(ctx, wiring), request).as_json(), "dry_run": True})

        def agree(planned: RestorePlan) -> None:
            if planned.loses_data or wiring.settings.protected:
                show(ctx, "backup restore", Result(planned.as_json()))
                question = f"Restore backup {chosen_backup} into the context '{wiring.settings.context_name}'?"
                consent(ctx, question, loses_data=planned.loses_data)

        return restoring.restore(system, _work(ctx, wiring), request, agree)

    run(ctx, "backup restore", work)


@app.command()
def drill(
    ctx: typer.Context, backup: BackupId, jobs: Jobs = 2, identity: Identity = None, trusted_key: TrustedKey = None
) -> None:
    """Restore into scratch servers, compare, and drop them. Exit 9 where anything differs.

    Example: chatctl backup drill 20261120-143455-9f3a01cd
    """

    def work(wiring: Wiring) -> Result:
        from chatctl.services.backup.reading import resolve
        from chatctl.services.backup.sealing import Opening

        chosen = resolve(wiring.repository(), backup)
        return _drill(ctx, wiring, chosen, Opening(identity, trusted_key), jobs)

    run(ctx, "backup drill", work)


@app.command()
def prune(
    ctx: typer.Context,
    keep_last: Annotated[int, typer.Option(min=0, metavar="N", help="Keep the N newest.")] = 0,
    keep_daily: Annotated[int, typer.Option(min=0, metavar="N", help="Keep the newest of each of N days.")] = 0,
    keep_weekly: Annotated[int, typer.Option(min=0, metavar="N", help="… of each of N weeks.")] = 0,
    keep_monthly: Annotated[int, typer.Option(min=0, metavar="N", help="… of each of N months.")] = 0,
    minimum: Annotated[int, typer.Option(min=1, metavar="N", help="Never keep fewer.")] = 1,
    dry_run: DryRun = False,
    confirm: Confirm = None,
) -> None:
    """Remove backups that no rule keeps and no run needs. Needs --confirm.

    Example: chatctl backup prune --keep-last 3 --keep-daily 7 --keep-weekly 4 --dry-run
    """
    if not any((keep_last, keep_daily, keep_weekly, keep_monthly)):
        raise typer.BadParameter("say what to keep: --keep-last, --keep-daily, --keep-weekly or --keep-monthly.")

    def work(wiring: Wiring) -> Result:
        from chatctl.domain.backups import KeepRule
        from chatctl.services.backup import pruning

        rule = KeepRule(keep_last, keep_daily, keep_weekly, keep_monthly, minimum)

        def agree(planned: PrunePlan) -> None:
            show(ctx, "backup prune", Result({**planned.as_json(), "dry_run": True}))
            count = len(planned.removed)
            consent(ctx, f"Remove {count} backup{'s' if count != 1 else ''}?", loses_data=True)

        needed = pruning.needed_backups(wiring.migration(read_only=True))
        return pruning.prune(wiring.repository(), rule, needed, agree, dry_run=dry_run)

    run(ctx, "backup prune", work)


def _drill(ctx: typer.Context, wiring: Wiring, backup: str, opening: object, jobs: int) -> Result:
    from chatctl.services.backup import drilling
    from chatctl.services.backup.sealing import Opening

    assert isinstance(opening, Opening)
    return drilling.drill(wiring.backup_system(), _work(ctx, wiring), backup, opening, wiring.scratch_redis, jobs=jobs)


def _work(ctx: typer.Context, wiring: Wiring) -> Work:
    from chatctl.services.backup.parts import Work

    return Work(wiring.repository(), progress(ctx))


def _names(given: list[str] | None) -> tuple[str, ...] | None:
    names = tuple(dict.fromkeys(name.strip() for text in given or () for name in text.split(",") if name.strip()))
    return names or None


def _url(text: str | None, flag: str) -> str | None:
    from chatctl.settings import secrets

    return _revealed(text, flag, secrets.DATABASE)


def _redis_url(text: str | None) -> str | None:
    from chatctl.settings import secrets

    return _revealed(text, "--into-redis", secrets.REDIS)


def _revealed(text: str | None, flag: str, shape: object) -> str | None:
    from chatctl.settings import secrets

    if text is None:
        return None
    assert isinstance(shape, secrets.Shape)
    try:
        written = secrets.Written(text, shape)
    except ValueError as problem:
        raise UsageError(f"{flag}: {problem}.") from None
    return written.bind(flag, Path.cwd(), os.environ).reveal()
