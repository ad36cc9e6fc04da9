"""A backup or a restore that is killed at any moment: earlier backups verify, and nothing half done passes for whole.

Every moment is tried that an undisturbed run passes. A killed create is followed by another create, a killed restore
by the same command, with no repair in between.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.support.backups import Site, fill_redis, redis_client, redis_content
from tests.support.cli import Completed
from tests.support.faults import KILLED, Faults, moments_in
from tests.support.zygote import Zygote

from chatctl.stores.sql.database import Database
from chatctl.stores.sql.restore_marker import RestoreMarker

CREATE = ("backup", "create")


@dataclass
class Bench:
    """Runs commands that may be killed, on one database, one Redis and one store."""

    zygote: Zygote
    site: Site
    redis_url: str
    trace: Path

    def run(self, *command: str, expected: int = 0, **environment: str) -> Any:
        """The data (or the errors) of a command that must end with `expected`."""
        done = self.attempt(*command, **environment)
        assert done.exit_code == expected, f"{environment}\n{done}"
        if not done.stdout:
            return None
        answer = json.loads(done.stdout)
        return answer["data"] or answer["errors"]

    def attempt(self, *command: str, **environment: str) -> Completed:
        settings = {
            "CHATCTL_DATABASE": self.site.url,
            "CHATCTL_REDIS": self.redis_url,
            "CHATCTL_LAYOUT": "simorgh",
            "CHATCTL_BACKUP_STORE": str(self.site.store),
        }
        return self.zygote(*command, "--output", "json", env={**settings, **environment})

    def moments(self, *command: str) -> list[str]:
        """Runs the command undisturbed; every moment that it passed, as a fail point's value."""
        self.trace.unlink(missing_ok=True)
        self.run(*command, CHATCTL_FAIL_POINT_TRACE=str(self.trace))
        return moments_in(self.trace)

    def marked(self) -> bool:
        database = Database(self.site.url)
        try:
            return RestoreMarker(database).read() is not None
        finally:
            database.close()

    def states(self) -> dict[str, str]:
        return {each["id"]: each["state"] for each in self.run("backup", "list")["backups"]}


@pytest.fixture
def bench(zygote: Zygote, engine_url: str, redis_url: str, tmp_path: Path) -> Bench:
    site = Site(lambda: None, engine_url, tmp_path / "store")  # type: ignore[arg-type,return-value]  # commands run in the zygote
    bench = Bench(zygote, site, redis_url, tmp_path / "trace")
    bench.run("migrate", "--yes")
    site.execute(
        *(
            "INSERT INTO archived_sessions (chat_id, user_id, chat_name, chat_type, metadata, created_at, last_active,"
            f" archived_at) VALUES ('G-202512-{number:06d}', 'u1', 'n', 'general', '{{}}', '2025-12-01 00:00:00',"
            " '2025-12-01 00:00:00', '2025-12-01 00:00:00')"
            for number in range(1, 41)
        )
    )
    fill_redis(redis_url)
    return bench


def test_a_killed_create_harms_no_other_backup_and_is_never_taken_for_one(bench: Bench, faults: Faults) -> None:
    earlier = bench.run(*CREATE)["id"]
    moments = bench.moments(*CREATE)
    assert {moment.partition(":")[0] for moment in moments} == {
        "backup.sql_dumped", "backup.redis_dumped", "backup.file_synced", "backup.before_manifest",
        "backup.note_synced", "backup.after_manifest",
    }  # fmt: skip

    for moment in faults.each(moments):
        before = bench.states()
        bench.run(*CREATE, expected=KILLED, CHATCTL_FAIL_POINT=moment)
        after = bench.states()
        (new,) = set(after) - set(before)
        whole = moment.startswith("backup.after_manifest")
        assert after[new] == ("complete" if whole else "unfinished"), moment
        bench.run("backup", "verify", new, expected=0 if whole else 9)
        bench.run("backup", "restore", new, "--dry-run", expected=0 if whole else 9)
        assert {each: after[each] for each in before} == before

    assert bench.run("backup", "verify", earlier)["ok"]
    assert bench.run(*CREATE, "--drill")["drill"]["ok"]


