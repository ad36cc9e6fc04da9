"""`chatctl purge` as its operators and cron meet it."""

from __future__ import annotations

import http.server
import json
import shlex
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.support.cli import Cli, Completed
from tests.support.purging import bed

DAY_MS = 86_400_000
Purge = Callable[..., Completed]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """The file of a migrated `worker` database without a row."""
    file = tmp_path / "worker.db"
    bed(f"sqlite:///{file}", "worker", tmp_path).close()
    return file


@pytest.fixture
def configure(tmp_path: Path, database: Path) -> Callable[..., None]:
    """`configure("purge: {retention_days: 30}")` writes chatctl.yaml."""

    def configure(*lines: str) -> None:
        context = ["layout: worker", f"database: sqlite:///{database}", *lines]
        text = "contexts:\n  default:\n" + "".join(f"    {line}\n" for line in context)
        (tmp_path / "chatctl.yaml").write_text(text)

    configure()
    return configure


@pytest.fixture
def purge(invoke: Callable[..., Completed], configure: object) -> Purge:
    """`purge("plan")` runs `chatctl purge plan` for JSON."""
    return lambda *arguments: invoke("--output", "json", "--quiet", "purge", *arguments)


@pytest.fixture
def fill(database: Path) -> Callable[..., None]:
    """`fill(5, 40)` adds five conversations of 40 days, of one account, each with two messages."""

    def fill(count: int, age_days: float, account: str = "a1") -> None:
        accessed = int(time.time() * 1000 - age_days * DAY_MS)
        with closing(sqlite3.connect(database)) as connection:
            before = connection.execute("SELECT coalesce(max(rowid), 0) FROM conversations").fetchone()[0]
            for number in range(before, before + count):
                row = (f"s{number:06}", account, accessed, accessed)
                connection.execute("INSERT INTO conversations VALUES (?, ?, ?, ?, NULL)", row)
                insert = "INSERT INTO messages (session_id, timestamp, role, content) VALUES (?, ?, 'user', '\"hi\"')"
                connection.executemany(insert, [(f"s{number:06}", accessed)] * 2)
            connection.commit()

    return fill


def conversations(database: Path) -> int:
    with closing(sqlite3.connect(database)) as connection:
        return int(connection.execute("SELECT count(*) FROM conversations").fetchone()[0])


def test_every_command_answers_by_its_schema(purge: Purge, fill: Callable[..., None]) -> None:
    fill(3, 40)
    fill(2, 1)
    assert purge("plan").json["data"]["eligible"] == 3
    assert purge("run", "--dry-run").json["data"]["dry_run"] is True
    assert purge("--dry-run").json["data"]["eligible"] == 3
    held = purge("hold", "add", "--chat", "s000000", "--reason", "case 1", "--expires", "90d").json["data"]
    assert held["matches"] == 1
    done = purge("run", "--confirm", "default").json
    assert (done["data"]["deleted_chats"], done["data"]["deleted_messages"], done["data"]["held"]) == (2, 4, 1)
    assert purge("hold", "list").json["data"]["holds"][0]["state"] == "in force"
    assert purge("hold", "release", held["id"]).json["data"]["state"] == "released"
    assert purge("hold", "list").json["data"]["holds"] == []
    assert purge("hold", "list", "--all").json["data"]["holds"][0]["reason"] == "case 1"
    assert purge("restore", done["run_id"], "--dry-run").json["data"]["archived_chats"] == 2
    assert purge("restore").json["data"]["restored_chats"] == 2
    assert purge("status").json["data"]["backlog"] == 1
    stats = purge("stats").json["data"]
    assert (stats["total_conversations"], stats["conversations_ready_to_purge"], stats["messages"]) == (5, 1, 10)
    assert 39.9 < stats["oldest_conversation_age_days"] < 40.1
    assert sum(age["conversations"] for age in stats["by_age"]) == 5
    assert purge("stats", "--estimate", "1000").json["data"]["bytes"] == 1000 * 30 * 10_000
    assert purge("schedule", "--print", "systemd").json["data"]["files"][1]["name"] == "chatctl-purge.timer"
    assert purge().json["errors"][0]["code"] == "consent_required"
    assert purge("--confirm", "default").json["data"]["deleted_chats"] == 1


def test_without_a_configured_policy_nobodys_yes_is_enough(
    purge: Purge, fill: Callable[..., None], configure: Callable[..., None], database: Path
) -> None:
    fill(1, 40)
    assert purge("--yes").exit_code == 2
    assert conversations(database) == 1

    configure("purge: {retention_days: 30}")
    assert purge("--no-input").exit_code == 0
    assert conversations(database) == 0


def test_a_protected_context_needs_its_policy_to_say_unattended(
    purge: Purge, fill: Callable[..., None], configure: Callable[..., None], database: Path
) -> None:
    fill(1, 40)
    configure("protected: true", "purge: {retention_days: 30}")
    assert purge().exit_code == 2

    configure("protected: true", "purge: {retention_days: 30, unattended: true}")
    assert purge().exit_code == 0
    assert conversations(database) == 0


