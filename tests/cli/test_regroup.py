"""The whole way of a regrouping by its commands: each answer fits its schema, each exit code is the contract's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.support.cli import Completed
from tests.support.regrouping import Mentored, Message

Invoke = Callable[..., Completed]

START = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def chats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mentored]:
    """A database of the layout `mentor` with ten flat messages, which commands work on."""
    url = f"sqlite:///{tmp_path / 'mentor.db'}"
    monkeypatch.setenv("CHATCTL_DATABASE", url)
    monkeypatch.setenv("CHATCTL_LAYOUT", "mentor")
    made = Mentored(url)
    made.fill(Message(f"id{n:02d}", f"u{n % 3}", "m1" if n else None, START + timedelta(minutes=n)) for n in range(10))
    yield made
    made.close()


def answer(invoke: Invoke, *arguments: str, code: int = 0) -> Completed:
    done = invoke(*arguments, "--output", "json")
    assert done.exit_code == code, done
    assert done.json["exit_code"] == code
    return done


def test_plan_run_verify_report_undo_and_seal(invoke: Invoke, chats: Mentored, tmp_path: Path) -> None:
    plan = answer(invoke, "regroup", "plan", "--out", str(tmp_path / "plan.json")).json["data"]
    assert (plan["messages_total"], plan["messages_to_move"], plan["groups"], plan["standalone"]) == (10, 9, 3, 1)
    answer(invoke, "regroup", "plan", "--detailed-exit", code=7)
    assert answer(invoke, "regroup", "run", "--dry-run").json["data"]["dry_run"]
    answer(invoke, "regroup", "verify", code=11)

    done = answer(invoke, "regroup", "run", "--plan", str(tmp_path / "plan.json"), "--batch-size", "4").json
    assert (done["data"]["messages_moved"], done["data"]["chats_created"]) == (9, 3)
    assert answer(invoke, "regroup", "verify").json["data"]["ok"]
    assert answer(invoke, "regroup", "status").json["data"]["runs"][0]["state"] == "open"

    run_id = done["run_id"]
    assert answer(invoke, "runs", "list").json["data"]["runs"][0]["run_id"] == run_id
    assert answer(invoke, "runs", "show", run_id).json["data"]["totals"]["messages_moved"] == 9
    report = answer(invoke, "runs", "report", run_id).json["data"]
    moved = next(phase for phase in report["phases"] if phase["phase"] == "1assign")
    assert (moved["rows"], moved["batches"]) == (9, 3)
    assert sum(part["rows"] for part in report["timeline"]) == sum(phase["rows"] for phase in report["phases"])

    assert answer(invoke, "regroup", "undo", "--dry-run").json["data"]["chats_deleted"] == 3
    answer(invoke, "regroup", "undo", code=2)
    assert answer(invoke, "regroup", "undo", "--confirm", "default").json["data"]["messages_freed"] == 9
    answer(invoke, "regroup", "run", "--gap", "1m")
    assert answer(invoke, "regroup", "seal", "--dry-run").json["data"]["dry_run"]
    answer(invoke, "regroup", "seal", "--yes")
    answer(invoke, "regroup", "undo", "--confirm", "default", code=11)


def test_a_damaged_chat_is_a_finding(invoke: Invoke, chats: Mentored) -> None:
    answer(invoke, "regroup", "run")
    chats.execute(sa.text("UPDATE messages SET content = 'other' WHERE id = 'id01'"))

    found = answer(invoke, "regroup", "verify", code=9).json["data"]

    assert [check["name"] for check in found["checks"] if not check["ok"]] == ["messages_unchanged"]


def test_a_refused_message_ends_in_exit_3_and_the_command_that_tries_it_again(invoke: Invoke, chats: Mentored) -> None:
    trigger = (
        "CREATE TRIGGER refusal BEFORE UPDATE ON messages WHEN new.id = 'id03' BEGIN SELECT RAISE(ABORT, 'no'); END"
    )
    chats.execute(sa.text(trigger))

    partial = answer(invoke, "regroup", "run", code=3).json

    assert (partial["status"], partial["errors"][0]["code"], partial["data"]["set_aside"]) == (
        "partial",
        "set_aside",
        1,
    )
    answer(invoke, "regroup", "run", "--retry-failed", partial["run_id"], code=3)
    chats.execute(sa.text("DROP TRIGGER refusal"))
    again = answer(invoke, "regroup", "run", "--retry-failed", partial["run_id"]).json
    assert (again["run_id"], again["data"]["messages_moved"]) == (partial["run_id"], 9)
    answer(invoke, "regroup", "verify")


def test_pruning_keeps_the_runs_and_what_undoing_needs(invoke: Invoke, chats: Mentored) -> None:
    run_id = answer(invoke, "regroup", "run").json["run_id"]
    assert answer(invoke, "runs", "prune").json["data"]["runs"] == []
    assert answer(invoke, "runs", "prune", "--keep", "0s", "--dry-run").json["data"]["batches_deleted"] == 0

    pruned = answer(invoke, "runs", "prune", "--keep", "0s").json["data"]

    assert [run["run_id"] for run in pruned["runs"]] == [run_id]
    assert pruned["batches_deleted"] == pruned["runs"][0]["batches"] > 0
    assert answer(invoke, "runs", "prune", "--keep", "0s").json["data"]["runs"] == []
    assert answer(invoke, "runs", "report", run_id).json["data"]["phases"] == []
    answer(invoke, "regroup", "verify")
    answer(invoke, "regroup", "undo", "--confirm", "default")
