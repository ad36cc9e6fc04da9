"""An erased user is found nowhere, and nothing of anybody else is touched. A hold is stronger."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.support.purging import DAY, NOW, PurgeBed
from tests.support.regrouping import crew

from chatctl.domain.progress import SilentProgress, StopSignal
from chatctl.domain.result import Result
from chatctl.domain.sessions import StoredSession
from chatctl.errors import RefusedError
from chatctl.services.purge import erasing, restoring, running
from chatctl.services.purge.erasing import Attendance
from chatctl.services.purge.restoring import RestoreRequest
from chatctl.services.purge.target import PurgeRequest, PurgeTarget
from chatctl.services.regroup import running as regroup
from chatctl.services.regroup.target import RegroupTarget, Request
from chatctl.stores.redis.erasure import UserTraces
from chatctl.stores.redis.stores import RedisStores
from chatctl.stores.sql.serving.accounts import Accounts
from chatctl.stores.sql.session_archive import SessionArchive

ERASED, OTHER = "erased-user-4711", "other-user-0815"


def erase(target: PurgeTarget, user: str = ERASED) -> Result:
    return erasing.erase(target, user, Attendance(SilentProgress(), StopSignal()))


def everything(purging: PurgeBed) -> str:
    """Every value in every table, chatctl's own too, and every line in every archive."""
    found: list[str] = []
    with purging.database.connect() as connection:
        for name in sa.inspect(connection).get_table_names():
            found += [str(row) for row in connection.execute(sa.select(sa.text("*")).select_from(sa.table(name)))]
    archives = purging.target.archives
    with purging.database.connect() as connection:
        for archive in archives.all(connection):
            found += archives.read(connection, archive)
    files = [path for path in (purging.folder / "archives").rglob("*") if path.is_file()]
    listed = len([path for path in files if path.name.endswith(".zst")])
    with purging.database.connect() as connection:
        assert listed == sum(archive.file is not None for archive in archives.all(connection))
    return "\n".join(found)


def of_both(purging: PurgeBed, age_days: int, prefix: str) -> None:
    """A conversation of each user; which column names the user is the layout's affair."""
    for user in (ERASED, OTHER):
        by_account = purging.layout.purge is not None and purging.layout.purge.account in ("user_id", "account_id")
        account = user if by_account else "project"
        values = {"user_id": user}
        purging.add(f"{prefix}{user[0]}", NOW - age_days * DAY, account=account, **values)
    if "user_id" in purging.tables["messages"].c:
        table = purging.tables["messages"]
        rule = purging.layout.purge
        assert rule is not None
        join = purging.layout.join("messages", rule.what)
        with purging.database.begin() as connection:
            for user in (ERASED, OTHER):
                name = f"{prefix}{user[0]}"
                parent = {"id": purging.key(name), "chat_id": name, "project_id": "project"}
                where = [table.c[own] == parent[its] for own, its in join.items()]
                connection.execute(table.update().where(*where).values(user_id=user))


@pytest.mark.parametrize("archive", ["file", "table"])
def test_an_erased_user_is_found_nowhere_and_others_are_whole(purging: PurgeBed, archive: str) -> None:
    of_both(purging, 90, "old-")
    purging.purge(archive=archive)
    of_both(purging, 1, "new-")
    assert ERASED in everything(purging)

    done = erase(purging.target).data

    left = everything(purging)
    assert ERASED not in left
    assert OTHER in left
    assert done["erased"] is True
    assert done["archives_rewritten"] == 1
    assert purging.names("new-e", "new-o") == {"new-o"}
    restoring.restore(purging.target, RestoreRequest(), SilentProgress(), StopSignal())
    assert purging.names("old-e", "old-o") == {"old-o"}
    assert erase(purging.target).data["deleted_chats"] == 0


