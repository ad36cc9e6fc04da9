"""Permission probes: they agree with the database, remember only grants, and deny when in doubt."""

from __future__ import annotations

import logging
import random
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from tests.support.creators import stores
from tests.support.databases import Databases
from tests.support.permissions import make_permissions

from chatctl.domain.permissions import Rule
from chatctl.domain.result import Outcome
from chatctl.errors import ChatctlError, NotFoundError, PermissionSourceError
from chatctl.layouts import load_layout
from chatctl.services.permissions import listing
from chatctl.services.permissions.probing import Prober, check
from chatctl.stores.redis.permission_cache import PermissionCache
from chatctl.stores.redis.stores import RedisStores
from chatctl.stores.sql.database import Database
from chatctl.stores.tpms import source as tpms
from chatctl.stores.tpms.source import TpmsSource, tpms_database

log = logging.getLogger(__name__)

LAYOUT = load_layout("simorgh")
USERS = [
    "jane.smith",
    "O'Brien",
    'say "hi"',
    "100%",
    "a_b",
    "back\\slash",
    "semi;colon--",
    "Ünïcode",
    "نام",
    " lead",
    "x" * 190,
]
#: Text IDs of projects.
PROJECTS = [
    "O'Hara",
    'say "hi"',
    "100%",
    "a_b",
    "back\\slash",
    "semi;--",
    "Ünï",
    *(f"P{number}-x" for number in range(53)),
]
UNKNOWN = ["99999", "nope", "%", "_", "1%", "' OR '1'='1", "1 OR 1=1", "axb", "O''Hara"]
STRANGERS = ["nobody", "%", "_", "' OR '1'='1", "jane.smit", "jane_smith", "jane.smith%", "\\", ""]


@pytest.fixture
def redis(redis_url: str) -> Iterator[RedisStores]:
    opened = stores(redis_url)
    yield opened
    opened.close()


_opened: list[Database] = []


@pytest.fixture(autouse=True)
def _sources_closed() -> Iterator[None]:
    yield
    while _opened:
        _opened.pop().close()


def source_of(url: str, *, configured: bool = True) -> TpmsSource:
    _opened.append(tpms_database(url))
    return TpmsSource(_opened[-1], LAYOUT, configured=configured)


def some_grants(projects: list[str], seed: int) -> list[tuple[str, str]]:
    chosen = random.Random(seed)
    return sorted({(chosen.choice(projects), chosen.choice(USERS)) for _ in range(len(projects) * 4)})


@pytest.fixture
def source(sqlite_url: str) -> TpmsSource:
    make_permissions(sqlite_url, [("12345", "Industrial Plant XYZ"), ("AB-CD", "Other")], [("12345", "jane")])
    return source_of(sqlite_url)


def agree_with_direct_queries(url: str, redis: RedisStores, *, numeric: bool, cases: int) -> None:
    projects = [str(number) for number in range(1, 61)] if numeric else PROJECTS
    make_permissions(url, [(text, f"Project {text}") for text in projects], some_grants(projects, 1), numeric=numeric)
    probers = {"cached": Prober(source_of(url), redis.permission_cache), "uncached": Prober(source_of(url), None)}
    direct, decided = Database(url), Counter[str]()
    chosen = random.Random(2)
    unknown = [text for text in UNKNOWN if not (numeric and text[0].isdigit() and not text.isdigit())]
    with direct.connect() as connection:
        for _ in range(cases):
            user, project = chosen.choice([*USERS, *STRANGERS]), chosen.choice([*projects[:40], *unknown])
            known, granted = _ask_directly(connection, user, project)
            for name, prober in probers.items():
                rule = _explained(prober, user, project)
                allowed = {"grant_row"} if name == "uncached" else {"grant_row", "cached_grant"}
                expected = {"no_such_project"} if not known else allowed if granted else {"no_grant_row"}
                assert rule in expected, (name, user, project)
                decided[f"{name} {rule}"] += 1
    direct.close()
    log.info("%d cases agreed: %s", cases, dict(sorted(decided.items())))
    assert set(decided) == {
        "cached cached_grant", "cached grant_row", "cached no_grant_row", "cached no_such_project",
        "uncached grant_row", "uncached no_grant_row", "uncached no_such_project",
    }  # fmt: skip


