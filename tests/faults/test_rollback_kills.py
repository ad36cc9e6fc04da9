"""A rollback that is killed at any moment is finished by the same command, with the same end.

An undisturbed run writes down each moment that it passes, those of the services that it calls too; each of them then
ends a run of its own, on a copy of the same database.
"""

from __future__ import annotations

import json
import logging
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.support.clones import clone, state
from tests.support.faults import KILLED, LONG, SOAK, Faults, moments_in
from tests.support.legacy import make_legacy
from tests.support.zygote import Zygote

from chatctl.stores.sql.database import Database
from chatctl.stores.sql.restore_marker import RestoreMarker

RUN = ("rollback", "run", "--confirm", "default")
_log = logging.getLogger(__name__)
#: How many moments are tried, where not each one is.
TRIED = 2

pytestmark = LONG


@dataclass
class Bench:
    """Commands on a copy of one database, with one store."""

    zygote: Zygote
    folder: Path
    store: Path

    def run(self, url: str, *command: str, expected: int = 0, **variables: str) -> Any:
        settings = {"CHATCTL_DATABASE": url, "CHATCTL_LAYOUT": "mentor", "CHATCTL_BACKUP_STORE": str(self.store)}
        done = self.zygote(*command, "--output", "json", env={**settings, **variables})
        assert done.exit_code == expected, f"{variables}\n{done}"
        return json.loads(done.stdout) if done.stdout else None

    def moments(self, url: str) -> list[str]:
        """Every moment that an undisturbed rollback passes, as a fail point's value."""
        trace = self.folder / "trace"
        assert self.run(url, *RUN, CHATCTL_FAIL_POINT_TRACE=str(trace))["data"]["ok"]
        return moments_in(trace)


@pytest.fixture
def bench(zygote: Zygote, tmp_path: Path) -> Bench:
    return Bench(zygote, tmp_path, tmp_path / "store")


def test_a_rollback_killed_at_any_moment_is_finished_by_the_same_command(
    bench: Bench, engine_url: str, faults: Faults
) -> None:
    make_legacy(engine_url, "mentor")
    before = state(engine_url)
    bench.run(engine_url, "migrate", "--yes")
    bench.run(engine_url, "regroup", "run")
    with clone(engine_url) as copy:
        moments = bench.moments(copy)
        assert state(copy) == before
    assert {"rollback.step_performed:1", "rollback.step_done:2", "rollback.finished:1"} <= set(moments)

    # Batches have tests of their own.
    own = moments if SOAK else [each for each in moments if not each.startswith("batch.")]
    for moment in faults.spread(own, TRIED):
        with clone(engine_url) as copy:
            bench.run(copy, *RUN, expected=KILLED, CHATCTL_FAIL_POINT=moment)
            again = bench.run(copy, *RUN)
            assert again["data"]["ok"], (moment, again["data"]["checks"])
            assert state(copy) == before, moment
            assert bench.run(copy, *RUN)["data"]["to"] is None
    _log.info("%s: %s", engine_url[:10], dict(faults.counted))


@pytest.mark.parametrize(
    "engine_name",
    ["sqlite", *(pytest.param(name, marks=pytest.mark.slow) for name in ("mariadb", "postgresql"))],
    indirect=True,
)
def test_a_rollback_killed_while_it_restores_a_backup_is_finished_by_the_same_command(
    bench: Bench, engine_url: str, faults: Faults
) -> None:
    before = _needs_its_backup(bench, engine_url)
    with clone(engine_url) as copy:
        moments = bench.moments(copy)
        assert state(copy) == before
    taken = set(bench.store.iterdir())

    own = [each for each in moments if each.startswith(("restore.", "rollback.", "backup."))]
    for moment in faults.spread(own, TRIED):
        with clone(engine_url) as copy:
            bench.run(copy, *RUN, expected=KILLED, CHATCTL_FAIL_POINT=moment)
            if _marked(copy):
                bench.run(copy, "backup", "create", expected=6)
            again = bench.run(copy, *RUN)
            assert again["data"]["ok"], (moment, again["data"]["checks"])
            assert state(copy) == before, moment
        for folder in set(bench.store.iterdir()) - taken:
            shutil.rmtree(folder)


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_control_without_the_mark_a_killed_restore_is_not_taken_up_again(bench: Bench, engine_url: str) -> None:
    """Shows that the test above can fail: nothing but the mark knows of the rollback then."""
    _needs_its_backup(bench, engine_url)
    bench.run(engine_url, *RUN, expected=KILLED, CHATCTL_FAIL_POINT="restore.loaded:1")
    database = Database(engine_url)
    RestoreMarker(database).remove()
    database.close()

    answer = bench.run(engine_url, *RUN, expected=11)

    assert answer["errors"][0]["code"] == "not_found"


def _needs_its_backup(bench: Bench, url: str) -> tuple[dict[str, list[str]], dict[str, str]]:
    """A database with a purge that archived nothing; what it was before."""
    make_legacy(url, "mentor")
    before = state(url)
    taken = bench.run(url, "backup", "create")["data"]["id"]
    assert taken
    bench.run(url, "migrate", "--yes")
    bench.run(url, "regroup", "run")
    bench.run(url, "purge", "run", "--older-than", "30d", "--archive", "none", "--confirm", "default")
    return before


def _marked(url: str) -> bool:
    database = Database(url)
    try:
        return RestoreMarker(database).read() is not None
    finally:
        database.close()