@pytest.mark.parametrize("options", [("--older-than", "5d"), ("--archive", "none")])
def test_a_policy_is_no_consent_to_more_than_it_says(
    purge: Purge, fill: Callable[..., None], configure: Callable[..., None], options: tuple[str, str], database: Path
) -> None:
    fill(1, 40)
    configure("purge: {retention_days: 30}")

    assert purge(*options).exit_code == 2
    assert conversations(database) == 1
    assert purge(*options, "--confirm", "default").exit_code == 0


def test_more_than_half_of_a_thousand_is_asked_about(
    purge: Purge, fill: Callable[..., None], configure: Callable[..., None], database: Path
) -> None:
    configure("purge: {retention_days: 30}")
    fill(501, 40)
    fill(499, 1)

    refused = purge()

    assert refused.exit_code == 2
    assert "more than half" in refused.json["errors"][0]["message"]
    assert conversations(database) == 1000
    assert purge("--limit", "100").exit_code == 0
    assert conversations(database) == 900
    fill(100, 40)
    assert purge("--confirm", "default").exit_code == 0
    assert conversations(database) == 499


@pytest.mark.parametrize(
    ("options", "exit_code"),
    [
        (("--older-than", "0d"), 2),
        (("--older-than", "soon"), 2),
        (("--archive", "tape"), 2),
        (("--window", "25:00-26:00"), 2),
        (("restore",), 11),
        (("hold", "release", "h-none"), 11),
        (("hold", "add", "--reason", "x"), 2),
        (("hold", "add", "--project", "p", "--reason", "x"), 9),
        (("schedule", "--at", "2am"), 2),
        (("run", "--plan", "nowhere.json"), 11),
    ],
)
def test_a_mistake_gets_its_exit_code(purge: Purge, options: tuple[str, ...], exit_code: int) -> None:
    assert purge(*options).exit_code == exit_code


@pytest.mark.parametrize(
    "policy", ["{retention_days: 0}", "{retention_days: -1}", "{retention_days: 30, accounts: {a1: 0}}"]
)
def test_a_policy_of_no_days_deletes_nothing(
    purge: Purge, fill: Callable[..., None], configure: Callable[..., None], policy: str, database: Path
) -> None:
    fill(1, 40)
    configure(f"purge: {policy}")

    assert purge("--confirm", "default").exit_code in (2, 4)
    assert conversations(database) == 1


def test_out_of_time_exits_12_and_the_same_command_goes_on(
    purge: Purge, fill: Callable[..., None], database: Path
) -> None:
    fill(20, 40)

    stopped = purge("run", "--confirm", "default", "--max-runtime", "0s")
    assert (stopped.exit_code, stopped.json["status"]) == (12, "partial")
    assert purge("run", "--confirm", "default", "--limit", "1").exit_code == 6
    done = purge("run", "--confirm", "default").json

    assert done["run_id"] == stopped.json["run_id"]
    assert done["data"]["resumed"] is True
    assert conversations(database) == 0


def test_outside_of_its_window_a_purge_deletes_nothing(purge: Purge, fill: Callable[..., None], database: Path) -> None:
    fill(1, 40)
    hour = time.gmtime().tm_hour
    window = f"{(hour + 2) % 24:02}:00-{(hour + 3) % 24:02}:00"

    assert purge("--confirm", "default", "--window", window).exit_code == 12
    assert conversations(database) == 1


def test_a_saved_plan_is_run_as_it_was_and_no_longer_once_the_policy_changed(
    purge: Purge, fill: Callable[..., None], configure: Callable[..., None], tmp_path: Path, database: Path
) -> None:
    fill(2, 40)
    fill(1, 20)
    plan = tmp_path / "plan.json"
    assert purge("plan", "--older-than", "15d", "--out", str(plan)).exit_code == 0

    configure("purge: {accounts: {a2: 90}}")
    assert purge("run", "--plan", str(plan), "--confirm", "default").exit_code == 10
    assert conversations(database) == 3
    configure()
    assert purge("run", "--plan", str(plan), "--confirm", "default").json["data"]["deleted_chats"] == 3


def test_a_hold_that_cannot_be_read_stops_the_purge(purge: Purge, fill: Callable[..., None], database: Path) -> None:
    fill(1, 40)
    purge("hold", "add", "--chat", "other", "--reason", "x")
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("UPDATE chatctl_holds SET kind = 'galaxy'")
        connection.commit()

    assert purge("--confirm", "default").exit_code == 9
    assert conversations(database) == 1


def test_a_backlog_that_grew_over_three_runs_is_a_finding(purge: Purge, fill: Callable[..., None]) -> None:
    for number in range(3):
        fill(3 + number, 40)
        assert purge("--confirm", "default", "--limit", "1").exit_code == 0
        # What a run of one account leaves says nothing of the rest.
        assert purge("--confirm", "default", "--account", "nobody").exit_code == 0
        assert purge("status").exit_code == (9 if number == 2 else 0)


