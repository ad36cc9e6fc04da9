"""What the six layouts that ship with chatctl say, by the systems that they stand for."""

from __future__ import annotations

import pytest

from chatctl.layouts import Kind, Layout, Phase, builtin_names, load_layout

SHARED_WORDS = {
    "users": {"id"},
    "mentors": {"id", "name"},
    "messages": {"chat_id", "role", "content", "created_at"},
    "chats": {"id", "created_at"},
}


@pytest.fixture(params=builtin_names())
def layout(request: pytest.FixtureRequest) -> Layout:
    return load_layout(request.param)


def test_the_six_systems_are_there() -> None:
    assert builtin_names() == ["mentor", "native", "ray", "simorgh", "toolboxai", "worker"]


def test_a_layout_is_called_like_its_file_and_its_migrations(layout: Layout) -> None:
    assert load_layout(layout.name) == layout
    assert layout.migrations == layout.name


def test_the_same_thing_has_the_same_word_in_every_layout(layout: Layout) -> None:
    for entity, keys in SHARED_WORDS.items():
        if entity in layout.entities:
            missing = keys - set(layout.entities[entity].columns)
            # One row of ray's conversations is a user's message and its response: it needs no role.
            assert missing <= ({"role"} if layout.name == "ray" else set())


@pytest.mark.parametrize(
    ("name", "tables"),
    [
        ("mentor", {"users", "mentors", "messages"}),
        ("ray", {"conversations"}),
        ("toolboxai", {"users", "educational_content", "sessions"}),
        ("worker", set()),
        ("simorgh", set()),
        ("native", set()),
    ],
)
def test_the_legacy_state_holds_these_tables(name: str, tables: set[str]) -> None:
    found = load_layout(name).entities_at(Phase.LEGACY)
    assert {entity.table for entity in found.values()} == tables


def test_no_nullable_or_optional_column_is_part_of_a_key(layout: Layout) -> None:
    for entity in layout.entities.values():
        for key in entity.primary_key:
            assert not entity.columns[key].nullable
            assert not entity.columns[key].optional


def test_what_a_chat_takes_with_it_knows_its_chat(layout: Layout) -> None:
    if layout.purge is not None:
        assert all(layout.join(child, layout.purge.what) for child in layout.purge.children)
        assert layout.entity(layout.purge.what).columns[layout.purge.clock].type.is_time


def test_the_purge_clock_is_the_first_column_of_an_index(layout: Layout) -> None:
    if layout.purge is not None:
        indexes = layout.entity(layout.purge.what).indexes
        assert layout.purge.clock in {index.columns[0] for index in indexes}


def test_a_ray_message_finds_its_chat_by_project_and_chat_together() -> None:
    assert load_layout("ray").join("messages", "chats") == {"project_id": "project_id", "chat_id": "chat_id"}


def test_a_mentor_message_has_no_foreign_key_before_it_has_a_chat() -> None:
    messages = load_layout("mentor").entity("messages")
    enforced = {key for key, column in messages.columns.items() if column.references and column.enforced}
    assert enforced == {"chat_id"}


def test_worker_counts_time_in_milliseconds() -> None:
    for entity in load_layout("worker").entities.values():
        for column in entity.columns.values():
            if column.type.is_time:
                assert (column.type.kind, column.type.ticks_per_second) == (Kind.EPOCH, 1_000)


def test_no_toolboxai_column_of_1_x_but_the_key_has_to_be_there() -> None:
    for entity in load_layout("toolboxai").entities_at(Phase.LEGACY).values():
        required = {key for key, column in entity.columns_at(Phase.LEGACY).items() if not column.optional}
        assert required == {"id"}


@pytest.mark.parametrize(
    ("family", "db", "key", "ttl_seconds"),
    [
        ("counter_general", 0, "session:counter:general:{month}", None),
        ("counter_project", 0, "session:counter:project:{project}", None),
        ("session", 0, "session:{chat}", 3600),
        ("chat_metadata", 1, "chat:{chat}:metadata", None),
        ("chat_history", 1, "chat:history:{chat}", None),
        ("user_chats_project", 1, "user:{user}:chats:project:{project}", None),
        ("llm_response", 2, "llm:response:{hash}", None),
        ("grant", 3, "auth:project:{user}:{project}", 3600),
        ("granted_projects", 3, "auth:user_projects:{user}", 3600),
    ],
)
def test_simorgh_keeps_its_redis_keys_in_these_databases(
    family: str, db: int, key: str, ttl_seconds: int | None
) -> None:
    found = load_layout("simorgh").redis[family]
    assert (found.db, found.key, found.ttl_seconds) == (db, key, ttl_seconds)


def test_a_counter_never_expires() -> None:
    counters = [key for key in load_layout("simorgh").redis.values() if key.type == "counter"]
    assert counters
    assert all(key.ttl_seconds is None for key in counters)


def test_the_permission_source_is_no_part_of_the_migrated_database() -> None:
    simorgh = load_layout("simorgh")
    migrated = {entity.table for entity in simorgh.entities.values()}
    assert {entity.table for entity in simorgh.permissions.values()} == {"View_Project_Main", "draft_permission"}
    assert not migrated & {"View_Project_Main", "draft_permission"}
