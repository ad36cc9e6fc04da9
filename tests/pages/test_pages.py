"""The pages that --html writes: whole, harmless, small, and drawn by a real browser without a request leaving it."""

from __future__ import annotations

import re
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from tests.support.cli import Cli, Completed

from chatctl.render.pages.html import cell
from chatctl.services.runs.history import history
from chatctl.services.runs.target import RunsTarget
from chatctl.stores.sql.database import Database
from chatctl.stores.sql.journal import Journal

Invoke = Callable[..., Completed]
BROWSER = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
MANY = 100_000


class _Reader(HTMLParser):
    """Collects tags and what they name; fails on what is closed and was never opened."""

    VOID = ("meta", "link", "br", "img")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "action", "data")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def read(file: Path) -> _Reader:
    """The page, after what every page must be was asserted."""
    text = file.read_text()
    reader = _Reader()
    reader.feed(text)
    assert reader.open == []
    assert not reader.seen & {"script", "iframe", "object", "link", "img"}
    assert reader.addresses == []
    assert "url(" not in text
    assert "@import" not in text
    for drawing in re.findall(r"<svg.*?</svg>", text, re.DOTALL):
        ElementTree.fromstring(drawing)
    return reader


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A database with a run of many batches, and the run's ID."""
    folder = tmp_path_factory.mktemp("run")
    cli = Cli(folder)
    cli.environment |= {"CHATCTL_DATABASE": f"sqlite:///{folder / 'chat.db'}", "CHATCTL_LAYOUT": "mentor"}
    for command in (("demo", "create", "--messages", "600"), ("migrate", "up")):
        assert cli(*command).exit_code == 0
    done = cli("regroup", "run", "--batch-size", "60", "-o", "json")
    assert done.exit_code == 0, done
    return folder / "chat.db", str(done.json["run_id"])


@pytest.fixture
def regrouped(made: tuple[Path, str], invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The run's ID, in a copy of its database that commands work on."""
    shutil.copy(made[0], tmp_path / "chat.db")
    monkeypatch.setenv("CHATCTL_DATABASE", f"sqlite:///{tmp_path / 'chat.db'}")
    monkeypatch.setenv("CHATCTL_LAYOUT", "mentor")
    return made[1]


def test_the_page_of_a_run_says_what_happened(regrouped: str, invoke: Invoke, tmp_path: Path) -> None:
    answer = invoke("runs", "report", regrouped, "--html", tmp_path / "run.html", "-o", "json")

    assert answer.exit_code == 0, answer
    assert sum(phase["rows"] for phase in answer.json["data"]["phases"]) > 600
    text = (tmp_path / "run.html").read_text()
    assert "svg" in read(tmp_path / "run.html").seen
    for shown in (regrouped, "regroup run", "Rows a second", "Milliseconds a batch", "Phases"):
        assert shown in text
    # What was verified, and how the tables grew, beside it.
    assert 'messages unchanged</td><td class="n">yes</td>' in text
    assert re.search(r"<td>chats</td><td class=\"n\">0</td><td class=\"n\">[1-9][0-9,]*</td>", text)
    # Both widths are drawn.
    assert text.count('class="wide"') == text.count('class="narrow"') > 0


def test_the_page_of_a_migration_shows_its_statements_as_they_were_written(
    regrouped: str, invoke: Invoke, tmp_path: Path
) -> None:
    runs = invoke("runs", "list", "-o", "json").json["data"]["runs"]
    (migration,) = [run["run_id"] for run in runs if run["command"] == "migrate up"]

    assert invoke("runs", "report", migration, "--html", tmp_path / "up.html").exit_code == 0

    read(tmp_path / "up.html")
    text = (tmp_path / "up.html").read_text()
    assert "CREATE TABLE chats (\n" in text
    assert 'differences from the recorded schema</td><td class="n">yes</td>' in text
    assert re.search(r"<td>messages</td><td class=\"n\">600</td><td class=\"n\">600</td>", text)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (12_804.25, "12,804"), (0.15, "0.15"), (1_234_567, "1,234,567"), (None, ""), (True, "yes"),
        ("a\n\tb", "a\n  b"), ("2026-11-29T17:28:38.652726+00:00", "2026-11-29 17:28:38 UTC"),
        ("2026-11-29T17:28:38Z", "2026-11-29 17:28:38 UTC"),
        ("bad\x1b[31m", "bad\\x1b[31m"),
    ],
)  # fmt: skip
def test_a_cell_is_readable(value: object, shown: str) -> None:
    assert cell(value) == shown