def _explained(prober: Prober, user: str, project: str) -> str:
    """The rule that --explain names, its answer held against it."""
    try:
        answer = check(prober, user, project, explain=True)
    except NotFoundError:
        return "no_such_project"
    assert answer.data["allowed"] is (answer.outcome is Outcome.DONE)
    rule: str = answer.data["explain"][-1]["outcome"]
    assert answer.data["allowed"] is (rule in ("grant_row", "cached_grant"))
    return rule


def _ask_directly(connection: sa.Connection, user: str, project: str) -> tuple[bool, bool]:
    known = sa.text("SELECT COUNT(*) FROM View_Project_Main WHERE IDProjectMain = :p")
    granted = sa.text("SELECT COUNT(*) FROM draft_permission WHERE project_ID = :p AND user = :u")
    return (
        bool(connection.scalar(known, {"p": project})),
        bool(connection.scalar(granted, {"p": project, "u": user})),
    )


@pytest.mark.parametrize("numeric", [True, False], ids=["numeric", "text"])
@pytest.mark.mysql
def test_probes_agree_with_direct_queries(numeric: bool, redis: RedisStores, mariadb_url: str) -> None:
    agree_with_direct_queries(mariadb_url, redis, numeric=numeric, cases=300)


@pytest.mark.slow
@pytest.mark.mysql
@pytest.mark.parametrize("numeric", [True, False], ids=["numeric", "text"])
def test_five_thousand_probes_of_each_kind_agree(numeric: bool, redis: RedisStores, mariadb_url: str) -> None:
    agree_with_direct_queries(mariadb_url, redis, numeric=numeric, cases=5_000)


@pytest.mark.mysql
def test_a_number_with_something_behind_it_is_no_number(redis: RedisStores, mariadb_url: str) -> None:
    make_permissions(mariadb_url, [("12345", "Plant")], [("12345", "jane")], numeric=True)
    prober = Prober(source_of(mariadb_url), redis.permission_cache)
    assert prober.decide("jane", "12345").allowed
    for text in ("12345abc", "12345 OR 1=1", "1e4", "-12345", "٣"):
        with pytest.raises(NotFoundError):
            prober.decide("jane", text)


@pytest.mark.mysql
def test_another_spelling_of_a_number_is_the_same_project_and_is_not_remembered(
    redis: RedisStores, mariadb_url: str
) -> None:
    make_permissions(mariadb_url, [("12345", "Plant")], [("12345", "jane")], numeric=True)
    decision = Prober(source_of(mariadb_url), redis.permission_cache).decide("jane", "0012345")
    assert (decision.allowed, decision.project) == (True, "12345")
    assert list(redis.permission_cache.grants()) == []


# --- what is remembered -------------------------------------------------------------------------------------


def test_a_grant_is_remembered_and_answers_without_the_database(source: TpmsSource, redis: RedisStores) -> None:
    prober = Prober(source, redis.permission_cache)
    first, second = (prober.decide("jane", "12345") for _ in range(2))
    assert (first.rule, second.rule) == (Rule.GRANT_ROW, Rule.CACHED_GRANT)
    assert (second.source, second.project_name) == ("cache", "Industrial Plant XYZ")


def test_neither_denials_nor_unknown_projects_nor_failures_are_remembered(
    source: TpmsSource, redis: RedisStores, tmp_path: Path
) -> None:
    prober = Prober(source, redis.permission_cache)
    assert not prober.decide("john", "12345").allowed
    with pytest.raises(NotFoundError):
        prober.decide("jane", "99999")
    with pytest.raises(PermissionSourceError):
        Prober(source_of(f"sqlite:///{tmp_path}/gone.db"), redis.permission_cache).decide("jane", "12345")
    assert redis.servers.client(3).keys("*") == []


def test_a_remembered_grant_is_never_older_than_its_time(source: TpmsSource, redis: RedisStores) -> None:
    now = datetime(2025, 12, 3, tzinfo=UTC)
    clock = [now]
    cache = PermissionCache(redis.servers, redis.keys, lambda: clock[0])
    cache.put("jane", "12345", None)
    assert redis.servers.client(3).ttl("auth:project:jane:12345") == 3600
    redis.servers.client(3).persist("auth:project:jane:12345")
    for age, usable in ((3599, True), (3600, False), (-1, False)):
        clock[0] = now + timedelta(seconds=age)
        assert (cache.get("jane", "12345") is not None) is usable, age


