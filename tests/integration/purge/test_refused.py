"""A conversation that the database doesn't let go keeps no other from going, and is told."""

from __future__ import annotations

import pytest
from tests.support.purging import DAY, NOW, PurgeBed

from chatctl.domain.progress import SilentProgress, StopSignal
from chatctl.domain.result import Outcome
from chatctl.errors import DatabaseError
from chatctl.services.purge import erasing

pytestmark = pytest.mark.parametrize("layout_name", ["worker"], indirect=True)

TRIGGERS = {
    "SQLite": [
        "CREATE TRIGGER keep BEFORE DELETE ON conversations WHEN OLD.session_id LIKE 'kept%'"
        " BEGIN SELECT RAISE(ABORT, 'not this one'); END"
    ],
    "PostgreSQL": [
        "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN IF OLD.session_id LIKE ''kept%%'' THEN RAISE EXCEPTION ''not this one''; END IF; RETURN OLD; END'",
        "CREATE TRIGGER keep BEFORE DELETE ON conversations FOR EACH ROW EXECUTE FUNCTION keep()",
    ],
    "MariaDB": [
        "CREATE TRIGGER keep BEFORE DELETE ON conversations FOR EACH ROW"
        " IF OLD.session_id LIKE 'kept%%' THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'not this one'; END IF"
    ],
}


@pytest.fixture
def refusing(purging: PurgeBed) -> PurgeBed:
    """A database with a trigger that keeps conversations whose names begin with `kept`."""
    title = purging.database.dialect.title
    with purging.database.begin() as connection:
        for statement in TRIGGERS["MariaDB" if title == "MySQL" else title]:
            connection.exec_driver_sql(statement)
    return purging


def test_one_that_is_refused_stays_whole_and_all_others_go(refusing: PurgeBed) -> None:
    for number in range(9):
        refusing.add(f"kept{number}" if number == 4 else f"c{number}", NOW - (40 + number) * DAY)

    done = refusing.purge(batch_size=4)

    assert done.outcome is Outcome.PARTIAL
    assert [done.data[name] for name in ("deleted_chats", "archived", "set_aside", "backlog")] == [8, 8, 1, 1]
    assert "kept4 among them" in done.errors[0].message
    assert (refusing.count("chats"), refusing.count("messages")) == (1, 2)
    assert refusing.purge().data["set_aside"] == 1


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_an_erasure_that_is_refused_doesnt_pass_for_done(refusing: PurgeBed) -> None:
    refusing.add("kept", NOW)

    with pytest.raises(DatabaseError, match="not this one"):
        erasing.erase(refusing.target, "a1", erasing.Attendance(SilentProgress(), StopSignal()))


def test_where_many_are_refused_the_purge_says_why_and_ends(refusing: PurgeBed) -> None:
    for number in range(30):
        refusing.add(f"kept{number:02}", NOW - 40 * DAY, messages=0)

    with pytest.raises(DatabaseError, match="not this one"):
        refusing.purge(batch_size=1)

    assert refusing.count("chats") == 30
