"""A worker on another host whose link is cut in the middle of a batch is replaced, and does no harm when it is back.

The server isn't told that the worker is gone: its session stays open, with the batch's locks. Hosts are network
namespaces, which take root to make; elsewhere these tests are skipped.
"""

from __future__ import annotations

import logging
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.support.cli import Cli
from tests.support.clones import state
from tests.support.faults import Faults
from tests.support.hosts import Host, HostUnavailableError
from tests.support.regrouping import Mentored, Message, partition
from tests.support.servers import own_server

from chatctl.stores.sql.batches.ranges import LEASE_SECONDS

log = logging.getLogger(__name__)

#: Every address that this machine has, so that the other host reaches the server.
EVERYWHERE = {"mysql": {"bind-address": "*"}, "postgresql": {"listen_addresses": "*"}}
WAITING = {
    "mysql": "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'",
    "postgresql": "SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'",
}
CONNECTION, LOCKED, INTERRUPTED = 5, 6, 130
RUN = ("regroup", "run", "--batch-size", "50")
START = datetime(2026, 1, 1, tzinfo=UTC)
MESSAGES = [Message(f"id{n:04d}", f"u{n % 7}", f"m{n % 3}", START + timedelta(minutes=n)) for n in range(600)]
#: Its lease runs out, its session is ended, what is left is worked on.
PATIENCE_SECONDS = 2 * LEASE_SECONDS + 60

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def far() -> Iterator[Host]:
    """Another host."""
    try:
        host = Host()
    except HostUnavailableError as problem:
        pytest.skip(f"no network namespace: {problem}")
    with host:
        yield host


def wait_for_somebody_who_waits(kind: str, url: str) -> None:
    """Until a session waits for a lock."""
    engine = sa.create_engine(url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    deadline = time.monotonic() + 30
    with engine.connect() as connection:
        while not connection.scalar(sa.text(WAITING[kind])):
            assert time.monotonic() < deadline, "nobody waits"
            time.sleep(0.1)


@contextmanager
def locked(url: str, message: str) -> Iterator[None]:
    """Whoever wants to change that message waits."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.execute(sa.text(f"SELECT id FROM messages WHERE id = '{message}' FOR UPDATE"))
        yield


def start_over_there(far: Host, run_cli: Cli, url: str, *words: str) -> subprocess.Popen[bytes]:
    """Starts a command on the other host."""
    settings = {
        **run_cli.environment,
        "CHATCTL_DATABASE": url.replace("127.0.0.1", far.here),
        "CHATCTL_LAYOUT": "mentor",
    }
    command = far.command(str(Path(".venv/bin/python").absolute()), "-m", "chatctl", *words)
    return subprocess.Popen(command, env=settings, cwd=run_cli.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.mark.parametrize(
    "kind",
    [pytest.param("mysql", marks=pytest.mark.mysql), pytest.param("postgresql", marks=pytest.mark.postgresql)],
)
@pytest.mark.parametrize("how", ["joins", "begins anew"])
def test_a_worker_whose_host_is_cut_off_in_mid_batch_is_replaced(
    kind: str, how: str, far: Host, run_cli: Cli, faults: Faults
) -> None:
    with own_server(kind, EVERYWHERE[kind]) as server:
        url = server.databases.create_database()  # type: ignore[attr-defined]  # both kinds have databases
        flat = Mentored(url)
        flat.fill(MESSAGES)
        run_cli.environment |= {"CHATCTL_DATABASE": url, "CHATCTL_LAYOUT": "mentor"}
        # A run that is begun, and that nobody works on.
        assert run_cli(*RUN, "--max-runtime", "0s").exit_code == 12
        (run,) = run_cli("runs", "list", "-o", "json").json["data"]["runs"]
        joining = (*RUN, "--resume", run["run_id"])

        with locked(url, MESSAGES[300].id):
            away = start_over_there(far, run_cli, url, *(joining if how == "joins" else RUN))
            wait_for_somebody_who_waits(kind, url)
            far.cut()
        faults.count("partitions")
        began = time.monotonic()
        done = run_cli(*(joining if how == "joins" else RUN), timeout_seconds=PATIENCE_SECONDS)
        while done.exit_code == LOCKED and time.monotonic() < began + PATIENCE_SECONDS:
            time.sleep(1)
            done = run_cli(*RUN, timeout_seconds=PATIENCE_SECONDS)
        taken = time.monotonic() - began

        assert done.exit_code == 0, done
        assert flat.partition() == partition(MESSAGES)
        assert run_cli("regroup", "verify").exit_code == 0
        whole = state(url)
        far.heal()
        # It may have found out by itself before, or finds the run finished.
        _, err = away.communicate(timeout=PATIENCE_SECONDS)
        assert away.returncode in (0, CONNECTION, LOCKED, INTERRUPTED), err
        assert state(url) == whole
        log.info("%s, who %s: replaced after %.0f s; the other one ended with %d", kind, how, taken, away.returncode)
        flat.close()