@pytest.mark.parametrize(
    "text",
    [
        "not json", "[]", "1", '{"has_access": "yes", "cached_at": "2025-12-03T00:00:00Z"}',
        '{"has_access": false, "cached_at": "2025-12-03T00:00:00Z"}', '{"has_access": true}',
        '{"has_access": true, "cached_at": "soon"}', '{"has_access": true, "cached_at": "2025-12-03", "user": "john"}',
    ],
)  # fmt: skip
def test_what_the_cache_holds_is_a_grant_or_nothing(text: str, redis: RedisStores) -> None:
    clock = datetime(2025, 12, 3, 0, 0, 1, tzinfo=UTC)
    redis.servers.client(3).set("auth:project:jane:12345", text)
    assert PermissionCache(redis.servers, redis.keys, lambda: clock).get("jane", "12345") is None


def test_colons_in_users_and_projects_never_mix_two_grants(redis: RedisStores) -> None:
    redis.permission_cache.put("a:b", "c", None)
    redis.permission_cache.put("a", "b:c", None)
    assert redis.permission_cache.get("a", "b:c") is None
    assert [(grant.user, grant.project) for grant in redis.permission_cache.grants()] == [("a:b", "c")]


def test_a_broken_cache_makes_a_probe_slower_not_wrong(source: TpmsSource, redis: RedisStores) -> None:
    redis.servers.client(3).rpush("auth:project:jane:12345", "a list")
    answer = check(Prober(source, redis.permission_cache), "jane", "12345", explain=True)
    assert answer.data["allowed"]
    assert answer.warnings


def test_explain_names_what_decided(source: TpmsSource, redis: RedisStores) -> None:
    prober = Prober(source, redis.permission_cache)
    decided = [
        check(prober, user, "12345", explain=True).data["explain"][-1]["outcome"] for user in ("jane", "jane", "john")
    ]
    assert decided == ["grant_row", "cached_grant", "no_grant_row"]


def test_missing_credentials_let_nobody_in(sqlite_url: str, redis: RedisStores) -> None:
    unconfigured = source_of(sqlite_url, configured=False)
    answer = check(Prober(unconfigured, redis.permission_cache), "jane", "12345", explain=True)
    assert answer.outcome is Outcome.DENIED
    assert answer.data["explain"][-1] == {"step": "rule", "outcome": "no_credentials"}


def test_the_embedded_database_answers_where_it_has_the_tables(sqlite_url: str, redis: RedisStores) -> None:
    make_permissions(sqlite_url, [("7", "Seven")], [("7", "jane")])
    unconfigured = source_of(sqlite_url, configured=False)
    assert Prober(unconfigured, None).decide("jane", "7").allowed


# --- the account, and a database in trouble -----------------------------------------------------------------


@pytest.mark.mysql
def test_the_source_is_only_read_even_by_an_account_that_may_write(mariadb_url: str) -> None:
    make_permissions(mariadb_url, [], [])
    source = source_of(mariadb_url)
    assert source.write_privileges()
    _opened.append(tpms_database(mariadb_url))
    with pytest.raises(ChatctlError, match="READ ONLY"), _opened[-1].begin() as connection:
        connection.execute(sa.text("DELETE FROM draft_permission"))


@pytest.mark.mysql
def test_an_account_with_select_alone_is_no_finding(
    mariadb_url: str, mariadb_databases: Databases, redis: RedisStores
) -> None:
    make_permissions(mariadb_url, [("1", "One")], [("1", "jane")])
    url = sa.make_url(mariadb_url)
    name = f"reader_{url.database}"[:32]
    root = Database(mariadb_url)
    _opened.append(root)
    with root.begin() as connection:
        connection.exec_driver_sql(f"CREATE USER '{name}'@'%%' IDENTIFIED BY 'secret'")
        connection.exec_driver_sql(f"GRANT SELECT ON `{url.database}`.* TO '{name}'@'%%'")
    try:
        reader = source_of(url.set(username=name, password="secret").render_as_string(hide_password=False))
        assert reader.write_privileges() == []
        answer = listing.audit(reader, redis.permission_cache, iter([("jane", "1"), ("john", "1")]))
        assert answer.outcome is Outcome.DONE
        assert [probe["allowed"] for probe in answer.data["probes"]] == [True, False]
    finally:
        with root.begin() as connection:
            connection.exec_driver_sql(f"DROP USER '{name}'@'%%'")


