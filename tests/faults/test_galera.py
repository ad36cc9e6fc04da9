"""Three nodes of a Galera cluster, each of which takes writes: what one commits, another one may refuse at its COMMIT.

GET_LOCK holds on its own node alone there, so that the lock's row decides who runs.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.support.cli import Cli
from tests.support.faults import Faults
from tests.support.legacy import make_legacy
from tests.support.mariadb import MariaDBServer
from tests.support.processes import ServerUnavailableError, free_port
from tests.support.regrouping import Mentored, Message, partition
from tests.support.servers import without

PROVIDERS = [Path("/usr/lib/galera/libgalera_smm.so"), Path("/usr/lib64/galera-4/libgalera_smm.so")]
CONNECTION, LOCKED = 5, 6
START = datetime(2026, 1, 1, tzinfo=UTC)
MESSAGES = [Message(f"id{n:05d}", f"u{n % 37}", f"m{n % 5}", START + timedelta(minutes=n)) for n in range(4_000)]

pytestmark = [pytest.mark.slow, pytest.mark.mysql, pytest.mark.timeout(900)]


def node(provider: Path, others: list[int]) -> tuple[MariaDBServer, int]:
    """A node that joins those at the ports `others`, and its own port for them."""
    port = free_port()
    provided = {
        "base_port": port, "gmcast.listen_addr": f"tcp://127.0.0.1:{port}", "ist.recv_addr": f"127.0.0.1:{free_port()}",
    }  # fmt: skip
    return MariaDBServer(
        {
            "wsrep-on": "ON",
            "wsrep-provider": str(provider),
            "wsrep-cluster-address": f"gcomm://{','.join(f'127.0.0.1:{each}' for each in others)}",
            "wsrep-provider-options": ";".join(f"{name}={value}" for name, value in provided.items()),
            "wsrep-node-address": f"127.0.0.1:{port}",
            "wsrep-sst-method": "rsync",
            "wsrep-sst-receive-address": f"127.0.0.1:{free_port()}",
            "binlog-format": "ROW",
            "innodb-autoinc-lock-mode": "2",
        }
    ), port


@pytest.fixture
def nodes() -> Iterator[list[MariaDBServer]]:
    """Three nodes of one cluster."""
    provider = next((path for path in PROVIDERS if path.exists()), None)
    if provider is None:
        pytest.skip("no Galera library")
    with ExitStack() as stack:
        started: list[MariaDBServer] = []
        ports: list[int] = []
        for _ in range(3):
            try:
                server, port = node(provider, ports)
            except ServerUnavailableError as problem:
                without("mysql", str(problem))
            stack.enter_context(server)
            started.append(server)
            ports.append(port)
        yield started


@pytest.fixture
def urls(nodes: list[MariaDBServer], run_cli: Cli) -> list[str]:
    """One database, by way of each node."""
    run_cli.environment["CHATCTL_LAYOUT"] = "mentor"
    url = nodes[0].databases.create_database()
    return [url.replace(f":{nodes[0].port}/", f":{each.port}/") for each in nodes]


def on_each(run_cli: Cli, urls: list[str], *words: str, copies: int = 1) -> list[tuple[int, str]]:
    """Runs a command by way of each node at once; exit codes and what they said."""
    started: list[subprocess.Popen[bytes]] = [
        run_cli.start(*words, env={"CHATCTL_DATABASE": url}) for url in urls for _ in range(copies)
    ]
    return [(process.returncode, said) for process in started for said in [process.communicate()[1].decode()]]


def test_of_those_who_start_on_every_node_at_once_one_applies(urls: list[str], run_cli: Cli) -> None:
    make_legacy(urls[0], "mentor")

    ended = on_each(run_cli, urls, "migrate", "up", copies=2)

    assert {code for code, _ in ended} <= {0, LOCKED}, ended
    assert 0 in {code for code, _ in ended}
    for url in urls:
        assert run_cli("migrate", "check", env={"CHATCTL_DATABASE": url}).exit_code == 0


def test_workers_on_every_node_share_a_regrouping(urls: list[str], run_cli: Cli) -> None:
    flat = Mentored(urls[0])
    flat.fill(MESSAGES)
    begun = run_cli("regroup", "run", "--max-runtime", "0s", env={"CHATCTL_DATABASE": urls[0]})
    assert begun.exit_code == 12, begun
    (run,) = run_cli("runs", "list", "-o", "json", env={"CHATCTL_DATABASE": urls[0]}).json["data"]["runs"]

    ended = on_each(run_cli, urls, "regroup", "run", "--resume", run["run_id"], "--batch-size", "100")

    # Whoever comes when the others are through has nothing to join.
    assert {code for code, _ in ended} <= {0, 11, 130}, ended
    assert flat.partition() == partition(MESSAGES)
    for url in urls:
        assert run_cli("regroup", "verify", env={"CHATCTL_DATABASE": url}).exit_code == 0
    flat.close()


@pytest.mark.parametrize("how", ["kill", "pause"])
def test_a_node_that_is_lost_in_the_middle_is_gone_on_without(
    nodes: list[MariaDBServer], urls: list[str], run_cli: Cli, faults: Faults, how: str
) -> None:
    flat = Mentored(urls[2])
    flat.fill(MESSAGES)
    words = ("regroup", "run", "--batch-size", "50")
    process = run_cli.start(*words, env={"CHATCTL_DATABASE": urls[0]})
    while flat.rows("messages", "chat_id").count((None,)) in (0, len(MESSAGES)):
        assert process.poll() is None, process.communicate()
    getattr(nodes[0], how)()
    faults.count("nodes lost")
    if how == "kill":
        process.communicate()
        assert process.returncode == CONNECTION

    again = run_cli(*words, env={"CHATCTL_DATABASE": urls[1]})
    while again.exit_code in (CONNECTION, LOCKED):
        # The others have to agree first that it is gone, and its lock's lease to run out.
        again = run_cli(*words, env={"CHATCTL_DATABASE": urls[1]})

    assert again.exit_code == 0, again
    assert flat.partition() == partition(MESSAGES)
    if how == "pause":
        nodes[0].resume()
        process.communicate()
        assert process.returncode not in (0, 1)
        assert flat.partition() == partition(MESSAGES)
    assert run_cli("regroup", "verify", env={"CHATCTL_DATABASE": urls[2]}).exit_code == 0
    flat.close()
