"""Session and message IDs: what is one, what is none, and that they print back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatctl.domain.session_ids import (
    MAX_NUMBER,
    LegacyId,
    MessageId,
    Month,
    Scope,
    SessionId,
    kind_of,
    parse_message,
    parse_session,
    why_no_project,
)
from chatctl.errors import InvalidIdError

months = st.builds(Month, st.integers(1, 9999), st.integers(1, 12))
projects = st.from_regex(r"[0-9A-Za-z_](?:[0-9A-Za-z_.-]{0,20}[0-9A-Za-z_])?", fullmatch=True)
scopes = st.one_of(st.builds(Scope.general, months), st.builds(Scope.of_project, projects))
numbers = st.one_of(st.integers(1, MAX_NUMBER), st.integers(999_990, 1_000_010), st.just(MAX_NUMBER))
session_ids = st.builds(SessionId, scopes, numbers)
uuids = st.builds(LegacyId, st.uuids().map(str))

VALID = [
    ("G-202512-000123", "general", 123),
    ("P-12345-000456", "project", 456),
    ("G-202512-1234567", "general", 1_234_567),
    ("G-202512-999999", "general", 999_999),
    ("G-202512-1000000", "general", 1_000_000),
    ("P-AB-CD-000001", "project", 1),
    (f"P-1-{MAX_NUMBER}", "project", MAX_NUMBER),
]
INVALID = [
    "G-foo-000123",
    "G-202513-000001",
    "G-202500-000001",
    "G-000012-000001",
    "G-202512-12",
    "G-202512",
    "P--000001",
    "P-000001",
    "P----000001",
    "X-202512-000123",
    "g-202512-000123",
    "G-202512-00012٣",
    "G-２０２５１２-000123",
    "P-12345-٠٠٠٠٠١",
    "P-1٢-000001",
    "S-G-202512-000123-M-001",
    "G-202512-0123456",
    "G-202512-000000",
    f"G-202512-{MAX_NUMBER + 1}",
    "G-202512-" + "9" * 5000,
    "G-202512-000123\n",
    " G-202512-000123",
    "P-a b-000001",
    "P-a:b-000001",
    "P-a*-000001",
    "P-{a}-000001",
    "",
    "a1b2c3d4e5f67890abcdef1234567890",
    "{a1b2c3d4-e5f6-7890-abcd-ef1234567890}",
]


@pytest.mark.parametrize(("text", "kind", "number"), VALID)
def test_a_valid_id_parses_and_prints_back(text: str, kind: str, number: int) -> None:
    parsed = parse_session(text)
    assert isinstance(parsed, SessionId)
    assert (str(parsed), parsed.scope.kind, parsed.number, kind_of(text)) == (text, kind, number, kind)


@pytest.mark.parametrize("text", INVALID)
def test_an_invalid_id_is_refused_with_a_reason(text: str) -> None:
    with pytest.raises(InvalidIdError) as caught:
        parse_session(text)
    assert len(caught.value.message) > 10


def test_a_project_may_hold_hyphens() -> None:
    parsed = parse_session("P-AB-CD-000001")
    assert isinstance(parsed, SessionId)
    assert parsed.scope.project == "AB-CD"


def test_a_project_may_look_like_a_number_in_an_id() -> None:
    assert parse_session("P-12345-000456-000001") == SessionId(Scope.of_project("12345-000456"), 1)


def test_an_old_uuid_stays_valid_in_its_own_case() -> None:
    for text in ("a1b2c3d4-e5f6-7890-abcd-ef1234567890", "A1B2C3D4-E5F6-7890-ABCD-EF1234567890"):
        assert str(parse_session(text)) == text
        assert kind_of(text) == "uuid"


def test_a_message_id_is_told_apart_from_a_session() -> None:
    with pytest.raises(InvalidIdError, match="message ID"):
        parse_session("S-G-202512-000123-M-001")
    assert str(parse_message("S-G-202512-000123-M-001").session) == "G-202512-000123"


@pytest.mark.parametrize("text", ["S-G-202512-000123-M-01", "S-G-202513-000123-M-001", "G-202512-000123", "S--M-001"])
def test_an_invalid_message_id_is_refused(text: str) -> None:
    with pytest.raises(InvalidIdError):
        parse_message(text)


@given(session_ids)
def test_every_session_id_parses_back(session: SessionId) -> None:
    assert parse_session(str(session)) == session


@given(st.one_of(session_ids, uuids), numbers)
def test_every_message_id_parses_back(session: SessionId | LegacyId, number: int) -> None:
    message = MessageId(session, number)
    assert parse_message(str(message)) == message


@given(st.text())
def test_whatever_parses_prints_back_as_it_was(text: str) -> None:
    try:
        parsed = parse_session(text)
    except InvalidIdError:
        return
    assert str(parsed) == text


@given(scopes, numbers, numbers)
def test_ids_of_a_scope_are_ordered_by_number_not_by_text(scope: Scope, one: int, other: int) -> None:
    assert (SessionId(scope, one) < SessionId(scope, other)) == (one < other)


def test_general_ids_are_ordered_by_month_first_and_stand_before_projects() -> None:
    texts = ["P-9-000001", "P-10-000001", "G-202601-000001", "G-202512-1000000", "G-202512-999999", "P-A-000001"]
    ordered = sorted(parse_session(text) for text in texts)  # type: ignore[type-var]  # all are SessionIds
    assert [str(item) for item in ordered] == [
        "G-202512-999999", "G-202512-1000000", "G-202601-000001", "P-9-000001", "P-10-000001", "P-A-000001",
    ]  # fmt: skip


def test_the_month_is_the_one_in_utc() -> None:
    tehran = timezone(timedelta(hours=3, minutes=30))
    assert str(Month.at(datetime(2026, 1, 1, 2, 0, tzinfo=tehran))) == "202512"
    assert str(Month.at(datetime(2026, 1, 1, 0, 0, tzinfo=UTC))) == "202601"


@given(projects)
def test_a_project_that_is_accepted_has_no_reason_against_it(project: str) -> None:
    assert why_no_project(project) is None


@pytest.mark.parametrize("project", ["", "a:b", "a b", "-a", "a-", "a.", "ü", "a" * 65, "a/b", "a{b"])
def test_a_project_that_no_id_can_hold_is_refused(project: str) -> None:
    assert why_no_project(project)
    with pytest.raises(InvalidIdError):
        Scope.of_project(project)
