"""What a run leaves alone, what it makes, and what comes of running it again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from tests.support.regrouping import Mentored, Message, crew, partition

from chatctl.domain.progress import SilentProgress, StopSignal
from chatctl.domain.result import Outcome
from chatctl.errors import LockedError, MissingEntityError, NotFoundError, StalePlanError, UnfinishedRunError
from chatctl.services.regroup import running, undoing
from chatctl.services.regroup.driving import Crew
from chatctl.services.regroup.target import Request
from chatctl.stores.sql.journal import RunStatus

START = datetime(2026, 1, 1, 12, tzinfo=UTC)


def message(number: int, user: str = "u1", mentor: str | None = "m1", minutes: int = 0, text: str = "text") -> Message:
    return Message(f"id{number:04d}", user, mentor, START + timedelta(minutes=minutes), text)


def test_a_chat_has_its_owner_its_mentors_name_and_its_messages_times(mentored: Mentored) -> None:
    mentored.execute(mentored.tables["mentors"].insert().values(id="m1", name="Ada"))
    mentored.execute(mentored.tables["users"].insert().values(id="u1"))
    mentored.fill([message(1, minutes=5), message(2), message(3, minutes=9)])

    mentored.regroup()

    (chat,) = mentored.rows("chats", "user_id", "mentor_id", "title", "is_active", "created_at", "updated_at")
    assert chat == ("u1", "m1", "Chat with Ada", True, START, START + timedelta(minutes=9))


def test_a_message_without_a_mentor_stays_alone_unless_it_is_told_where_to_go(mentored: Mentored) -> None:
    mentored.fill([message(1), message(2, mentor=None)])

    assert mentored.plan()["standalone"] == 1
    mentored.regroup()
    assert mentored.partition() == {frozenset({"id0001"})}

    mentored.regroup(null_keys="general")
    assert mentored.partition() == {frozenset({"id0001"}), frozenset({"id0002"})}
    assert ("General Chat",) in mentored.rows("chats", "title")


def test_a_chat_may_be_called_by_its_first_message_or_not_at_all(mentored: Mentored) -> None:
    mentored.fill([message(1, minutes=3, text="later"), message(2, text="  What is\na closure? " + "x" * 300)])
    mentored.regroup(title="first-message")
    ((title,),) = mentored.rows("chats", "title")
    assert title.startswith("What is a closure? xxx")
    assert len(title) <= 80

    mentored.undo()
    mentored.regroup(title="none")
    assert mentored.rows("chats", "title") == [(None,)]


def test_chats_and_messages_of_the_application_are_never_touched(mentored: Mentored) -> None:
    for entity, identity in (("users", "u1"), ("mentors", "m1")):
        mentored.execute(mentored.tables[entity].insert().values(id=identity))
    mentored.execute(
        mentored.tables["chats"].insert().values(
            id="mine", user_id="u1", mentor_id="m1", title="Mine", is_active=True, created_at=START, updated_at=START
        )
    )  # fmt: skip
    mentored.fill([message(1)], chat_id="mine")
    mentored.fill([message(2, minutes=1)])
    before = [row for row in mentored.rows("chats") if row[0] == "mine"]

    mentored.regroup()

    assert [row for row in mentored.rows("chats") if row[0] == "mine"] == before
    assert mentored.partition() == {frozenset({"id0001"}), frozenset({"id0002"})}


def test_running_again_takes_what_has_come_since_and_undoing_that_takes_back_only_that(mentored: Mentored) -> None:
    mentored.fill([message(1)])
    mentored.regroup()
    first = mentored.fingerprints()
    mentored.fill([message(2, minutes=7)])

    again = mentored.regroup()

    assert (again.data["messages_moved"], again.data["chats_created"], again.data["chats_joined"]) == (1, 0, 1)
    assert mentored.partition() == {frozenset({"id0001", "id0002"})}
    assert mentored.rows("chats", "updated_at") == [(START + timedelta(minutes=7),)]

    mentored.undo()
    mentored.execute(mentored.tables["messages"].delete().where(mentored.tables["messages"].c.id == "id0002"))
    assert mentored.fingerprints() == first


def test_an_empty_table_is_nothing_to_do(mentored: Mentored) -> None:
    result = mentored.regroup("6h")

    assert (result.outcome, result.data["messages_moved"]) == (Outcome.DONE, 0)
    assert mentored.verify().data["ok"]


def test_undo_keeps_a_chat_that_the_application_has_written_to(mentored: Mentored) -> None:
    mentored.fill([message(1), message(2, user="u2")])
    mentored.regroup()
    (kept,) = [row[0] for row in mentored.rows("chats", "id", "user_id") if row[1] == "u2"]
    mentored.fill([message(3, user="u2", minutes=60)], chat_id=kept)

    result = mentored.undo()

    assert (result.data["chats_deleted"], result.data["chats_kept"]) == (1, 1)
    assert mentored.partition() == {frozenset({"id0002", "id0003"})}
    assert mentored.rows("users", "id") == [("u2",)]


@pytest.mark.parametrize("title", ["mentor", "first-message", "none"])
@pytest.mark.parametrize("write", ["title", "is_active", "another"])
def test_undo_keeps_a_chat_that_was_written_to_by_an_application_that_moves_no_clock(
    mentored: Mentored, write: str, title: str
) -> None:
    mentored.execute(mentored.tables["mentors"].insert().values(id="m1", name="Ada"))
    mentored.fill([message(1), message(2, user="u2"), message(3, user="u2", minutes=1)])
    mentored.regroup(title=title)
    chats, messages = mentored.tables["chats"], mentored.tables["messages"]
    # A mentor's new name is no write to his chats.
    mentored.execute(mentored.tables["mentors"].update().values(name="Grace"))
    (kept,) = [row[0] for row in mentored.rows("chats", "id", "user_id") if row[1] == "u2"]
    if write == "another":
        mentored.execute(messages.delete().where(messages.c.id == "id0003"))
        mentored.fill([message(4, user="u2", minutes=2)], chat_id=kept)
    else:
        value = {"title": "CHAT WITH ADA", "is_active": False}[write]
        mentored.execute(chats.update().where(chats.c.id == kept).values({write: value}))
    before = [row for row in mentored.rows("chats") if row[0] == kept]

    result = mentored.undo()

    assert (result.data["chats_deleted"], result.data["chats_kept"]) == (1, 1)
    assert mentored.rows("chats") == before
    left = {"id0002", "id0004" if write == "another" else "id0003"}
    assert mentored.partition() == {frozenset(left)}


@pytest.mark.parametrize("phase", ["freeing messages", "taking chats back"])
@pytest.mark.parametrize("write", ["title", "is_active", "another"])
def test_undo_keeps_a_chat_whole_that_is_written_to_while_it_is_at_work(
    mentored: Mentored, write: str, phase: str
) -> None:
    mentored.fill([message(1), message(2, user="u2"), message(3, user="u2", minutes=1)])
    mentored.regroup()
    chats = mentored.tables["chats"]
    (kept,) = [row[0] for row in mentored.rows("chats", "id", "user_id") if row[1] == "u2"]

    class Application(SilentProgress):
        """Writes to a chat before or after its messages are freed."""

        def note(self, text: str) -> None:
            if not text.startswith(phase):
                return
            if write == "another":
                mentored.fill([message(4, user="u2", minutes=2)], chat_id=kept)
            else:
                value = {"title": "Mine", "is_active": False}[write]
                mentored.execute(chats.update().where(chats.c.id == kept).values({write: value}))

    result = undoing.undo(mentored.target, None, Crew(Application(), StopSignal()))

    counted = {name: result.data[name] for name in ("messages_freed", "chats_deleted", "chats_kept")}
    assert counted == {"messages_freed": 1, "chats_deleted": 1, "chats_kept": 1}
    assert mentored.partition() == {frozenset({"id0002", "id0003", *(["id0004"] if write == "another" else [])})}


def test_undo_that_was_given_up_can_begin_anew_though_the_messages_are_back_in_their_chats(mentored: Mentored) -> None:
    mentored.fill([message(1), message(2, user="u2")])
    first = mentored.regroup()

    class Trouble(SilentProgress):
        """Ends the undo once the messages are free."""

        def note(self, text: str) -> None:
            if text.startswith("taking chats back"):
                raise LockedError("enough")

    with pytest.raises(LockedError):
        undoing.undo(mentored.target, first.run_id, Crew(Trouble(), StopSignal()))
    with pytest.raises(UnfinishedRunError, match="is unfinished"):
        mentored.regroup()
    assert mentored.partition() == set()
    runs = mentored.target.journal.runs
    with mentored.database.begin() as connection:
        (given_up,) = [run for run in runs.list(connection) if run.status.unfinished]
        runs.finish(connection, given_up.id, RunStatus.CANCELLED, given_up.totals)
    mentored.regroup()
    assert mentored.partition() == {frozenset({"id0001"}), frozenset({"id0002"})}

    result = undoing.undo(mentored.target, first.run_id, crew())

    assert (result.data["messages_freed"], result.data["chats_deleted"]) == (2, 2)
    assert (mentored.partition(), mentored.rows("chats")) == (set(), [])


def test_mentors_need_no_names(mentored: Mentored) -> None:
    mentored.execute(sa.text("ALTER TABLE mentors DROP COLUMN name"))
    mentored.fill([message(1)])

    mentored.regroup()

    assert mentored.rows("chats", "title") == [("Chat with m1",)]
    mentored.undo()
    assert mentored.rows("chats", "id") == []


def test_a_sealed_run_cannot_be_undone_and_leaves_no_records(mentored: Mentored) -> None:
    mentored.fill([message(1)])
    mentored.regroup("6h")
    undoing.seal(mentored.target, None)

    with pytest.raises(NotFoundError, match="sealed"):
        mentored.undo()
    with mentored.database.connect() as connection:
        names = sa.inspect(connection).get_table_names()
    assert [name for name in names if name.startswith("chatctl_regroup_")] == []


@pytest.mark.parametrize(
    ("damage", "check"),
    [
        ("UPDATE messages SET content = 'other' WHERE id = 'id0001'", "messages_unchanged"),
        ("DELETE FROM messages WHERE id = 'id0001'", "messages_there"),
        ("EMPTY", "chats_empty"),
        ("TIMES", "times_wrong"),
    ],
)
def test_verify_finds_what_is_wrong(mentored: Mentored, damage: str, check: str) -> None:
    mentored.fill([message(1), message(2, user="u2")])
    mentored.regroup()
    assert mentored.verify().outcome is Outcome.DONE
    messages, chats = mentored.tables["messages"], mentored.tables["chats"]
    if damage == "EMPTY":
        mentored.execute(messages.update().where(messages.c.user_id == "u2").values(chat_id=None))
    elif damage == "TIMES":
        mentored.execute(chats.update().values(updated_at=START - timedelta(days=1)))
    else:
        mentored.execute(sa.text(damage))

    result = mentored.verify()

    assert result.outcome is Outcome.FINDINGS
    assert check in [found["name"] for found in result.data["checks"] if not found["ok"]]


def test_messages_that_come_after_a_run_are_no_difference_however_old_they_say_they_are(mentored: Mentored) -> None:
    mentored.fill([message(1), message(2, user="u2")])
    mentored.regroup()
    (chat,) = [row[0] for row in mentored.rows("chats", "id", "user_id") if row[1] == "u2"]
    mentored.fill([message(3), message(4, mentor=None), message(5, user="u9")])
    mentored.fill([message(6, user="u2", minutes=-90), message(7, user="u2", minutes=90)], chat_id=chat)
    mentored.execute(mentored.tables["chats"].update().values(created_at=START - timedelta(days=1)))
    mentored.execute(mentored.tables["chats"].update().values(updated_at=START + timedelta(days=1)))

    assert [check for check in mentored.verify().data["checks"] if not check["ok"]] == []


def test_verify_finds_a_change_in_a_chat_that_has_grown_since(mentored: Mentored) -> None:
    mentored.fill([message(1), message(2, minutes=1)])
    mentored.regroup()
    ((chat,),) = mentored.rows("chats", "id")
    mentored.fill([message(3, minutes=90)], chat_id=chat)
    mentored.execute(mentored.tables["chats"].update().values(updated_at=START + timedelta(days=1)))
    assert mentored.verify().data["ok"]

    messages = mentored.tables["messages"]
    mentored.execute(messages.update().where(messages.c.id == "id0001").values(content="other"))

    assert [check["name"] for check in mentored.verify().data["checks"] if not check["ok"]] == ["messages_unchanged"]


@pytest.mark.parametrize("damage", ["lost", "changed"])
def test_verify_watches_the_messages_that_no_run_moves(mentored: Mentored, damage: str) -> None:
    mentored.fill([message(1), message(2, mentor=None)])
    mentored.regroup()
    messages = mentored.tables["messages"]
    alone = messages.c.id == "id0002"
    mentored.execute(
        messages.delete().where(alone) if damage == "lost" else messages.update().where(alone).values(content="other")
    )

    expected = {"lost": "messages_there", "changed": "messages_unchanged"}[damage]
    assert [check["name"] for check in mentored.verify().data["checks"] if not check["ok"]] == [expected]


def test_what_an_interrupted_run_has_not_moved_yet_is_left_behind(mentored: Mentored) -> None:
    mentored.fill([message(1)])
    watched = crew()
    watched.stop.request()
    running.start(mentored.target, mentored.target.grouping(Request()), watched)

    assert "left_behind" in [check["name"] for check in mentored.verify().data["checks"] if not check["ok"]]


def test_a_plan_is_stale_once_its_messages_are_gone_and_not_when_more_have_come(mentored: Mentored) -> None:
    mentored.fill([message(1), message(2)])
    plan = mentored.plan()
    assert plan["fingerprint"] == mentored.plan()["fingerprint"]
    mentored.execute(mentored.tables["messages"].delete().where(mentored.tables["messages"].c.id == "id0001"))
    grouping = mentored.target.grouping(Request())

    with pytest.raises(StalePlanError):
        running.start(mentored.target, grouping, crew(), plan)

    mentored.fill([message(3), message(4)])
    assert running.start(mentored.target, grouping, crew(), plan).data["messages_moved"] == 3


def test_an_interrupted_run_goes_on_with_its_own_options_only(mentored: Mentored) -> None:
    mentored.fill([message(number, user=f"u{number}") for number in range(50)])
    watched = crew(batch_size=3)
    watched.stop.request()
    grouping = mentored.target.grouping(Request())

    stopped = running.start(mentored.target, grouping, watched)

    assert stopped.outcome is Outcome.INTERRUPTED
    with pytest.raises(UnfinishedRunError, match=stopped.run_id):
        mentored.regroup("6h")
    finished = mentored.regroup(batch_size=5)
    assert (finished.run_id, finished.data["resumed"], finished.data["messages_moved"]) == (stopped.run_id, True, 50)
    assert mentored.verify().data["ok"]


def test_a_legacy_database_is_told_what_it_lacks(mentored: Mentored) -> None:
    messages = mentored.tables["messages"]
    mentored.execute(sa.text(f"DROP TABLE {messages.name}"))

    with pytest.raises(MissingEntityError, match="messages"):
        mentored.regroup()


def test_a_message_of_a_new_group_that_comes_while_the_run_moves_others_is_taken_by_the_next_pass(
    mentored: Mentored,
) -> None:
    mentored.fill([message(number, user=f"u{number}") for number in range(9)])
    grouping = mentored.target.grouping(Request())
    watched = crew()

    def note(text: str) -> None:
        if text.startswith("moving") and not late:
            late.append(text)
            mentored.fill([Message("late1", "late", "m1", now), Message("late2", "u1", "m1", now)])

    now = datetime.now(UTC).replace(microsecond=0)
    late: list[str] = []
    watched.progress.note = note
    result = running.start(mentored.target, grouping, watched)

    assert result.data["messages_moved"] == 11
    assert mentored.verify().data["ok"]
    assert len(mentored.partition()) == 10
    assert [row for row in mentored.rows("chats", "user_id", "updated_at") if row[0] == "u1"] == [("u1", now)]


def test_a_message_that_comes_late_joins_the_chat_that_begins_shortly_after_it(mentored: Mentored) -> None:
    mentored.fill([message(5, minutes=100), message(6, minutes=130)])
    late = [message(4, minutes=90), message(3, minutes=50), message(7, minutes=110), message(1, minutes=-60)]
    watched = crew()
    arriving = list(late)

    def note(text: str) -> None:
        if text.startswith("settling") and arriving:
            mentored.fill(arriving)
            arriving.clear()

    watched.progress.note = note

    result = running.start(mentored.target, mentored.target.grouping(Request(gap="1h")), watched)

    assert result.data["messages_moved"] == 6
    everything = [message(5, minutes=100), message(6, minutes=130), *late]
    assert mentored.partition() == partition(everything, 3600)
    assert mentored.verify().data["ok"]
    assert START + timedelta(minutes=50) in {row[0] for row in mentored.rows("chats", "created_at")}
