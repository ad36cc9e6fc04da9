"""How a space of keys is shared out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chatctl.stores.sql.regroup.keyrange import evenly


def test_numbers_are_shared_out_evenly() -> None:
    assert evenly(0, 100, 4) == [25, 50, 75]


def test_texts_are_shared_out_within_what_they_have_in_common() -> None:
    assert all(cut.startswith("c0") for cut in evenly("c00000", "c0ffff", 8))


@given(st.text("0123456789abcdef", min_size=1), st.text("0123456789abcdef", min_size=1), st.integers(2, 32))
def test_cuts_lie_in_order_between_the_ends(one: str, other: str, parts: int) -> None:
    low, high = sorted((one, other))

    cuts = evenly(low, high, parts)

    assert cuts == sorted(cuts)
    assert len(cuts) == parts - 1
    assert all(cut[: len(low)] >= low[: len(cut)] for cut in cuts)


def test_what_cannot_be_counted_is_not_shared_out() -> None:
    assert evenly(1.5, 2.5, 4) == []
