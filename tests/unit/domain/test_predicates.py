"""Exemptions as a layout writes them."""

from __future__ import annotations

import pytest

from chatctl.domain.predicates import Comparison, parse_predicate


def test_comparisons_are_read_with_their_values() -> None:
    assert parse_predicate("is_pinned is true") == ((Comparison("is_pinned", "=", True),),)
    assert parse_predicate("shared is not null and n != -3 or status = 'it''s'") == (
        (Comparison("shared", "!=", None), Comparison("n", "!=", -3)),
        (Comparison("status", "=", "it's"),),
    )


@pytest.mark.parametrize(
    "text", ["", "is_pinned", "is_pinned is maybe", "a = 1 or", "a = 1 b = 2", "a = 1; DROP TABLE x", "a = b"]
)
def test_what_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse_predicate(text)
