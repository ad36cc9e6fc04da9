"""ray's chats in memory: bounded, by activity, and never older than the tables."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from chatctl.services.chatting.ray import HISTORY, SessionCache

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def key(number: int) -> tuple[str, str, str]:
    return ("user", "project", f"chat-{number:08x}")


def test_the_least_recently_active_leave_when_there_are_too_many() -> None:
    cache = SessionCache(most=10, leaving=4)
    for number in range(10):
        cache.put(key(number), NOW, [("m", "r")])
    cache.put(key(0), NOW, [("m", "r")])
    cache.put(key(10), NOW, [("m", "r")])
    assert len(cache) == 7
    assert cache.get(key(0), NOW) is not None, "created first, but active since"
    assert [cache.get(key(number), NOW) for number in range(1, 5)] == [None] * 4


def test_what_another_process_has_written_since_is_not_there() -> None:
    cache = SessionCache()
    cache.put(key(1), NOW, [("m", "r")])
    assert cache.get(key(1), NOW + timedelta(seconds=1)) is None
    assert cache.get(key(1), NOW) == [("m", "r")]


def test_a_chat_keeps_its_last_ten_messages() -> None:
    cache = SessionCache()
    cache.put(key(1), NOW, [(str(number), None) for number in range(25)])
    assert cache.get(key(1), NOW) == [(str(number), None) for number in range(15, 25)]
    assert HISTORY == 10


def test_an_idle_chat_leaves() -> None:
    cache = SessionCache(idle=timedelta(0))
    cache.put(key(1), NOW, [("m", "r")])
    cache.put(key(2), NOW, [("m", "r")])
    assert cache.get(key(1), NOW) is None


def test_two_users_never_share_a_chat() -> None:
    cache = SessionCache()
    cache.put(("a", "p", "c"), NOW, [("secret", None)])
    assert cache.get(("b", "p", "c"), NOW) is None