@pytest.mark.parametrize("layout_name", ["ray", "mentor"], indirect=True)
def test_a_hold_on_a_user_keeps_that_users_alone_even_where_only_messages_tell(purging: PurgeBed) -> None:
    purging.target.prepare()
    of_both(purging, 90, "old-")
    with purging.database.begin() as connection:
        purging.target.holds.add(connection, "user", ERASED, "x", "x", None)

    purging.purge()

    assert purging.names("old-e", "old-o") == {"old-e"}


@pytest.mark.parametrize("layout_name", ["native"], indirect=True)
@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_a_hold_is_stronger_than_an_erasure(purging: PurgeBed) -> None:
    of_both(purging, 1, "new-")
    purging.target.prepare()
    with purging.database.begin() as connection:
        hold = purging.target.holds.add(connection, "chat", "new-e", "case", "x", None)
    before = purging.fingerprints()

    with pytest.raises(RefusedError, match="A hold protects this user"):
        erase(purging.target)
    assert purging.fingerprints() == before

    with purging.database.begin() as connection:
        purging.target.holds.release(connection, hold.id)
        purging.target.holds.release(
            connection, purging.target.holds.add(connection, "user", ERASED, "x", "x", None).id
        )
    erase(purging.target)
    assert ERASED not in everything(purging)


@pytest.mark.parametrize("layout_name", ["ray"], indirect=True)
def test_conversations_whose_last_access_nobody_knows_go_too(purging: PurgeBed) -> None:
    of_both(purging, 1, "new-")
    for name in ("new-e", "new-o"):
        purging.touch(name, None)

    assert erase(purging.target).data["deleted_chats"] == 1
    assert purging.names("new-e", "new-o") == {"new-o"}


@pytest.mark.parametrize("layout_name", ["worker"], indirect=True)
def test_a_hold_on_what_is_archived_refuses_the_erasure_too(purging: PurgeBed) -> None:
    of_both(purging, 90, "old-")
    purging.purge()
    with purging.database.begin() as connection:
        hold = purging.target.holds.add(connection, "chat", "old-e", "case", "x", None)
    before = everything(purging)

    with pytest.raises(RefusedError, match="A hold protects this user"):
        erase(purging.target)
    assert everything(purging) == before

    with purging.database.begin() as connection:
        purging.target.holds.release(connection, hold.id)
    assert erase(purging.target).data["archives_rewritten"] == 1


@pytest.mark.parametrize("layout_name", ["mentor"], indirect=True)
def test_chatctls_own_tables_forget_the_user(purging: PurgeBed) -> None:
    """An account of the API, what a regrouping keeps to be undone, the options and positions of runs."""
    purging.add(f"{ERASED}-1", NOW - 90 * DAY, account=ERASED)
    purging.add(f"{ERASED}-2", NOW - 80 * DAY, account=ERASED)
    purging.target.prepare()
    with purging.database.begin() as connection:
        hold = purging.target.holds.add(connection, "chat", f"{ERASED}-2", f"for {ERASED}", "x", None)
        purging.target.holds.release(connection, hold.id)
    purging.purge(archive="table", limit=1)
    of_both(purging, 1, "new-")
    accounts, messages = Accounts(None), purging.tables["messages"]
    with purging.database.begin() as connection:
        for user in (ERASED, OTHER):
            values = {"username": f"{user}-name", "email": None, "password_hash": "x", "role": "user"}
            accounts.add(connection, {"user_id": user, **values})
        connection.execute(messages.update().values(chat_id=None, mentor_id="m"))
    regrouping = RegroupTarget(purging.database, purging.layout, purging.target.journal)
    regroup.start(regrouping, regrouping.grouping(Request()), crew())
    regroup.start(regrouping, regrouping.grouping(Request(user=ERASED)), crew())
    assert everything(purging).count(ERASED) > 5

    erase(purging.target)

    left = everything(purging)
    assert [line for line in left.splitlines() if ERASED in line] == []
    assert f"{OTHER}-name" in left


