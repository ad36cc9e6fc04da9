"""Each arrangement of servers by its URL, and each kind of trouble by its name."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.support.creators import GENERAL, stores
from tests.support.redis_server import RedisServer
from tests.support.servers import own_server

from chatctl.errors import (
    AccessDeniedError,
    CannotConnectError,
    ConfigurationError,
    IntegrityError,
    NoPrivilegeError,
    ReadOnlyError,
    RefusedError,
)
from chatctl.stores.redis.address import Topology, parse_address


@pytest.mark.parametrize(
    ("url", "topology", "where"),
    [
        ("redis://u:canary@h:7000/3", Topology.SINGLE, "Redis at h:7000"),
        ("unix:///run/r.sock?db=2", Topology.SINGLE, "Redis at /run/r.sock"),
        ("embedded", Topology.EMBEDDED, "embedded Redis"),
        ("redis+sentinel://u:canary@a:1,b/chats?db=2", Topology.SENTINEL, "Redis 'chats' of Sentinel at a:1,b:26379"),
        ("rediss+cluster://:canary@[::1]:7,b:8", Topology.CLUSTER, "Redis Cluster at ::1:7,b:8"),
    ],
)
def test_a_url_says_how_the_servers_are_arranged(url: str, topology: Topology, where: str) -> None:
    address = parse_address(url)
    assert (address.topology, address.where) == (topology, where)
    assert "canary" not in repr(address)


@pytest.mark.parametrize(
    "url", ["http://canary@h", "redis+sentinel://canary@h", "redis://canary@h/x", "redis+cluster://h:canary", "canary"]
)
def test_a_url_that_is_none_is_refused_without_being_quoted(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_address(url)
    assert "canary@" not in caught.value.message


def test_the_urls_own_database_is_the_counters(redis_url: str) -> None:
    redis = stores(redis_url.rsplit("/", 1)[0] + "/7")
    redis.counters.raise_to(GENERAL, 3)
    assert redis.servers.client(7).get("session:counter:general:202512") == "3"
    redis.close()


def test_a_server_is_reached_by_its_socket(own_redis: RedisServer) -> None:
    redis = stores(own_redis.socket_url)
    redis.ping()
    redis.close()


def test_a_server_is_reached_by_tls(tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl to make a certificate with")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    extension = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command, *extension], check=True, capture_output=True)
    settings = {"tls-port": "0", "tls-cert-file": str(certificate), "tls-key-file": str(key)}
    with own_server("redis") as plain:
        assert isinstance(plain, RedisServer)
        with plain.connect() as client:
            try:
                for name in ("tls-cert-file", "tls-key-file"):
                    client.config_set(name, settings[name])
                client.config_set("tls-auth-clients", "no")
                client.config_set("tls-port", plain.port + 1 if plain.port < 65_000 else plain.port - 1)
            except Exception as problem:
                pytest.skip(f"this redis-server speaks no TLS: {problem}")
            port = int(client.config_get("tls-port")["tls-port"])
        redis = stores(f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={certificate}")
        redis.ping()
        redis.close()
        stranger = stores(f"rediss://127.0.0.1:{port}/0")
        with pytest.raises(CannotConnectError):
            stranger.ping()
        stranger.close()


@pytest.mark.parametrize(
    ("commands", "error"),
    [
        ([("CONFIG", "SET", "requirepass", "x")], AccessDeniedError),
        ([("ACL", "SETUSER", "default", "-set", "-hset")], NoPrivilegeError),
        ([("REPLICAOF", "127.0.0.1", "1")], ReadOnlyError),
        ([("RPUSH", "chatctl:guard:general:202512", "a list")], IntegrityError),
        ([("CONFIG", "SET", "maxmemory", "1")], RefusedError),
        ([("CONFIG", "SET", "min-replicas-to-write", "1")], RefusedError),
    ],
)
def test_trouble_has_a_name(commands: list[tuple[str, ...]], error: type[Exception], own_redis: Any) -> None:
    with own_redis.connect() as client:
        for command in commands:
            client.execute_command(*command)
    redis = stores(own_redis.url)
    with pytest.raises(error):
        redis.counters.take_over(GENERAL, "fence", 1)
    redis.close()


def test_a_server_that_is_gone_or_silent_cannot_be_reached(own_redis: RedisServer) -> None:
    redis = stores(own_redis.url)
    redis.ping()
    own_redis.stop()
    with pytest.raises(CannotConnectError, match=str(own_redis.port)):
        redis.ping()
    redis.close()
