"""An application that writes all the time hardly feels an expand migration, even while an old transaction is open.

Who is in the way is named, and waited for. Only a quiet machine can tell, so these are long tests:
CHATCTL_STALL_SECONDS is how long the old transaction stays open (30 unless given).
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
import sqlalchemy as sa
from tests.support.cli import Cli
from tests.support.legacy import make_legacy
from tests.support.steady_writes import SteadyWrites, percentile

from chatctl.layouts import Phase, builtin_names, load_layout
from chatctl.stores.sql.database import Database
from chatctl.stores.sql.tables import LayoutTables

SERVERS = [
    pytest.param("mariadb", marks=pytest.mark.mysql),
    pytest.param("postgresql", marks=pytest.mark.postgresql),
]
#: `native` begins with no tables, so that nobody can be writing into them.
BUSY_LAYOUTS = [name for name in builtin_names() if not load_layout(name).starts_empty]
#: The promise: at most so many seconds more than without a migration, for 99 writes of 100.
LIMIT_SECONDS = 1.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Felt:
    """What the application felt, in seconds: without a migration, and of what came with it the p99 and the most."""

    before: float
    added_p99: float
    added_most: float
    writes: int
    seconds: float


def migrate_under_load(url: str, layout: str, run_cli: Cli, open_seconds: float) -> Felt:
    """Migrates while 200 rows a second are written and one transaction has looked at every table."""
    make_legacy(url, layout)
    writes = SteadyWrites(url, layout)
    with writes.going_on():
        time.sleep(2)
        settings = {"CHATCTL_DATABASE": url, "CHATCTL_LAYOUT": layout}
        with _open_transaction(url, layout) as session:
            began = time.monotonic()
            migration = run_cli.start("migrate", "up", env=settings)
            time.sleep(open_seconds)
            assert migration.poll() is None, "the open transaction was in nobody's way"
        _, stderr = migration.communicate(timeout=120)
        ended = time.monotonic()
        time.sleep(1)
    assert migration.returncode == 0, stderr
    assert f"In the way: session {session} (".encode() in stderr
    assert writes.problems == []
    usual = percentile(writes.stalls(began - 1.5, began), 0.5)
    felt = writes.stalls(began, ended)
    return Felt(usual, percentile(felt, 0.99) - usual, felt[-1] - usual, len(felt), ended - began)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("engine_name", SERVERS, indirect=True)
@pytest.mark.parametrize("layout", BUSY_LAYOUTS)
def test_writers_hardly_wait_while_a_transaction_is_open_for_half_a_minute(
    engine_url: str, layout: str, run_cli: Cli
) -> None:
    open_seconds = float(os.environ.get("CHATCTL_STALL_SECONDS", "30"))
    felt = migrate_under_load(engine_url, layout, run_cli, open_seconds)
    log.info("%s: %s", layout, felt)
    assert felt.added_p99 <= LIMIT_SECONDS, felt


@contextmanager
def _open_transaction(url: str, layout: str) -> Iterator[str]:
    """Somebody's report, which has read every table and is still open; the server's number for its session."""
    database = Database(url)
    tables = LayoutTables(load_layout(layout), Phase.LEGACY)
    with database.connect() as connection:
        for key in tables:
            connection.execute(sa.select(sa.func.count()).select_from(tables[key])).all()
        yield database.dialect.sessions.identity(connection).partition("@")[0]
    database.close()
