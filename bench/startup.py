"""How fast the program starts, beside what it is held against, as ratios of medians.

python bench/startup.py [ROUNDS]
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

ROUNDS = 15

IMPORT_TYPER = ("-c", "import typer")
ALEMBIC_HELP = ("-m", "alembic.config", "--help")
#: What is measured, what it is held against, and how many times that it may take.
LIMITS = (
    (("-m", "chatctl", "--version"), IMPORT_TYPER, 1.5),
    (("-m", "chatctl", "--help"), ALEMBIC_HELP, 0.5),
)


def seconds(arguments: tuple[str, ...]) -> float:
    """The time from start to end of one process."""
    started = time.perf_counter()
    subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started


def medians(rounds: int) -> dict[tuple[str, ...], float]:
    """The median time of each contender. They take turns, so that a busy moment hits all of them."""
    contenders = list(dict.fromkeys(command for limit in LIMITS for command in limit[:2]))
    times: dict[tuple[str, ...], list[float]] = {command: [] for command in contenders}
    for _ in range(rounds):
        for command in contenders:
            times[command].append(seconds(command))
    return {command: statistics.median(measured) for command, measured in times.items()}


def main(rounds: int = ROUNDS) -> bool:
    """Prints each ratio and its limit; whether all are kept."""
    found = medians(rounds)
    kept = True
    for command, beside, limit in LIMITS:
        ratio = found[command] / found[beside]
        kept = kept and ratio <= limit
        print(
            f"python {' '.join(command)}: {found[command] * 1000:.0f} ms, {ratio:.2f} times"
            f" python {' '.join(beside)} ({found[beside] * 1000:.0f} ms); at most {limit}"
        )
    return kept


if __name__ == "__main__":
    sys.exit(0 if main(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS) else 1)