def test_an_archive_folder_that_cannot_be_written_loses_nothing(
    purge: Purge, fill: Callable[..., None], configure: Callable[..., None], tmp_path: Path, database: Path
) -> None:
    fill(1, 40)
    (tmp_path / "file").write_text("in the way")
    configure("purge: {archive_folder: file/archives}")

    assert purge().exit_code == 13
    assert conversations(database) == 1


def test_an_erasure_needs_the_contexts_name_and_a_hold_refuses_it(
    purge: Purge, fill: Callable[..., None], configure: Callable[..., None], database: Path
) -> None:
    fill(2, 1, "gone")
    fill(1, 1, "here")
    configure("purge: {retention_days: 30}")
    assert purge("--erase-user", "gone", "--dry-run").json["data"]["conversations"] == 2
    assert purge("run", "--erase-user", "gone", "--yes").exit_code == 2
    held = purge("hold", "add", "--account", "gone", "--reason", "case").json["data"]["id"]
    assert purge("--erase-user", "gone", "--confirm", "default").exit_code == 13
    assert conversations(database) == 3

    purge("hold", "release", held)
    assert purge("run", "--erase-user", "gone", "--confirm", "default").json["data"]["deleted_chats"] == 2
    assert conversations(database) == 1


# --- cron -------------------------------------------------------------------------------------------------------


@pytest.fixture
def watcher() -> Iterator[tuple[str, list[str]]]:
    """A health check's URL, and the paths that it was asked for."""
    seen: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            seen.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            """Nobody reads it."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/ping", seen
        server.shutdown()
        thread.join()


def test_the_health_check_hears_of_start_success_and_failure(
    purge: Purge, configure: Callable[..., None], fill: Callable[..., None], watcher: tuple[str, list[str]]
) -> None:
    url, seen = watcher
    configure(f"purge: {{ping_url: '{url}'}}")
    purge()
    assert seen == ["/ping/start", "/ping"]

    fill(1001, 40)
    assert purge().exit_code == 2
    assert seen[2:] == ["/ping/start", "/ping/fail"]


def test_a_health_check_that_is_down_fails_no_purge(
    purge: Purge, configure: Callable[..., None], fill: Callable[..., None], database: Path
) -> None:
    fill(1, 40)
    configure("purge: {ping_url: 'http://127.0.0.1:9/ping'}")

    assert purge().exit_code == 0
    assert conversations(database) == 0


def test_metrics_are_written_for_prometheus(
    purge: Purge, configure: Callable[..., None], fill: Callable[..., None], tmp_path: Path
) -> None:
    fill(3, 40)
    configure("purge: {metrics_file: chatctl.prom}")
    purge()

    lines = (tmp_path / "chatctl.prom").read_text().splitlines()

    assert 'chatctl_purge_deleted_conversations{context="default"} 3' in lines
    assert 'chatctl_purge_success{context="default"} 1' in lines


def test_cron_sees_the_guides_log_lines(
    purge: Purge, fill: Callable[..., None], invoke: Callable[..., Completed]
) -> None:
    fill(3, 40)

    said = invoke("purge", "--confirm", "default").stderr

    assert "[Cron] Starting scheduled purge job" in said
    assert "[Purge] Deleted 3 conversations" in said


def test_the_printed_crontab_line_runs_as_it_is(
    run_cli: Cli, purge: Purge, configure: Callable[..., None], fill: Callable[..., None], database: Path
) -> None:
    fill(1, 40)
    configure("purge: {retention_days: 30}")
    now = time.strftime("%H:%M", time.gmtime())

    printed = run_cli("purge", "schedule", "--print", "cron", "--at", now, "--output", "json").json
    line = printed["data"]["files"][0]["content"].splitlines()[-1]
    command = line.split(" ", 5)[5].replace(r"\%", "%").replace(f'"{now.replace(":", "")}"', '"$(date -u +%H%M)"')
    subprocess.run(["/bin/sh", "-c", command], env=run_cli.environment, check=True, capture_output=True)

    assert conversations(database) == 0


def test_the_printed_units_are_understood_by_systemd(purge: Purge, tmp_path: Path) -> None:
    for file in json.loads(purge("schedule", "--print", "systemd").stdout)["data"]["files"]:
        (tmp_path / file["name"]).write_text(file["content"])
    start = next(
        line for line in (tmp_path / "chatctl-purge.service").read_text().splitlines() if line.startswith("ExecStart=")
    )

    assert shlex.split(start.removeprefix("ExecStart="))[-1] == "purge"
    assert "OnCalendar=*-*-* 02:00:00 UTC" in (tmp_path / "chatctl-purge.timer").read_text()


def test_a_purge_beside_another_one_ends_at_once_with_6(
    run_cli: Cli, purge: Purge, fill: Callable[..., None], database: Path
) -> None:
    from filelock import FileLock

    fill(1, 40)
    purge("--confirm", "default", "--limit", "1")
    with FileLock(f"{database}.chatctl_purge.lock"):
        started = time.monotonic()
        assert run_cli("purge", "--confirm", "default").exit_code == 6
        assert time.monotonic() - started < 10