def add_batches(file: Path, run_id: str, count: int) -> None:
    """Adds a long history to a run: batches of varying length with a long pause in the middle."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
            " INSERT INTO chatctl_batches (run_id, range_number, number, token, row_count, milliseconds, committed_ms)"
            " SELECT ?, 9, i, printf('%032x', i), 1000 + i % 700, 20 + i % 90 + (i % 997 = 0) * 3000,"
            " 1767225600000 + i * 110 + (i > ? / 2) * 1800000 FROM n",
            (count, f"{run_id}/many", count),
        )
        connection.execute(
            "INSERT INTO chatctl_ranges (run_id, number, bounds, position, state, rows_done, batches, lease_token,"
            " lease_until_ms) VALUES (?, 9, '{}', '{}', 'done', ?, ?, 0, 0)", (f"{run_id}/many", count * 1000, count),
        )  # fmt: skip
        connection.execute("DELETE FROM chatctl_batches WHERE committed_ms > 1767225600000 + 100000000")
        connection.commit()


def test_a_hundred_thousand_batches_stay_small_and_readable(regrouped: str, invoke: Invoke, tmp_path: Path) -> None:
    add_batches(tmp_path / "chat.db", regrouped, MANY)

    answer = invoke("runs", "report", regrouped, "--html", tmp_path / "run.html", "-o", "json")

    assert answer.exit_code == 0, answer
    assert (tmp_path / "run.html").stat().st_size < 200_000
    read(tmp_path / "run.html")


def test_the_steps_of_time_hold_every_batch(regrouped: str, tmp_path: Path) -> None:
    add_batches(tmp_path / "chat.db", regrouped, 5_000)
    database = Database(f"sqlite:///{tmp_path / 'chat.db'}")

    found = history(RunsTarget(database, Journal(database)), regrouped)

    with closing(sqlite3.connect(tmp_path / "chat.db")) as connection:
        query = "SELECT SUM(row_count), COUNT(*), MAX(milliseconds) FROM chatctl_batches WHERE run_id LIKE ? || '%'"
        rows, batches, longest = connection.execute(query, (regrouped,)).fetchone()
    database.close()
    assert sum(step["rows"] for step in found["steps"]) == rows
    assert sum(step["batches"] for step in found["steps"]) == batches
    assert max(step["longest_milliseconds"] for step in found["steps"]) == longest
    assert 1 < len(found["steps"]) <= 241


def test_a_replicas_lag_stands_over_the_same_time_as_the_rate(regrouped: str, invoke: Invoke, tmp_path: Path) -> None:
    page = tmp_path / "run.html"
    assert invoke("runs", "report", regrouped, "--html", page).exit_code == 0
    assert "replica" not in page.read_text(), "nothing was measured"
    with closing(sqlite3.connect(tmp_path / "chat.db")) as connection:
        first, last = connection.execute("SELECT MIN(committed_ms), MAX(committed_ms) FROM chatctl_batches").fetchone()
        measured = [(regrouped, first - 5_000, 9_000), (regrouped, first - 4_999, 7_000), (regrouped, last, 1_500)]
        other = ("another", last + 1, 99_000)
        connection.executemany("INSERT INTO chatctl_lags VALUES (?, ?, ?)", [*measured, other])
        connection.commit()
    database = Database(f"sqlite:///{tmp_path / 'chat.db'}")

    found = history(RunsTarget(database, Journal(database)), regrouped)

    database.close()
    assert [step["seconds"] for step in found["lag"]] == [9.0, 1.5]
    assert found["lag"][0]["at_seconds"] == 0
    assert found["steps"][0]["at_seconds"] == pytest.approx(5, abs=0.1)
    assert invoke("runs", "report", regrouped, "--html", page).exit_code == 0
    assert "Seconds that the replica was behind" in page.read_text()
    read(page)


def test_a_journal_from_before_lag_was_kept_has_its_page_and_is_pruned(
    regrouped: str, invoke: Invoke, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(tmp_path / "chat.db")) as connection:
        connection.execute("DROP TABLE chatctl_lags")
        connection.execute("UPDATE chatctl_version SET version_num = 'core_0005' WHERE version_num = 'core_0006'")
        connection.commit()

    assert invoke("runs", "report", regrouped, "--html", tmp_path / "run.html").exit_code == 0
    pruned = invoke("runs", "prune", "--keep", "0s", "-o", "json")

    assert pruned.json["data"]["batches_deleted"] > 0
    read(tmp_path / "run.html")


def test_what_stands_in_the_database_cant_become_markup(regrouped: str, invoke: Invoke, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "chat.db")) as connection:
        evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
        connection.execute("UPDATE chatctl_runs SET error = ?, host = ?, options = json_object('note', ?)", (evil,) * 3)
        connection.commit()

    assert invoke("runs", "report", regrouped, "--html", tmp_path / "run.html").exit_code == 0

    assert "&lt;script&gt;" in (tmp_path / "run.html").read_text()
    read(tmp_path / "run.html")


def test_the_pages_of_statistics(regrouped: str, invoke: Invoke, tmp_path: Path) -> None:
    assert invoke("purge", "stats", "--html", tmp_path / "stats.html").exit_code == 0
    assert invoke("purge", "stats", "--estimate", "100", "--html", tmp_path / "estimate.html").exit_code == 0

    assert "Conversations of each account" in (tmp_path / "stats.html").read_text()
    for name in ("stats", "estimate"):
        read(tmp_path / f"{name}.html")
    assert invoke("purge", "stats", "--html", tmp_path / "nowhere/x.html").exit_code == 2


@pytest.mark.redis
def test_the_page_of_growth(invoke: Invoke, tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHATCTL_DATABASE", f"sqlite:///{tmp_path / 'chat.db'}")
    monkeypatch.setenv("CHATCTL_REDIS", redis_url)
    monkeypatch.setenv("CHATCTL_LAYOUT", "native")
    assert invoke("migrate", "up").exit_code == 0
    assert invoke("sessions", "create", "--user", "u1").exit_code == 0

    assert invoke("counters", "growth", "--html", tmp_path / "growth.html").exit_code == 0

    read(tmp_path / "growth.html")


#: What the browser itself asks for when it starts.
_ITS_OWN = re.compile(r"//[^/]*(google|gstatic|gvt1|chrome|chromium)[^/]*/")


def draw(page: Path, width: int) -> list[str]:
    """Has a browser draw `page` beside it as PNG; the addresses that it asked for on the page's behalf."""
    assert BROWSER is not None
    log = page.with_suffix(".json")
    command = [
        BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
        "--disable-component-update", f"--window-size={width},900", f"--user-data-dir={page.parent / 'profile'}",
        f"--log-net-log={log}", f"--screenshot={page.with_suffix('.png')}", "--virtual-time-budget=2000",
        "--host-resolver-rules=MAP * ~NOTFOUND", page.as_uri(),
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True, timeout=90)
    addresses = re.findall(r'"url":\s*"((?:https?|wss?)://[^"]+)"', log.read_text())
    return [address for address in addresses if not _ITS_OWN.search(address)]


@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")
@pytest.mark.parametrize("width", [1280, 390])
def test_a_browser_draws_the_page_and_asks_nobody_for_anything(
    regrouped: str, invoke: Invoke, tmp_path: Path, width: int
) -> None:
    invoke("runs", "report", regrouped, "--html", tmp_path / "run.html")

    assert draw(tmp_path / "run.html", width) == []
    assert (tmp_path / "run.png").stat().st_size > 10_000


@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")
def test_a_page_that_asks_somebody_is_caught(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("<!doctype html><img src='http://tracker.example/x.png'>")

    assert set(draw(page, 400)) == {"http://tracker.example/x.png"}
