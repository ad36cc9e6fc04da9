"""What was archived comes back exactly as it was, over nothing, and stays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from tests.support.purging import DAY, NOW, PurgeBed

from chatctl.domain.progress import SilentProgress, StopSignal
from chatctl.domain.result import Outcome, Result
from chatctl.errors import IntegrityError, NotFoundError
from chatctl.services.purge import restoring
from chatctl.services.purge.planning import plan
from chatctl.services.purge.restoring import RestoreRequest
from chatctl.services.purge.target import PurgeRequest
from chatctl.stores.sql.purge.restoring import Wanted

just_worker = pytest.mark.parametrize("layout_name", ["worker"], indirect=True)
Restore = Callable[..., Result]


@pytest.fixture
def restore(purging: PurgeBed) -> Restore:
    """`restore(chat="c1")` brings back what is meant."""

    def restore(run_id: str | None = None, *, dry_run: bool = False, **wanted: Any) -> Result:
        request = RestoreRequest(run_id, Wanted(**wanted))
        return restoring.restore(purging.target, request, SilentProgress(), StopSignal(), dry_run=dry_run)

    return restore


@pytest.mark.parametrize("archive", ["file", "table"])
def test_purge_then_restore_is_the_identity(purging: PurgeBed, restore: Restore, archive: str) -> None:
    for number in range(9):
        purging.add(f"c{number}", NOW - (31 + number) * DAY, messages=number)
    purging.add("fresh", NOW)
    before = purging.fingerprints()

    purging.purge(batch_size=4, archive=archive)
    assert purging.fingerprints() != before
    back = restore()

    assert purging.fingerprints() == before
    assert (back.data["restored_chats"], back.data["restored_messages"]) == (9, 36)


@just_worker
def test_the_next_night_leaves_what_was_restored(purging: PurgeBed, restore: Restore) -> None:
    purging.add("c1", NOW - 90 * DAY)
    purging.purge()
    restore()

    assert plan(purging.target, PurgeRequest()).data["restored"] == 1
    assert purging.purge().data["deleted_chats"] == 0
    purging.now += 31 * DAY
    assert purging.purge().data["deleted_chats"] == 1


@just_worker
def test_one_conversation_or_account_alone_can_be_restored(purging: PurgeBed, restore: Restore) -> None:
    for number in range(6):
        purging.add(f"c{number}", NOW - 90 * DAY, account=f"a{number % 2}")
    purging.purge()

    assert restore(chat="c3", dry_run=True).data["archived_chats"] == 1
    assert purging.count("chats") == 0
    restore(chat="c3")
    assert purging.names(*(f"c{number}" for number in range(6))) == {"c3"}
    restore(account="a0")
    assert purging.names(*(f"c{number}" for number in range(6))) == {"c0", "c2", "c3", "c4"}
    with pytest.raises(NotFoundError):
        restore(user="nobody")


@just_worker
@pytest.mark.parametrize(
    "engine_name", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)], indirect=True
)
def test_of_names_that_differ_in_case_alone_each_gets_its_own_messages_back(
    purging: PurgeBed, restore: Restore
) -> None:
    purging.add("Case", NOW - 90 * DAY, messages=1)
    purging.add("case", NOW - 91 * DAY, messages=3)
    purging.purge()

    assert restore(chat="Case").data["restored_messages"] == 1
    assert restore(chat="case").data["restored_messages"] == 3


@just_worker
@pytest.mark.parametrize("engine_name", [pytest.param("mariadb", marks=pytest.mark.mysql)], indirect=True)
def test_another_spelling_of_an_archived_name_is_a_conflict_where_the_server_sees_none(
    purging: PurgeBed, restore: Restore
) -> None:
    with purging.database.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE messages DROP FOREIGN KEY " + _foreign_key(connection))
        connection.exec_driver_sql(
            "ALTER TABLE conversations MODIFY session_id varchar(255) COLLATE utf8mb4_general_ci NOT NULL"
        )
    purging.add("Case", NOW - 90 * DAY, messages=0)
    purging.purge()
    purging.add("case", NOW, messages=0)

    assert restore().data["conflicts"] == ["Case"]


def _foreign_key(connection: sa.Connection) -> str:
    return str(sa.inspect(connection).get_foreign_keys("messages")[0]["name"])


@just_worker
def test_what_is_there_is_never_overwritten(purging: PurgeBed, restore: Restore) -> None:
    for name in ("c1", "c2"):
        purging.add(name, NOW - 90 * DAY)
    purging.purge()
    purging.add("c1", NOW, messages=0)
    there = purging.fingerprints()["chats"]

    back = restore()

    assert back.outcome is Outcome.PARTIAL
    assert back.data["conflicts"] == ["c1"]
    purging.purge(older_than=DAY)
    assert purging.names("c1", "c2") == {"c1", "c2"}
    assert there[0] == 1
    assert restore().data["already_there"] == 1


@just_worker
def test_a_damaged_or_missing_archive_is_named_and_nothing_is_restored(purging: PurgeBed, restore: Restore) -> None:
    for number in range(4):
        purging.add(f"c{number}", NOW - 90 * DAY)
    purging.purge(batch_size=2)
    (first, second, *_) = sorted((purging.folder / "archives").glob("*/*.zst"))
    content = bytearray(first.read_bytes())
    content[len(content) // 2] ^= 1
    first.write_bytes(content)

    with pytest.raises(IntegrityError, match="damaged"):
        restore()
    first.unlink()
    with pytest.raises(NotFoundError, match="isn't there"):
        restore()

    assert second.exists()
    assert purging.count("chats") == 0
