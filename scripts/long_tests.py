"""Writes tests/long.txt: what `make test` leaves to `make soak`, by how long it took.

    python scripts/long_tests.py JUNIT_FILE [--seconds N] [--quickest N]

JUNIT_FILE is what `pytest --junitxml` wrote of a whole run. A test that took more than --seconds is long, unless it is
the quickest variant of its function, which may take --quickest.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

FILE = Path(__file__).parents[1] / "tests" / "long.txt"
HEADER = "# Tests that take long. make soak runs them, make test doesn't. Written by scripts/long_tests.py.\n"


def timed(junit: Path) -> Iterator[tuple[str, float]]:
    """Each test's node ID and its seconds."""
    for case in ElementTree.parse(junit).iter("testcase"):
        module = case.attrib["classname"].replace(".", "/")
        yield f"{module}.py::{case.attrib['name']}", float(case.attrib["time"])


def long_ones(junit: Path, seconds: float, quickest: float) -> Iterator[str]:
    """The node IDs of the long tests."""
    variants = defaultdict(list)
    for node, taken in timed(junit):
        variants[node.partition("[")[0]].append((taken, node))
    for found in variants.values():
        for place, (taken, node) in enumerate(sorted(found)):
            if taken > (quickest if place == 0 else seconds):
                yield node


def main() -> None:
    """Writes the file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("junit", type=Path)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--quickest", type=float, default=15.0)
    asked = parser.parse_args()
    nodes = sorted(long_ones(asked.junit, asked.seconds, asked.quickest))
    FILE.write_text(HEADER + "".join(f"{node}\n" for node in nodes), encoding="utf-8")
    print(f"{len(nodes)} tests are long.")


if __name__ == "__main__":
    main()
