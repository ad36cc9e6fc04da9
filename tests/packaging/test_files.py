"""What ships beside the code: units that systemd takes, files that parse, alerts on figures that there are."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.sample import REPOSITORY

from chatctl.cli import lazy

FOLDER = REPOSITORY / "packaging"
UNITS = sorted((FOLDER / "systemd").iterdir())


def load(name: str) -> Any:
    return yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))


def called(text: str) -> Iterator[str]:
    """The words of every chatctl call in a text."""
    for words in re.findall(r"\bchatctl((?: [a-z]+| --?[a-z-]+(?: json)?)+)", text):
        yield " ".join(word for word in words.replace("--log-format json", "").split() if not word.startswith("-"))


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_the_units_are_understood_by_systemd_and_expose_little() -> None:
    units = [str(unit) for unit in UNITS]
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr

    for unit in (unit for unit in UNITS if unit.suffix == ".service"):
        # In tenths of systemd's own scale, from 0 (nothing to get at) to 100.
        command = ["systemd-analyze", "security", "--offline=true", "--threshold=20", str(unit)]
        rated = subprocess.run(command, capture_output=True, text=True, check=False)
        assert rated.returncode == 0, rated.stdout[-400:] + rated.stderr


@pytest.mark.parametrize("file", [*UNITS, FOLDER / "github/migrations.yml"], ids=lambda file: str(file.name))
def test_what_is_called_is_a_command(file: Path) -> None:
    commands = lazy.every_command()
    for words in called("\n".join(line for line in file.read_text().splitlines() if not line.startswith("#"))):
        if words:
            assert any(words.startswith(command) for command in commands), words


def test_the_image_runs_as_a_user_of_its_own_and_its_copy_needs_no_compiler() -> None:
    text = (FOLDER / "Dockerfile").read_text()

    assert re.findall(r"^FROM (\S+)", text, re.MULTILINE) == ["python:3.13-slim"] * 2
    assert re.search(r"^USER 10001:10001$", text, re.MULTILINE)
    assert "gcc" not in text
    assert "--require-hashes" in text


def test_the_compose_file_has_every_server_and_keeps_no_password() -> None:
    services = load("compose.yaml")["services"]

    assert set(services) == {"mariadb", "postgresql", "redis", "chatctl"}
    assert all("healthcheck" in services[name] for name in ("mariadb", "postgresql", "redis"))
    assert "noeviction" in services["redis"]["command"]
    assert services["chatctl"]["read_only"]
    for service in services.values():
        for name, value in service.get("environment", {}).items():
            assert name not in ("MARIADB_PASSWORD", "POSTGRES_PASSWORD") or value.startswith("${CHATCTL_DB_PASSWORD:?")


@pytest.mark.skipif(shutil.which("docker") is None, reason="docker is not installed")
def test_docker_understands_the_compose_file() -> None:
    command = ["docker", "compose", "-f", str(FOLDER / "compose.yaml"), "config", "--quiet"]
    variables = {**os.environ, "CHATCTL_DB_PASSWORD": "x"}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    if "is not a docker command" in done.stderr or "unknown" in done.stderr:
        pytest.skip("docker has no compose")
    assert done.returncode == 0, done.stderr


def test_the_workflow_checks_pull_requests() -> None:
    workflow = load("github/migrations.yml")

    # YAML 1.1 takes `on` for a boolean.
    assert "pull_request" in workflow[True]
    assert workflow["permissions"] == {"contents": "read"}
    runs = " ".join(step.get("run", "") for step in workflow["jobs"]["check"]["steps"])
    assert "migrate lint" in runs
    assert "migrate check" in runs


def test_alerts_are_on_figures_that_chatctl_gives() -> None:
    source = "\n".join(file.read_text() for file in (REPOSITORY / "src/chatctl").rglob("*.py"))
    expressions = [rule["expr"] for group in load("prometheus/alerts.yaml")["groups"] for rule in group["rules"]]
    names = {name for text in expressions for name in re.findall(r"chatctl_[a-z_]+", text)}

    assert len(names) >= 5
    served = {"chatctl_runs", "chatctl_requests_total", "chatctl_request_seconds_bucket"}
    for name in names - (served if not (REPOSITORY / "src/chatctl/api").exists() else set()):
        assert name.removesuffix("_total").removesuffix("_bucket") in source, name


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_prometheus_understands_the_alerts() -> None:
    command = ["promtool", "check", "rules", str(FOLDER / "prometheus/alerts.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