@pytest.mark.redis
@pytest.mark.parametrize("layout_name", ["simorgh"], indirect=True)
@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_redis_forgets_an_erased_user_too(purging: PurgeBed, redis_url: str, tmp_path: Path) -> None:
    stores = RedisStores(redis_url, purging.layout.redis, tmp_path)
    record = '{"user_id": "%s", "allowed_users": ["%s", "x"], "created_at": "2026-01-01T00:00:00Z"}'
    mine, theirs = f'{{"content": "a", "user_id": "{ERASED}"}}', f'{{"content": "b", "user_id": "{OTHER}"}}'
    stores.sessions.restore(StoredSession("G-202601-000001", record % (ERASED, OTHER), (mine,)))
    stores.sessions.restore(StoredSession("G-202601-000002", record % (OTHER, ERASED), (mine, theirs)))
    clients = {number: stores.servers.client(number) for number in range(5)}
    clients[0].set("session:G-202601-000001", "{}", ex=3600)
    clients[0].set("session:G-202601-000002", "{}", ex=3600)
    clients[0].set(f"user:profile:{ERASED}", "x")
    clients[0].set(f"user:profile:{ERASED}-younger", "x")
    clients[0].set(f"user:pref:{ERASED}:theme", "x")
    clients[3].set(f"auth:project:{ERASED}:12345", "{}")
    clients[3].set(f"auth:user_projects:{ERASED}", "{}")
    target = replace(
        purging.target, sessions=stores.sessions, traces=UserTraces(stores.servers, stores.keys, stores.sessions)
    )

    done = erase(target).data

    keys = {name for client in clients.values() for name in client.scan_iter("*")}
    assert {name for name in keys if ERASED in name} == {f"user:profile:{ERASED}-younger"}
    assert {name for name in keys if name.startswith("session:G")} == {"session:G-202601-000002"}
    assert done["deleted_chats"] == 1
    other = stores.sessions.get_many(list(stores.sessions.ids()))
    assert [(stored.id, stored.fields["allowed_users"], stored.history) for stored in other] == [
        ("G-202601-000002", ["x"], (theirs,))
    ]
    stores.close()


@pytest.mark.redis
@pytest.mark.parametrize("layout_name", ["simorgh"], indirect=True)
@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
@pytest.mark.parametrize("archive", ["file", "table"])
def test_archived_sessions_of_others_forget_their_guest(
    purging: PurgeBed, redis_url: str, tmp_path: Path, archive: str
) -> None:
    """Sessions that a purge took from Redis, those that were archived in SQL, and those that went from there."""
    stores = RedisStores(redis_url, purging.layout.redis, tmp_path)
    record = f'{{"user_id": "{OTHER}", "allowed_users": ["{ERASED}", "x"], "created_at": "2026-01-01T00:00:00Z"}}'
    mine, theirs = f'{{"content": "a", "user_id": "{ERASED}"}}', "\udcff is no UTF-8"
    session = StoredSession("G-202601-000001", record, (mine, theirs))
    stores.sessions.restore(session)
    in_sql = SessionArchive(purging.database, purging.layout)
    in_sql.save([replace(session, id="G-202601-000002")], NOW)
    in_sql.save([replace(session, id="G-202601-000003")], NOW)
    purging.touch("G-202601-000002", NOW)
    target = replace(purging.target, sessions=stores.sessions)
    running.run(target, PurgeRequest(archive=archive), running.Attendance(SilentProgress(), StopSignal()))
    assert everything(purging).count(ERASED) >= 6

    done = erase(target).data

    assert ERASED not in everything(purging)
    assert done["archives_rewritten"] == 2
    restoring.restore(target, RestoreRequest(), SilentProgress(), StopSignal())
    back = [*stores.sessions.get_many(list(stores.sessions.ids())), *in_sql.load(in_sql.ids())]
    assert [(stored.id[-1], stored.guests, stored.history) for stored in back] == [
        ("1", ["x"], (theirs,)), ("2", ["x"], (theirs,)), ("3", ["x"], (theirs,)),
    ]  # fmt: skip
    stores.close()