def test_a_killed_restore_leaves_the_old_state_or_one_that_the_same_command_finishes(
    bench: Bench, faults: Faults
) -> None:
    backup = bench.run(*CREATE)["id"]
    rows, keys = bench.site.rows(), redis_content(bench.redis_url)
    restore = ("backup", "restore", backup, "--confirm", "default")

    def spoil() -> dict[str, list[str]]:
        bench.site.execute(
            "DELETE FROM archived_messages", "DELETE FROM archived_sessions WHERE chat_id > 'G-202512-000010'"
        )
        with redis_client(bench.redis_url, 1) as client:
            client.flushdb()
        return bench.site.rows()

    spoil()
    moments = bench.moments(*restore)
    passed = {moment.partition(":")[0] for moment in moments}
    assert passed >= {
        "restore.marked", "restore.cleared", "restore.loading", "restore.loaded", "restore.redis_loaded",
        "restore.raised", "restore.finished",
    }  # fmt: skip

    for moment in faults.each([each for each in moments if each.startswith("restore.")]):
        spoiled = spoil()
        bench.run(*restore, expected=KILLED, CHATCTL_FAIL_POINT=moment)
        if moment.startswith("restore.finished"):
            assert not bench.marked()
        else:
            assert bench.marked(), moment
            (error,) = bench.run(*CREATE, expected=6)
            assert backup in error["message"]
        again = bench.run(*restore)
        assert again["resumes"] is not moment.startswith("restore.finished"), moment
        assert (bench.site.rows(), redis_content(bench.redis_url)) == (rows, keys), moment
        assert not bench.marked()
        safety = again["safety_backup"]
        assert bench.run("backup", "verify", safety)["ok"]
        if moment.startswith("restore.cleared"):
            bench.run("backup", "restore", safety, "--confirm", "default", "--no-safety-backup")
            assert bench.site.rows() == spoiled


def test_a_half_restored_database_is_refused_by_whatever_goes_on_with_less(bench: Bench) -> None:
    """Neither another command works on with it, nor does a restore of less than was begun take the mark away."""
    backup = bench.run(*CREATE)["id"]
    rows = bench.site.rows()
    restore = ("backup", "restore", backup, "--confirm", "default")
    bench.site.execute("DELETE FROM archived_sessions WHERE chat_id > 'G-202512-000010'")
    bench.run(*restore, expected=KILLED, CHATCTL_FAIL_POINT="restore.loaded:1")

    for command in (
        CREATE,
        (*restore, "--redis-only"),
        (*restore, "--sql-only"),
        (*restore, "--tables", "archived_sessions"),
        ("migrate", "down", "simorgh_0001", "--confirm", "default"),
        ("purge", "run", "--older-than", "1d", "--confirm", "default"),
        ("rollback", "run", "--confirm", "default"),
    ):
        (error,) = bench.run(*command, expected=6)
        assert backup in error["message"], command
        assert bench.marked(), command

    assert bench.run(*restore)["resumes"]
    assert bench.site.rows() == rows


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_a_killed_restore_of_redis_alone_is_finished_by_the_same_command(bench: Bench, faults: Faults) -> None:
    backup, keys = bench.run(*CREATE)["id"], redis_content(bench.redis_url)
    restore = ("backup", "restore", backup, "--redis-only", "--confirm", "default")
    moments = [each for each in bench.moments(*restore) if each.startswith("restore.redis_")]
    assert {each.partition(":")[0] for each in moments} == {"restore.redis_cleared", "restore.redis_loaded"}

    for moment in faults.each(moments):
        bench.run(*restore, expected=KILLED, CHATCTL_FAIL_POINT=moment)
        (error,) = bench.run(*CREATE, expected=6)
        assert backup in error["message"]
        again = bench.run(*restore)
        assert redis_content(bench.redis_url) == keys, moment
        bench.run("backup", "verify", again["safety_backup"])
        assert not bench.marked()


def test_control_without_the_mark_a_killed_restore_would_pass_for_whole(bench: Bench) -> None:
    """Shows that the test above can fail: with the mark taken away, nothing tells the half-restored database."""
    backup = bench.run(*CREATE)["id"]
    restore = ("backup", "restore", backup, "--confirm", "default")
    bench.run(*restore, expected=KILLED, CHATCTL_FAIL_POINT="restore.cleared")
    database = Database(bench.site.url)
    RestoreMarker(database).remove()
    database.close()

    assert bench.attempt(*CREATE).exit_code != 6


def test_a_killed_prune_leaves_whole_backups_and_leftovers_that_are_told_apart(bench: Bench) -> None:
    backups = [bench.run(*CREATE)["id"] for _ in range(3)]
    prune = ("backup", "prune", "--keep-last", "1", "--confirm", "default")

    bench.run(*prune, expected=KILLED, CHATCTL_FAIL_POINT="backup.prune.manifest_gone:1")

    states = bench.states()
    assert sorted(states.values()) == ["complete", "complete", "unfinished"]
    assert all(bench.run("backup", "verify", each)["ok"] for each in backups if states[each] == "complete")
