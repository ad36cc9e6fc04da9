"""Which field feeds which column, and what happens where one is missing."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from tests.support.entities import MESSAGES, entity

from chatctl.errors import MissingEntityError, UsageError
from chatctl.services.transfer.convert import RowConverter, compile_row
from chatctl.services.transfer.unfit import RowError
from chatctl.services.transfer.value_reader import UNFIT

MESSAGE: dict[str, Any] = {
    "id": "1",
    "userId": "u",
    "mentorId": "m",
    "role": "user",
    "content": "hello",
    "createdAt": "2026-01-02T03:04:05.678Z",
}
ROW = ("1", "u", "m", "user", "hello", datetime(2026, 1, 2, 3, 4, 5, 678_000))


def both_ways(converter: RowConverter, record: dict[str, Any]) -> tuple[Any, ...]:
    """The row of `record`, which must come out the same alone and in a chunk."""
    row = converter.row(record)
    assert converter.rows([record, record], set(record)) == [row, row]
    return row


def test_a_record_becomes_a_tuple_in_the_order_of_the_columns() -> None:
    assert both_ways(RowConverter(MESSAGES, list(MESSAGES.columns)), MESSAGE) == ROW
    assert compile_row(MESSAGES, ["content", "id"])(MESSAGE) == ("hello", "1")


def test_chatctls_own_names_are_taken_too() -> None:
    record = {**MESSAGE, "user_id": "u", "created_at": MESSAGE["createdAt"]}
    del record["userId"], record["createdAt"]
    assert both_ways(RowConverter(MESSAGES, list(MESSAGES.columns)), record) == ROW


def test_the_applications_name_counts_before_chatctls() -> None:
    record = {"user_id": "ours", "userId": "theirs"}
    assert both_ways(RowConverter(MESSAGES, ["user_id"]), record) == ("theirs",)
    assert RowConverter(MESSAGES, ["user_id"]).rows([record, {"user_id": "ours"}], set(record)) == [
        ("theirs",),
        ("ours",),
    ]


def test_a_mapped_field_counts_before_both() -> None:
    for target in ("user_id", "userId"):
        converter = RowConverter(MESSAGES, ["user_id"], {"author": target})
        assert both_ways(converter, {"author": "a", "userId": "b"}) == ("a",)


def test_mapping_to_an_unknown_column_is_refused_with_the_columns_there_are() -> None:
    with pytest.raises(UsageError) as problem:
        RowConverter(MESSAGES, ["id", "user_id"], {"author": "owner"})
    assert "'owner'" in problem.value.message
    assert "id, userId" in (problem.value.hint or "")


def test_a_column_that_the_layout_lacks_is_refused() -> None:
    with pytest.raises(MissingEntityError, match="no column 'colour'"):
        RowConverter(MESSAGES, ["id", "colour"])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"userId": None}, "userId is null"),
        ({"content": ["a"]}, "content is not text"),
        ({"content": {"a": 1}}, "content is not text"),
        ({"createdAt": "never"}, "createdAt is not a time"),
        ({"role": "r" * 33}, "role is longer than 32 characters"),
        ({"content": "a\ud800"}, "content holds a lone surrogate, half of a character"),
    ],
)
def test_a_record_that_does_not_fit_is_refused_with_column_and_reason(change: dict[str, Any], reason: str) -> None:
    converter = RowConverter(MESSAGES, list(MESSAGES.columns))
    with pytest.raises(RowError) as problem:
        converter.row(MESSAGE | change)
    assert str(problem.value) == reason


def test_a_missing_required_field_is_named_as_the_application_calls_it() -> None:
    with pytest.raises(RowError, match=r"^userId is missing$"):
        compile_row(MESSAGES, list(MESSAGES.columns))({"id": "1"})


def test_a_missing_field_is_no_value_or_the_columns_default() -> None:
    things = entity(
        id={"type": "bigint", "auto": True},
        note={"type": "text(9)", "nullable": True},
        active={"type": "boolean", "default": True},
        meta={"type": "json", "default": "{}"},
        level={"type": "integer", "nullable": True, "default": 3},
    )
    converter = RowConverter(things, list(things.columns))
    assert both_ways(converter, {}) == (None, None, True, "{}", 3)
    assert both_ways(converter, {"active": False, "level": None}) == (None, None, False, "{}", None)


def test_a_default_that_only_the_server_can_work_out_does_not_stand_in() -> None:
    with pytest.raises(RowError, match="at is missing"):
        compile_row(entity(id="text(64)", at={"type": "datetime", "default": "now()"}), ["id", "at"])({"id": "1"})


def test_a_value_that_is_none_of_a_columns_choices_is_refused_for_the_database_would_refuse_the_batch() -> None:
    kind: dict[str, Any] = {"type": "text(9)", "nullable": True, "choices": ["general", "project"]}
    converter = RowConverter(entity(id="text(9)", kind=kind), ["id", "kind"])
    assert both_ways(converter, {"id": "1", "kind": "project"}) == ("1", "project")
    assert both_ways(converter, {"id": "1", "kind": None}) == ("1", None)
    records = [{"id": "1", "kind": "general"}, {"id": "2", "kind": "other"}]
    with pytest.raises(RowError, match=r"^kind is none of general, project$"):
        converter.row(records[1])
    with pytest.raises(UNFIT):
        converter.rows(records, {"id", "kind"})


def test_mongodbs_key_feeds_a_text_key_but_not_a_number() -> None:
    document = {"_id": {"$oid": "585633a5c5a4e0233b9bd67b"}}
    assert both_ways(RowConverter(MESSAGES, ["id"]), document) == ("585633a5c5a4e0233b9bd67b",)
    numbered = RowConverter(entity(id={"type": "bigint", "auto": True}), ["id"])
    assert both_ways(numbered, document) == (None,)
    assert numbered.unknown(set(document)) == {"_id"}
