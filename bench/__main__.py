"""Runs the benchmarks, each in a process of its own, and says whether all of their limits were kept.

    python -m bench [NAME…]

BENCH_ROWS scales those that count rows (1,000,000 unless given).
"""

from __future__ import annotations

import os
import subprocess
import sys

#: The name of a benchmark → its module, and whether it takes the number of rows, with what else it is told.
BENCHMARKS: dict[str, tuple[str, bool, *tuple[str, ...]]] = {
    "startup": ("bench.startup", False),
    "parse": ("bench.parse", True),
    "import": ("bench.importing", True),
    "counters": ("bench.counters", True),
    "regroup": ("bench.regroup", True),
    "regroup-tenfold": ("bench.regroup", True, "--tenfold"),
    "journey": ("bench.journey", True),
    "purge": ("bench.purge", True),
    "backup": ("bench.backup", True),
    "serve": ("bench.serve", False),
}


def main(names: list[str]) -> int:
    """Runs the benchmarks called `names`, all where none is named; the exit code."""
    unknown = set(names) - set(BENCHMARKS)
    if unknown:
        print(f"There is no benchmark {', '.join(sorted(unknown))}. There are: {', '.join(BENCHMARKS)}.")
        return 2
    rows = os.environ.get("BENCH_ROWS", "1000000")
    missed = []
    for name in names or BENCHMARKS:
        module, takes_rows, *more = BENCHMARKS[name]
        print(f"== {name}", flush=True)
        command = [sys.executable, "-m", module, *([rows] if takes_rows else []), *more]
        if subprocess.run(command, check=False).returncode:
            missed.append(name)
    if missed:
        print(f"Limits missed by: {', '.join(missed)}.")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
