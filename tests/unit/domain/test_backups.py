"""Which backups a retention rule keeps, and which names a backup may have."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatctl.domain.backups import KeepRule, is_backup_id, is_file_name

START = datetime(2026, 1, 1, tzinfo=UTC)

times = st.lists(st.integers(0, 400 * 24), max_size=60, unique=True).map(
    lambda hours: {f"b{hour:05d}": START + timedelta(hours=hour) for hour in hours}
)
counts = st.integers(0, 8)
rules = st.builds(KeepRule, counts, counts, counts, counts, st.integers(1, 5))


@given(times, rules, st.sets(st.integers(0, 400 * 24)).map(lambda hours: {f"b{hour:05d}" for hour in hours}))
def test_a_rule_keeps_its_minimum_what_is_needed_and_always_the_newest(
    backups: dict[str, datetime], rule: KeepRule, needed: set[str]
) -> None:
    kept = rule.kept(backups, needed)

    assert set(kept) <= set(backups)
    assert len(kept) >= min(rule.minimum, len(backups))
    assert needed & set(backups) <= set(kept)
    assert set(sorted(backups)[-rule.last :] if rule.last else []) <= set(kept)
    if any((rule.last, rule.daily, rule.weekly, rule.monthly)) and backups:
        assert max(backups) in kept


@given(times, rules)
def test_what_a_rule_has_kept_it_keeps_again(backups: dict[str, datetime], rule: KeepRule) -> None:
    kept = rule.kept(backups)

    assert set(rule.kept({name: backups[name] for name in kept})) == set(kept)


def test_the_newest_of_each_day_week_and_month_is_kept() -> None:
    backups = {f"{day:03d}-{hour}": START + timedelta(days=day, hours=hour) for day in range(70) for hour in (1, 13)}

    kept = KeepRule(daily=2, weekly=2, monthly=3).kept(backups)

    assert sorted(kept.items()) == [
        ("030-13", ["monthly"]),
        ("058-13", ["monthly"]),
        ("066-13", ["weekly"]),
        ("068-13", ["daily"]),
        ("069-13", ["daily", "weekly", "monthly"]),
    ]


@pytest.mark.parametrize("name", ["manifest.json", "sql/dump/3353.dat.gz", "sql/messages.jsonl.zst.age", "a_b-c.d"])
def test_names_that_chatctl_gives_are_file_names(name: str) -> None:
    assert is_file_name(name)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../a", "a/../b", "/a", "a//b", "a/", ".a", "-a", "a b", "a\n", "ä", "a\\b"]
)
def test_names_that_could_lead_elsewhere_are_none(name: str) -> None:
    assert not is_file_name(name)


def test_an_id_is_a_time_and_eight_digits() -> None:
    assert is_backup_id("20261120-143455-9f3a01cd")
    assert not any(map(is_backup_id, ("", "..", "20261120-143455-9F3A01CD", "20261120-143455-9f3a01cd/", "latest")))
