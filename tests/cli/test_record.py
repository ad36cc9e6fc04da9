"""`chatctl record`: a migration from its lead's name to its last signature, each item with what proved it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.support.cli import Completed
from tests.support.environments import GIVEN, LEGACY, fill_in
from tests.support.legacy import make_legacy

from chatctl.layouts.loader import builtin_names
from chatctl.services.record.lists import items_of

Invoke = Callable[..., Completed]
ALIVE = ("/health", "/health/agents", "/api/v1/system/circuit-breakers")


class _Application(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path in ALIVE else 404)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        return None


@pytest.fixture
def base_url() -> Iterator[str]:
    """An application that answers on its health endpoints."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Application)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def system(invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """A legacy learning platform: `system("record", "show")` gives the answer's data."""
    monkeypatch.setenv("CHATCTL_DATABASE", f"sqlite:///{tmp_path / 'platform.db'}")
    monkeypatch.setenv("CHATCTL_LAYOUT", "toolboxai")
    make_legacy(f"sqlite:///{tmp_path / 'platform.db'}", "toolboxai")
    return invoke


def data(answer: Completed, exit_code: int = 0) -> Any:
    assert answer.exit_code == exit_code, answer
    return answer.json["data"]


def states(record: Any) -> dict[str, str]:
    return {item["item"]: item["state"] for item in record["items"]}


def begin(system: Invoke) -> Any:
    return data(
        system("record", "start", "--lead", "Ada", "--contact", "dba=Grace", "--estimated-downtime", "3h", "-o", "json")
    )


def test_a_record_from_its_beginning_to_its_end(system: Invoke, tmp_path: Path, base_url: str) -> None:
    record = begin(system)
    assert (record["status"], record["lead"], record["open"]) == ("in progress", "Ada", 14)
    assert record["contacts"] == [{"role": "dba", "name": "Grace"}]
    assert record["estimated_downtime_seconds"] == 3 * 3600

    (tmp_path / "apps").mkdir()
    (tmp_path / "apps/a.py").write_text("from src.config import settings\n")
    (tmp_path / ".env").write_text(LEGACY)
    (tmp_path / ".env").chmod(0o600)
    asked = ("record", "check", "--base-url", base_url, "--code", "apps", "-o", "json")
    before = states(data(system(*asked), 9))
    assert {before[item] for item in ("database", "environment", "code", "rollback")} == {"failed"}
    assert {before[item] for item in ("health", "agents", "breakers")} == {"done"}
    assert before["training"] == "open"

    for command in (
        ("migrate", "up"), ("backup", "create"), ("backup", "drill", "latest"), ("code", "scan", "apps", "--fix"),
        ("env", "convert"),
    ):  # fmt: skip
        assert system(*command).exit_code == 0
    (tmp_path / ".env").write_text(
        fill_in((tmp_path / ".env").read_text(), {**GIVEN, "DATABASE_URL": "postgresql://h/d"})
    )
    after = data(system(*asked), 9)
    people = [item["item"] for item in after["items"] if item["how"] == "person"]
    assert [item for item, state in states(after).items() if state != "done"] == people
    proofs = {item["item"]: item["proof"] for item in after["items"]}
    assert proofs["database"].startswith("run 2")
    assert "doctor backup-drilled ok" in proofs["rollback"]

    assert data(system("record", "finish", "-o", "json"), 9)["status"] == "in progress"
    for item in people:
        data(system("record", "sign", item, "--by", "Ada", "-o", "json"))
    ended = data(system("record", "finish", "--downtime", "95m", "--review", "2026-12-01", "-o", "json"))
    assert (ended["status"], ended["downtime_seconds"], ended["review"], ended["open"]) == (
        "completed",
        5700,
        "2026-12-01",
        0,
    )
    assert data(system("record", "show", "-o", "json")) == ended
    assert system("record", "sign", "training", "--by", "Ada").exit_code == 2


def test_a_record_is_rolled_back_with_items_open(system: Invoke) -> None:
    begin(system)

    assert data(system("record", "finish", "--status", "rolled-back", "-o", "json"))["status"] == "rolled back"
    assert begin(system)["open"] == 14


def test_only_one_record_is_in_progress(system: Invoke) -> None:
    begin(system)

    assert system("record", "start", "--lead", "Grace").exit_code == 6


def test_what_a_command_checks_is_signed_only_with_a_note(system: Invoke) -> None:
    begin(system)

    assert system("record", "sign", "health", "--by", "Ada").exit_code == 2
    signed = data(system("record", "sign", "health", "--by", "Ada", "--note", "seen from outside", "-o", "json"))
    assert next(item for item in signed["items"] if item["item"] == "health")["proof"] == "signed: seen from outside"
    # Nobody looked, so the signature stands.
    assert states(data(system("record", "check", "-o", "json"), 9))["health"] == "done"
    assert states(data(system("record", "sign", "training", "--by", "A", "-o", "json")))["training"] == "done"
    assert (
        states(data(system("record", "sign", "training", "--by", "A", "--withdraw", "-o", "json")))["training"]
        == "open"
    )
    assert system("record", "sign", "nonsense", "--by", "Ada").exit_code == 11


def test_markdown_can_be_pasted(system: Invoke) -> None:
    begin(system)
    system("record", "sign", "training", "--by", "Ada | Grace")

    text = system("record", "show", "--output", "markdown").stdout

    assert "| Lead | Ada |" in text
    assert "| Estimated downtime | 3 h 0 min |" in text
    assert "- [x] Team trained on the new architecture (signed, Ada \\| Grace" in text
    assert text.count("- [ ]") == 13


def test_there_is_none_before_one_is_begun_and_a_dry_run_begins_none(system: Invoke) -> None:
    assert system("record", "show").exit_code == 11
    assert data(system("record", "start", "--lead", "Ada", "--dry-run", "-o", "json"))["open"] == 14
    assert system("record", "show").exit_code == 11
    assert system("record", "check").exit_code == 11


@pytest.mark.parametrize("layout", builtin_names())
def test_every_system_has_its_guides_list(layout: str) -> None:
    assert items_of(layout)
    assert layout == "native" or items_of(layout) != items_of("native")
