"""The rules for MariaDB agree with a MariaDB server, case by case."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pymysql
import pytest
import sqlalchemy as sa
from tests.lint.mariadb_server import Observer, cases
from tests.lint.scores import Scores

from chatctl.services.lint.findings import Harm
from chatctl.services.lint.judging import Judge
from chatctl.services.lint.statements import statements

FOLDER = Path(__file__).parent
SCHEMA = (FOLDER / "mariadb_schema.sql").read_text(encoding="utf-8")
CASES = list(cases((FOLDER / "mariadb_cases.sql").read_text(encoding="utf-8")))
LEAST = 0.95


@pytest.fixture
def observer(mariadb_url: str) -> Iterator[Observer]:
    url = sa.make_url(mariadb_url)
    connection = pymysql.connect(
        host=url.host, port=url.port or 3306, user=url.username, password=url.password or "",
        database=url.database, autocommit=True,
    )  # fmt: skip
    with connection:
        yield Observer(connection, SCHEMA)


def verdict(script: str) -> set[Harm]:
    judge = Judge("mariadb")
    judge.know(SCHEMA)
    found = [judge.judge(item) for item in statements(script, "case.sql", backslash_escapes=True)]
    return {harm for findings in found for finding in findings for harm in finding.harms}


def test_precision_and_recall_against_the_server(observer: Observer, capsys: pytest.CaptureFixture[str]) -> None:
    scores = Scores()
    for case in CASES:
        scores.add(case, observer.harms(case), verdict(case))

    with capsys.disabled():
        print(f"\nMariaDB: {scores}")  # noqa: T201  # the figures are what it is run for
    assert scores.cases >= 60
    for harm in Harm:
        assert scores.precision(harm) >= LEAST
        assert scores.recall(harm) >= LEAST


def test_a_linter_that_says_nothing_or_everything_would_not_pass(observer: Observer) -> None:
    silent, loud = Scores(), Scores()
    for case in CASES[:40]:
        harms = observer.harms(case)
        silent.add(case, harms, set())
        loud.add(case, harms, set(Harm))

    assert min(silent.recall(harm) for harm in Harm) == 0
    assert min(loud.precision(harm) for harm in Harm) < LEAST
