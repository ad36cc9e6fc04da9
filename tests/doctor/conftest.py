"""What the doctor's tests share: one way to make one check, and servers that are set up as no server should be."""

from __future__ import annotations

import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.cli import clean_environment
from tests.support.servers import MariaDBServer, RedisServer, own_server

from chatctl.cli.surroundings import surroundings
from chatctl.layouts import loader
from chatctl.services.doctor import checking
from chatctl.services.doctor.base import Limits
from chatctl.settings import load_settings
from chatctl.settings.flags import Flags
from chatctl.wiring import Wiring


class Doctor:
    """Makes one check in `folder`, with the variables that were set."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.variables: dict[str, str] = {}
        self.limits: dict[str, Any] = {}
        self.replica: str | None = None

    def set(self, **variables: str) -> None:
        """Sets CHATCTL_* variables: `set(layout="mentor")`."""
        self.variables |= {f"CHATCTL_{name.upper()}": value for name, value in variables.items()}

    def state(self, name: str) -> str:
        """`ok`, `finding` or `skipped`, and in words why."""
        environ = {**clean_environment(self.folder), **self.variables}
        settings = load_settings(Flags(None, None, None, None, None), environ, self.folder)
        with closing(Wiring(settings)) as wiring:
            around = surroundings(wiring, self.replica, self.folder / ".env")
            around = replace(around, environ=environ, cwd=self.folder, limits=replace(Limits(), **self.limits))
            (row,) = checking.examine(around, names=[name]).data["checks"]
        self.detail = row["detail"]
        return str(row["state"])

    def layout(self, base: str, **requires: str) -> None:
        """Takes the built-in layout `base` with other requirements."""
        file = Path(loader.__file__).parent / f"builtin/{base}.yaml"
        content = yaml.safe_load(file.read_text())
        content["requires"] = {**content.get("requires", {}), **requires}
        own = self.folder / "own.yaml"
        own.write_text(yaml.safe_dump(content))
        self.set(layout=str(own))

    def program(self, name: str, version: str | None) -> None:
        """Puts a program that answers with `version` on an otherwise empty PATH; without one, nothing is on it."""
        folder = self.folder / "bin"
        folder.mkdir(exist_ok=True)
        self.variables["PATH"] = str(folder)
        if version is not None:
            (folder / name).write_text(f"#!/bin/sh\necho {version}\n")
            (folder / name).chmod(0o755)


@pytest.fixture
def doctor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Doctor:
    """A doctor for an empty SQLite file in the layout `mentor`."""
    (tmp_path / "chat.db").touch()
    monkeypatch.chdir(tmp_path)
    found = Doctor(tmp_path)
    found.set(database=f"sqlite:///{tmp_path / 'chat.db'}", layout="mentor")
    return found


@pytest.fixture(scope="module")
def address() -> str:
    """An address of this machine that isn't its loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Nothing is sent: the address of the interface that would be used is all that is asked.
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no network interface")
        return str(probe.getsockname()[0])


@pytest.fixture(scope="module")
def certificate() -> Iterator[tuple[Path, Path]]:
    """A key and a certificate that signs itself, in a folder that servers can read."""
    with tempfile.TemporaryDirectory(prefix="chatctl-tls-") as folder:
        key, crt = Path(folder, "key.pem"), Path(folder, "crt.pem")
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
        subprocess.run([*command, "-keyout", key, "-out", crt], check=True, capture_output=True)
        Path(folder).chmod(0o755)
        key.chmod(0o644)
        yield key, crt


@pytest.fixture(scope="module")
def mariadb(certificate: tuple[Path, Path]) -> Iterator[MariaDBServer]:
    """A MariaDB server that speaks TLS, answers on every address and may have replicas."""
    key, crt = map(str, certificate)
    settings = {"bind-address": "0.0.0.0", "ssl-key": key, "ssl-cert": crt, "log-bin": "binary", "server-id": "1"}
    with own_server("mysql", settings) as server:
        assert isinstance(server, MariaDBServer)
        yield server


@pytest.fixture(scope="module")
def replica(mariadb: MariaDBServer) -> Iterator[MariaDBServer]:
    """A replica of it."""
    with own_server("mysql", {"server-id": "2"}) as server:
        assert isinstance(server, MariaDBServer)
        with closing(server.connect()) as connection, connection.cursor() as cursor:
            cursor.execute(
                f"CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={mariadb.port}, MASTER_USER='chatctl',"
                " MASTER_PASSWORD='s3cret-of-the-tests', MASTER_USE_GTID=current_pos"
            )
            cursor.execute("START SLAVE")
        yield server


@pytest.fixture(scope="module")
def redis_by_tls(certificate: tuple[Path, Path]) -> Iterator[tuple[RedisServer, int]]:
    """A Redis that answers on every address, in the clear and, on the port beside it, by TLS."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    key, crt = map(str, certificate)
    settings = {
        "bind": "0.0.0.0", "protected-mode": "no", "tls-port": str(port), "tls-key-file": key, "tls-cert-file": crt,
        "tls-ca-cert-file": crt, "tls-auth-clients": "no",
    }  # fmt: skip
    with own_server("redis", settings) as server:
        assert isinstance(server, RedisServer)
        yield server, port


Make = Callable[[Doctor], None]
