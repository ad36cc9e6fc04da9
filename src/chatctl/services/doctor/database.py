"""Checks of the SQL server: does it answer, is it new enough, what may the account do, do the clocks agree."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from datetime import UTC, datetime

from chatctl.domain.findings import Finding, Severity
from chatctl.errors import ChatctlError
from chatctl.services.doctor import grants
from chatctl.services.doctor.base import NotApplicableError, Registered, Surroundings, finding, older, registrar
from chatctl.stores.sql.database import Database
from chatctl.stores.sql.dialects.vitals import read_replication, read_vitals

CHECKS: Registered = []
check = registrar("database", CHECKS)

_OLDEST = {"mariadb": "10.6", "mysql": "8.0", "postgresql": "14", "sqlite": "3.35"}
REACHABLE = "database-reachable"


@check(REACHABLE)
def reachable(around: Surroundings) -> Iterator[Finding]:
    """Nothing works without the database."""
    try:
        database = around.database()
        if not database.exists:
            yield finding(REACHABLE, database.where, "There is no such file.", "Check the path in `database`.")
            return
        with database.connect() as connection:
            connection.exec_driver_sql("SELECT 1")
    except ChatctlError as problem:
        yield finding(REACHABLE, around.settings.source("database"), problem.message, problem.hint or "Check the URL.")


@check("database-version", after=REACHABLE)
def version(around: Surroundings) -> Iterator[Finding]:
    """An old server lacks what migrations count on, and repairs."""
    database = around.database()
    with database.connect() as connection:
        found = read_vitals(connection).version
    name = database.dialect.name
    wanted = getattr(around.layout.requires, name) or _OLDEST[name]
    if older(found, wanted):
        message = f"{database.dialect.title} is {found}, {wanted} is needed."
        yield finding("database-version", database.where, message, "Upgrade the server before the migration.")
    if name not in around.layout.engines:
        message = f"The layout '{around.layout.name}' is not meant for {database.dialect.title}."
        yield finding("database-version", database.where, message, f"It is for {', '.join(around.layout.engines)}.")


@check("database-writable", "migrate", "regroup", "purge", after=REACHABLE)
def writable(around: Surroundings) -> Iterator[Finding]:
    """A replica, or a server that was set read-only, refuses every change."""
    database = around.database()
    with database.connect() as connection:
        if read_vitals(connection).read_only:
            hint = "Name the primary, or let it be written again."
            yield finding("database-writable", database.where, "The server is read-only.", hint)


@check("database-clock", "purge", "regroup", "counters", "serve", after=REACHABLE)
def clock(around: Surroundings) -> Iterator[Finding]:
    """Retention, leases and tokens compare this machine's clock with the server's."""
    database = around.database()
    with database.connect() as connection:
        before = datetime.now(UTC)
        theirs = database.dialect.now(connection)
        middle = before + (datetime.now(UTC) - before) / 2
    skew = (theirs - middle).total_seconds()
    if abs(skew) > around.limits.clock_seconds:
        message = f"The server's clock is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} this machine's."
        yield finding("database-clock", database.where, message, "Let NTP set both (timedatectl, chronyc tracking).")


@check("database-tls", "migrate", "serve", "backup", after=REACHABLE)
def tls(around: Surroundings) -> Iterator[Finding]:
    """What goes over a network unencrypted, the password's exchange among it, can be read and changed there."""
    database = around.database()
    if is_local(database):
        raise NotApplicableError("the connection stays on this machine")
    with database.connect() as connection:
        encrypted = read_vitals(connection).encrypted
    if encrypted is False:
        hint = "Ask for TLS in the URL: ?sslmode=verify-full (PostgreSQL), ?ssl_ca=FILE (MariaDB, MySQL)."
        yield finding(
            "database-tls", database.where, "The connection is not encrypted.", hint, severity=Severity.WARNING
        )


@check("replica-lag", "migrate", "regroup", "purge", "backup")
def lag(around: Surroundings) -> Iterator[Finding]:
    """A replica that lags, or stopped, serves old rows and makes a failover lose new ones."""
    if around.replica is None:
        raise NotApplicableError("no replica is named (--replica URL)")
    database = around.replica()
    with database.connect() as connection:
        replication = read_replication(connection)
    if replication is None:
        message, hint = "The server is no replica.", "Name the replica, with an account that may ask for its status."
    elif replication.seconds_behind is None:
        message, hint = f"The replica doesn't follow: {replication.problem}.", "Mend replication first."
    elif replication.seconds_behind > around.limits.lag_seconds:
        message = f"The replica is {replication.seconds_behind:.0f} s behind."
        hint = "Wait until it has caught up, or find out what holds it up."
    else:
        return
    yield finding("replica-lag", database.where, message, hint)


def _lacking(around: Surroundings, group: str) -> Iterator[Finding]:
    database = around.database()
    if database.url.host is None and not database.url.query:
        raise NotApplicableError("the engine has no accounts")
    rule = f"privileges-{group}"
    for demand in grants.lacking(database, around.layout, around.settings.journal_schema, group):
        message = f"The account lacks {', '.join(demand.missing)}."
        yield finding(
            rule, database.where, message, "chatctl doctor --grants shows all it needs.", fix=demand.statement
        )


@check("privileges-migrate", "migrate", after=REACHABLE)
def privileges_migrate(around: Surroundings) -> Iterator[Finding]:
    """A migration that lacks a privilege stops halfway."""
    yield from _lacking(around, "migrate")


@check("privileges-regroup", "regroup", after=REACHABLE)
def privileges_regroup(around: Surroundings) -> Iterator[Finding]:
    """A regroup that lacks a privilege stops before its first batch, or can't be undone."""
    if around.layout.regroup is None:
        raise NotApplicableError(f"the layout '{around.layout.name}' regroups nothing")
    yield from _lacking(around, "regroup")


@check("privileges-purge", "purge", after=REACHABLE)
def privileges_purge(around: Surroundings) -> Iterator[Finding]:
    """A purge that lacks a privilege fails every night."""
    if around.layout.purge is None:
        raise NotApplicableError(f"the layout '{around.layout.name}' has no purge")
    yield from _lacking(around, "purge")


@check("privileges-backup", "backup", after=REACHABLE)
def privileges_backup(around: Surroundings) -> Iterator[Finding]:
    """A backup that may not read a table is no backup."""
    yield from _lacking(around, "backup")


@check("privileges-counters", "counters", "serve", after=REACHABLE)
def privileges_counters(around: Surroundings) -> Iterator[Finding]:
    """What was issued is noted in the database, so that no number is given twice."""
    if not around.layout.redis:
        raise NotApplicableError(f"the layout '{around.layout.name}' has no counters")
    yield from _lacking(around, "counters")


def is_local(database: Database) -> bool:
    """Whether the server is on this machine, so that nothing goes over a network."""
    host = database.url.host
    return host is None or is_loopback(host) or "unix_socket" in database.url.query


def is_loopback(host: str) -> bool:
    """Whether `host` names this machine to itself."""
    if host == "localhost" or host.startswith("/"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
