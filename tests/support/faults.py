"""What all fault tests share: the moments to kill at, chances of one seed, and the counts that a run ends with.

A pytest plugin. A test that takes the fixture `faults` draws its chances from it and counts there what it did; where it
fails, the report says how to repeat it with the same chances.
"""

from __future__ import annotations

import os
import random
import shlex
import zlib
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path

import pytest
from tests.support.zygote import Zygote

#: The exit code of a command that was killed.
KILLED = 137
#: Whether every moment is tried, and many chances; else a few of them.
SOAK = bool(os.environ.get("CHATCTL_SOAK"))
#: The marks of a module whose tests take long then.
LONG = [pytest.mark.slow, pytest.mark.timeout(7200)] if SOAK else []

_SEED = "CHATCTL_FAULTS_SEED"
_PROPERTY = "faults"


def moments_in(trace: Path) -> list[str]:
    """The moments that a command has written down, each as a fail point's value: a third `x` is `x:3`."""
    seen: Counter[str] = Counter()
    found = []
    for name in trace.read_text().split():
        seen[name] += 1
        found.append(f"{name}:{seen[name]}")
    return found


class Faults:
    """The faults of one test: `chance` draws by `seed`, `counted` says how many of which kind there were."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.chance = random.Random(seed)
        self.counted: Counter[str] = Counter()

    def each(self, moments: Sequence[str]) -> Sequence[str]:
        """The moments, counted."""
        self.count("kills at a named moment", len(moments))
        return moments

    def spread(self, moments: Sequence[str], most: int) -> Sequence[str]:
        """About `most` of the moments, evenly spread, the last one too; all of them where everything is tried."""
        step = 1 if SOAK else max(1, len(moments) // most)
        return self.each(moments[::-step][::-1])

    def count(self, kind: str, number: int = 1) -> None:
        """Notes that there were so many more."""
        self.counted[kind] += number


@pytest.fixture
def faults(request: pytest.FixtureRequest) -> Iterator[Faults]:
    """The same chances each time; those of CHATCTL_FAULTS_SEED where it is set, new ones where everything is tried."""
    given = os.environ.get(_SEED)
    usual = random.SystemRandom().randrange(10**6) if SOAK else zlib.crc32(request.node.nodeid.encode())
    made = Faults(int(given) if given else usual)
    yield made
    request.node.user_properties.append((_PROPERTY, dict(made.counted)))


@pytest.fixture(scope="module")
def zygote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zygote]:
    """Runs commands that may be killed."""
    with Zygote(tmp_path_factory.mktemp("zygote")) as started:
        yield started


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Function, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Says how a failed fault test is repeated."""
    report = yield
    made = getattr(item, "funcargs", {}).get("faults")
    if report.failed and isinstance(made, Faults):
        soak = "CHATCTL_SOAK=1 " if SOAK else ""
        again = f"{soak}{_SEED}={made.seed} python -m pytest -m '' --timeout 7200 {shlex.quote(item.nodeid)}"
        report.sections.append(("the same again", again))
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tells how many faults there were in all."""
    total: Counter[str] = Counter()
    for report in terminalreporter.getreports(""):
        if report.when == "teardown":
            for name, counted in report.user_properties:
                total.update(counted if name == _PROPERTY else {})
    if total:
        terminalreporter.section("faults")
        for kind, number in sorted(total.items()):
            terminalreporter.write_line(f"{number:>7,} {kind}")
