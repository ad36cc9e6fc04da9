"""What squawk and our own rules say of PostgreSQL agrees with a PostgreSQL server, case by case."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from tests.lint.mariadb_server import cases
from tests.lint.postgresql_server import Observer
from tests.lint.scores import Scores

from chatctl.services.lint.findings import Harm
from chatctl.services.lint.judging import Judge
from chatctl.services.lint.statements import statements

FOLDER = Path(__file__).parent
SCHEMA = (FOLDER / "postgresql_schema.sql").read_text(encoding="utf-8")
CASES = list(cases((FOLDER / "postgresql_cases.sql").read_text(encoding="utf-8")))
LEAST = 0.95

pytestmark = pytest.mark.usefixtures("squawk")


@pytest.fixture
def observer(postgresql_url: str) -> Iterator[Observer]:
    with psycopg.connect(postgresql_url.replace("+psycopg", ""), autocommit=True) as connection:
        yield Observer(connection, SCHEMA)


def verdict(script: str) -> set[Harm]:
    judge = Judge("postgresql")
    judge.know(SCHEMA)
    found = judge.judge_all(list(statements(script, "case.sql", backslash_escapes=False)))
    return {harm for finding in found for harm in finding.harms}


def test_precision_and_recall_against_the_server(observer: Observer, capsys: pytest.CaptureFixture[str]) -> None:
    scores = Scores()
    for case in CASES:
        scores.add(case, observer.harms(case), verdict(case))

    with capsys.disabled():
        print(f"\nPostgreSQL: {scores}")  # noqa: T201  # the figures are what it is run for
    assert scores.cases >= 40
    for harm in Harm:
        assert scores.precision(harm) >= LEAST
        assert scores.recall(harm) >= LEAST


def test_without_the_schema_more_is_warned_of_and_nothing_is_missed(observer: Observer) -> None:
    scores = Scores()
    for case in CASES:
        judge = Judge("postgresql")
        found = judge.judge_all(list(statements(case, "case.sql", backslash_escapes=False)))
        scores.add(case, observer.harms(case), {harm for finding in found for harm in finding.harms})

    assert min(scores.recall(harm) for harm in (Harm.REWRITES, Harm.BLOCKS)) >= LEAST
