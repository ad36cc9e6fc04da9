"""A connection that breaks at a COMMIT leaves nobody knowing what came of it: chatctl looks, and never guesses.

A proxy counts the commits of an undisturbed command, and then breaks each of them in four ways, on copies of the same
database. Where the cut hits a batch, the command goes on by itself; elsewhere it may end with exit 5, and the same
command finishes. Either way the rows, the counts and the journal are those of the undisturbed one. Other cuts come at
bytes all along the stream, in both directions.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.support.clones import clone, content
from tests.support.faults import LONG, SOAK, Faults
from tests.support.proxy import ByteCut, CommitCut, Cut, Proxy
from tests.support.purging import DAY, bed
from tests.support.regrouping import Mentored, Message
from tests.support.transfers import make_tables, message, rows_of, write_lines
from tests.support.zygote import Zygote

log = logging.getLogger(__name__)

#: How many commits of a command are broken, evenly spread, and at how many bytes of its stream; `make soak` takes all.
COMMITS, BYTES = (10_000, 40) if SOAK else (2, 1)
START = datetime(2026, 1, 1, tzinfo=UTC)
CONNECTION = 5

pytestmark = [
    pytest.mark.parametrize(
        "engine_name",
        [pytest.param("mariadb", marks=pytest.mark.mysql), pytest.param("postgresql", marks=pytest.mark.postgresql)],
        indirect=True,
    ),
    *LONG,
]


@dataclass(frozen=True)
class Case:
    """One command on a database made for it, and what its run says of itself in the end."""

    words: tuple[str, ...]
    layout: str
    kind: str
    totals: tuple[str, ...]


_IMPORT = ("import", "m.jsonl", "--batch-size", "40")
_REGROUP = ("regroup", "run", "--batch-size", "20")
_PURGE = ("purge", "run", "--confirm", "default", "--batch-size", "2")
_MOVED = ("messages_moved", "chats_created")
CASES = {
    "import": Case(_IMPORT, "mentor", "import", ("imported", "repeated")),
    "regroup": Case(_REGROUP, "mentor", "regroup run", _MOVED),
    "regroup with a gap": Case(
        (*_REGROUP, "--gap", "1h"), "mentor", "regroup run", ("messages_moved", "chats_created")
    ),
    "purge": Case(_PURGE, "worker", "purge", ("deleted_chats", "archived")),
}
#: What the default run leaves to the long one.
LONG = ("regroup with a gap", "purge")


def _prepare(name: str, url: str, folder: Path) -> None:
    if name == "import":
        make_tables(url)
        write_lines(folder / "m.jsonl", [message(number % 150) for number in range(160)])
        return
    if name == "purge":
        made = bed(url, "worker", folder)
        for number in range(6):
            made.add(f"c{number}", datetime.now(UTC) - (31 + number) * DAY)
        made.close()
        return
    flat = Mentored(url)
    flat.fill(
        Message(f"id{n:03d}", f"u{n % 2 * n % 7}", f"m{n % 3}", START + timedelta(minutes=n * 17 % 400))
        for n in range(60)
    )
    flat.close()


class Cutting:
    """Runs one case's command through proxies, on copies of a database."""

    def __init__(self, zygote: Zygote, url: str, folder: Path, name: str) -> None:
        self.case = CASES[name]
        self._zygote, self._url, self._folder = zygote, url, folder
        self.tally: Counter[str] = Counter()
        _prepare(name, url, folder)

    def undisturbed(self) -> tuple[Proxy, Any]:
        """The proxy, which has counted, and what the command leaves."""
        with clone(self._url) as copy, Proxy(copy) as proxy:
            assert self._run(proxy.url).exit_code == 0
            return proxy, self._left(copy)

    def survives(self, cut: CommitCut | ByteCut, sabotage: str | None = None) -> tuple[int, Any]:
        """How the command ended whose connection was cut, and what is there once the same command has gone on."""
        with clone(self._url) as copy, Proxy(copy, cut) as proxy:
            first = self._run(proxy.url, sabotage)
            self.tally["cuts"] += proxy.cuts
            self.tally["went on by itself" if first.exit_code == 0 else f"exit {first.exit_code}"] += 1
            if first.exit_code != 0:
                again = self._run(proxy.url)
                assert again.exit_code == 0, again
            return first.exit_code, self._left(copy)

    def _run(self, url: str, sabotage: str | None = None) -> Any:
        words = [str(self._folder / word) if word.endswith(".jsonl") else word for word in self.case.words]
        env = {
            "CHATCTL_DATABASE": url,
            "CHATCTL_LAYOUT": self.case.layout,
            "CHATCTL_PURGE_ARCHIVE_FOLDER": str(self._folder / url.rpartition("/")[2]),
        }
        return self._zygote(*words, env=env, sabotage=sabotage)

    def _left(self, url: str) -> Any:
        """The application's rows, and what the finished run says that it did."""
        query = f"SELECT status, totals FROM chatctl_runs WHERE kind = '{self.case.kind}' ORDER BY started_ms, id"
        runs = [(status, json.loads(totals)) for status, totals in rows_of(url, query)]
        done, *again = [
            tuple(totals.get(key, 0) for key in self.case.totals) for status, totals in runs if status == "done"
        ]
        # A cut behind a run's end lets the same command begin another, which finds nothing to do.
        assert all(found[0] == 0 for found in again)
        return content(url), done


@pytest.fixture(params=[pytest.param(name, marks=[pytest.mark.slow] if name in LONG else []) for name in CASES])
def cutting(request: pytest.FixtureRequest, engine_url: str, zygote: Zygote, tmp_path: Path) -> Cutting:
    return Cutting(zygote, engine_url, tmp_path, request.param)


def _spread(count: int, most: int) -> range:
    return range(1, count + 1, max(1, count // most))


def test_a_commit_whose_outcome_is_unknown_is_looked_up(cutting: Cutting, faults: Faults) -> None:
    proxy, expected = cutting.undisturbed()
    for number in _spread(proxy.commits, COMMITS):
        for how in Cut:
            code, left = cutting.survives(CommitCut(number, how))
            assert code in (0, CONNECTION), (number, how)
            assert left == expected, (number, how)
    assert cutting.tally["cuts"] > 0
    faults.count("cuts at a commit", cutting.tally["cuts"])
    log.info("%s: %s", cutting.case.words[0], dict(cutting.tally))


@pytest.mark.parametrize("from_server", [False, True])
def test_a_stream_cut_at_any_byte_is_gone_on_with(cutting: Cutting, from_server: bool, faults: Faults) -> None:
    proxy, expected = cutting.undisturbed()
    for number in range(BYTES):
        offset = proxy.sent[from_server] * (2 * number + 1) // (2 * BYTES)
        code, left = cutting.survives(ByteCut(offset, from_server))
        assert code in (0, CONNECTION), offset
        assert left == expected, offset
    faults.count("cuts at a byte", cutting.tally["cuts"])
    log.info("%s: %s", cutting.case.words[0], dict(cutting.tally))


@pytest.mark.parametrize("cutting", ["import"], indirect=True)
def test_without_the_token_a_lost_answer_does_harm(cutting: Cutting) -> None:
    """The negative control: a batch that is done again, since nobody looked, is refused by the journal's own key."""
    proxy, _ = cutting.undisturbed()
    lost = (CommitCut(number, Cut.ANSWER_LOST) for number in range(1, proxy.commits + 1))
    assert any(cutting.survives(cut, "without_tokens")[0] not in (0, CONNECTION) for cut in lost)
