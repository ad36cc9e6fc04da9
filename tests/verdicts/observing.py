"""What a statement really does while it runs: seen from other connections that go on reading and writing.

How it is seen differs by engine, and lives in a module for each. A truth has no opinion on how: only what came of it.
"""

from __future__ import annotations

import re
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent

#: A statement that is over sooner keeps nobody waiting for longer than a disk may take at any time.
MOMENT_SECONDS = 0.08

READS, WRITES, REWRITES = "blocks reads", "blocks writes", "rewrites"
KINDS = (READS, WRITES, REWRITES)


class Observer(ABC):
    """Runs a statement on tables with rows, and looks on; `make` puts the tables there anew."""

    @abstractmethod
    def make(self) -> None:
        """The tables of the engine's schema file, with their rows."""

    @abstractmethod
    def seen(self, sql: str) -> set[str]:
        """What the statement does to those who use the tables: some of KINDS."""


def schema(engine: str, **values: object) -> list[str]:
    """The statements that make the tables."""
    text = (FOLDER / f"{engine}_schema.sql").read_text(encoding="utf-8")
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", str(value))
    return [part.strip() for part in re.sub(r"(?m)^--.*$", "", text).split(";\n") if part.strip()]


def cases(engine: str) -> list[str]:
    """The statements to be judged, one a line."""
    lines = (FOLDER / f"{engine}_cases.sql").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if not line.startswith("--")]


@dataclass
class Users:
    """Threads that use the tables without a pause, and when each of their statements began and ended."""

    works: dict[str, Callable[[], Callable[[int], None]]]
    spans: dict[str, list[tuple[float, float]]] = field(default_factory=dict)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Works while the block runs."""
        self._stop = threading.Event()
        self.spans = {name: [] for name in self.works}
        threads = [threading.Thread(target=self._work, args=(name,), daemon=True) for name in self.works]
        for thread in threads:
            thread.start()
        while not all(self.spans.values()):
            time.sleep(0.001)
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def were_kept_out(self, name: str, began: float, ended: float) -> bool:
        """Whether none of them got anything done in the middle of a statement that took its time."""
        duration = ended - began
        if duration < MOMENT_SECONDS:
            return False
        start, end = began + duration * 0.15, ended - duration * 0.15
        return not any(start <= first and last <= end for first, last in self.spans[name])

    def _work(self, name: str) -> None:
        act = self.works[name]()
        number = 0
        while not self._stop.is_set():
            began = time.monotonic()
            act(number)
            self.spans[name].append((began, time.monotonic()))
            number += 1


@dataclass
class Agreement:
    """How often verdicts and what was seen agree, kind by kind."""

    cases: int = 0
    counts: dict[str, list[int]] = field(default_factory=lambda: {kind: [0, 0, 0] for kind in KINDS})
    disagreements: list[str] = field(default_factory=list)

    def add(self, case: str, seen: set[str], said: set[str]) -> None:
        """Takes one case."""
        self.cases += 1
        for kind, count in self.counts.items():
            count[0] += kind in seen and kind in said
            count[1] += kind not in seen and kind in said
            count[2] += kind in seen and kind not in said
        if seen != said:
            words = [", ".join(sorted(kinds)) or "nothing" for kinds in (said, seen)]
            self.disagreements.append(f"{case}\n    the plan says {words[0]}; seen was {words[1]}")

    def precision(self, kind: str) -> float:
        """Of what the plans said, the part that was seen."""
        right, false, _ = self.counts[kind]
        return right / ((right + false) or 1) if right + false else 1.0

    def recall(self, kind: str) -> float:
        """Of what was seen, the part that the plans said."""
        right, _, missed = self.counts[kind]
        return right / (right + missed) if right + missed else 1.0

    def __str__(self) -> str:
        lines = [
            f"  {kind:13} in {self.counts[kind][0] + self.counts[kind][2]:3}:"
            f" precision {self.precision(kind):.3f}, recall {self.recall(kind):.3f}"
            for kind in KINDS
        ]
        return "\n".join([f"{self.cases} cases", *lines, *self.disagreements])


def ignoring(execute: Callable[..., Any], error: type[Exception]) -> Callable[..., None]:
    """What a user sends, who puts up with a column that has gone or a table that has another name."""

    def run(*arguments: Any) -> None:
        try:
            execute(*arguments)
        except error:
            return

    return run