@pytest.mark.mysql
def test_a_database_that_is_down_or_silent_is_trouble_and_no_denial(own_mariadb: Any, redis: RedisStores) -> None:
    with Databases(own_mariadb.url).database() as url:
        make_permissions(url, [("1", "One")], [("1", "jane")])
        source = source_of(url)
        assert Prober(source, None).decide("jane", "1").allowed
        own_mariadb.pause()
        started = time.monotonic()
        with pytest.raises(PermissionSourceError):
            Prober(source, None).decide("jane", "1")
        assert time.monotonic() - started < 30
        own_mariadb.resume()
        own_mariadb.stop()
        with pytest.raises(PermissionSourceError):
            Prober(source, redis.permission_cache).decide("jane", "1")
        assert redis.servers.client(3).keys("*") == []
        own_mariadb.start()


@pytest.mark.mysql
def test_a_database_that_takes_too_long_is_trouble_and_no_denial(
    mariadb_url: str, redis: RedisStores, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_permissions(mariadb_url, [("1", "One")], [("1", "jane")])
    root = Database(mariadb_url)
    _opened.append(root)
    with root.begin() as connection:
        connection.exec_driver_sql("RENAME TABLE draft_permission TO kept")
        connection.exec_driver_sql(
            "CREATE VIEW draft_permission AS SELECT project_ID, `user` FROM kept WHERE SLEEP(3) = 0"
        )
    monkeypatch.setattr(tpms, "TIMEOUT_SECONDS", 1)
    with pytest.raises(PermissionSourceError, match="TPMS MySQL connection error"):
        Prober(source_of(mariadb_url), redis.permission_cache).decide("jane", "1")
    assert redis.servers.client(3).keys("*") == []


def test_the_audit_finds_grants_that_the_database_no_longer_gives(source: TpmsSource, redis: RedisStores) -> None:
    redis.permission_cache.put("jane", "12345", None)
    redis.permission_cache.put("john", "12345", None)
    answer = listing.audit(source, redis.permission_cache, None)
    assert answer.outcome is Outcome.FINDINGS
    assert [(item["user"], item["project"]) for item in answer.data["revoked"]] == [("john", "12345")]
    assert answer.data["cached"] == 2


def many_probes(url: str, count: int) -> tuple[TpmsSource, list[tuple[str, str]], list[bool]]:
    """A source, probes of it, and their answers."""
    projects = [str(number) for number in range(1, 201)]
    grants = set(some_grants(projects, 3))
    make_permissions(url, [(text, text) for text in projects], sorted(grants), numeric=True)
    chosen = random.Random(4)
    pairs = [(chosen.choice(USERS), chosen.choice(projects)) for _ in range(count)]
    return source_of(url), pairs, [(project, user) in grants for user, project in pairs]


@pytest.mark.mysql
def test_many_probes_take_few_queries(mariadb_url: str) -> None:
    source, pairs, expected = many_probes(mariadb_url, 1_000)
    source.has_grant(*pairs[0])
    queries: list[str] = []
    sa.event.listen(_opened[-1].engine, "before_cursor_execute", lambda *seen: queries.append(seen[2]))
    assert source.have_grants(pairs) == expected
    assert len(queries) <= 5


@pytest.mark.slow
@pytest.mark.mysql
def test_five_thousand_probes_are_answered_in_a_second(mariadb_url: str) -> None:
    source, pairs, expected = many_probes(mariadb_url, 10_000)
    rates = []
    for _ in range(3):
        started = time.perf_counter()
        assert source.have_grants(pairs) == expected
        rates.append(len(pairs) / (time.perf_counter() - started))
    assert max(rates) >= 5_000, f"{max(rates):.0f} probes a second"
