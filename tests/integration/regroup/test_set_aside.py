"""A message that the database refuses doesn't hold the others up: it is named, and tried again when it is asked for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from tests.support.regrouping import Mentored, Message, crew

from chatctl.domain.result import Outcome
from chatctl.errors import NotFoundError
from chatctl.services.regroup import running
from chatctl.services.regroup.driving import Crew
from chatctl.services.regroup.target import Request

START = datetime(2026, 1, 1, 12, tzinfo=UTC)

#: The engine → a trigger that refuses to move one message, in statements of its own.
REFUSALS = {
    "sqlite": [
        "CREATE TRIGGER refusal BEFORE UPDATE ON messages WHEN new.id = 'id0003'"
        " BEGIN SELECT RAISE(ABORT, 'not this one'); END"
    ],
    "mariadb": [
        "CREATE TRIGGER refusal BEFORE UPDATE ON messages FOR EACH ROW BEGIN"
        " IF new.id = 'id0003' THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'not this one'; END IF; END"
    ],
    "postgresql": [
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not this one'; END $$",
        "CREATE TRIGGER refusal BEFORE UPDATE ON messages FOR EACH ROW WHEN (new.id = 'id0003')"
        " EXECUTE FUNCTION refuse()",
    ],
}
ALLOWANCE = {"postgresql": "DROP TRIGGER refusal ON messages"}


def refuse(mentored: Mentored) -> None:
    with mentored.database.begin() as connection:
        for statement in REFUSALS[mentored.database.dialect.name]:
            connection.exec_driver_sql(statement)


def allow(mentored: Mentored) -> None:
    with mentored.database.begin() as connection:
        connection.exec_driver_sql(ALLOWANCE.get(mentored.database.dialect.name, "DROP TRIGGER refusal"))


@pytest.mark.parametrize("gap", ["none", "6h"])
def test_a_refused_message_is_set_aside_named_and_moved_when_it_may_be(mentored: Mentored, gap: str) -> None:
    mentored.fill(Message(f"id{n:04d}", f"u{n % 2}", "m1", START + timedelta(minutes=n)) for n in range(12))
    refuse(mentored)

    result = mentored.regroup(gap)

    assert (result.outcome, result.data["messages_moved"], result.data["set_aside"]) == (Outcome.PARTIAL, 11, 1)
    (complaint,) = result.errors
    assert "id0003" in complaint.message
    assert "not this one" in complaint.message
    assert f"--retry-failed {result.run_id}" in (complaint.hint or "")
    assert [check["name"] for check in mentored.verify().data["checks"] if not check["ok"]] == ["left_behind"]

    again = running.retry(mentored.target, result.run_id or "", crew())
    assert (again.outcome, again.data["messages_moved"]) == (Outcome.PARTIAL, 11)

    allow(mentored)
    done = running.retry(mentored.target, result.run_id or "", crew())

    assert (done.outcome, done.run_id, done.data["messages_moved"]) == (Outcome.DONE, result.run_id, 12)
    assert [check for check in mentored.verify().data["checks"] if not check["ok"]] == []
    assert len(mentored.partition()) == 2
    with pytest.raises(NotFoundError, match="set aside"):
        running.retry(mentored.target, result.run_id or "", crew())


@pytest.mark.parametrize("again", ["same_command", "by_its_id", "by_its_id_once_killed"])
def test_a_run_that_follows_moves_what_arrives_until_it_is_stopped(
    mentored: Mentored, monkeypatch: pytest.MonkeyPatch, again: str
) -> None:
    monkeypatch.setattr(running, "FOLLOW_SECONDS", 0.1)
    # It makes more passes than a run may that doesn't follow.
    monkeypatch.setattr(running, "MOST_PASSES", 2)
    mentored.fill([Message("id0001", "u1", "m1", START)])
    watched = crew()
    late = [Message("id0002", "u1", "m1", START + timedelta(minutes=1)), Message("id0003", "u2", "m1", START)]
    seen: list[int] = []

    def note(text: str) -> None:
        if not text.startswith("Waiting for what arrives"):
            return
        seen.append(len(mentored.partition()))
        if late:
            mentored.fill(late)
            late.clear()
        else:
            watched.stop.request()

    watched.progress.note = note
    following = Crew(watched.progress, watched.stop, follow=True)
    grouping = mentored.target.grouping(Request())

    stopped = running.start(mentored.target, grouping, following)

    assert (stopped.outcome, stopped.data["messages_moved"]) == (Outcome.INTERRUPTED, 3)
    assert seen == [1, 2]
    # What arrives when nobody looks: that the last look had found nothing says nothing of it.
    mentored.fill([Message("id0004", "u1", "m1", START + timedelta(minutes=2))])
    run_id = stopped.run_id or ""
    if again == "by_its_id_once_killed":
        with mentored.database.begin() as connection:
            runs = mentored.target.journal.runs
            runs.resume(connection, runs.get(connection, run_id))
    finished = mentored.regroup() if again == "same_command" else running.join(mentored.target, run_id, crew())
    assert finished.run_id == run_id
    assert mentored.partition() == {frozenset({"id0001", "id0002", "id0004"}), frozenset({"id0003"})}
    assert [check for check in mentored.verify().data["checks"] if not check["ok"]] == []
