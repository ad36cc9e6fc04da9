"""`demo run`: the whole journey on a made-up legacy database, each command as its users would type it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from chatctl.domain.result import Notice, Outcome, Result
from chatctl.stores.redis.embedded import programs

#: The journey's files, in the folder that it runs in.
DATABASE_FILE = "legacy.db"
LATE_FILE = "late-messages.jsonl"
SESSIONS_FILE = "sessions.db"
BACKUP_FOLDER = "backups"
DATA_FOLDER = "data"

_NO_REDIS = Notice(
    "no_redis", "There is no Redis to embed, so the counters' part was left out.", "pip install 'chatctl[embedded]'"
)


@dataclass(frozen=True)
class Step:
    """One command of the journey, why it is run, and the exit code that it must end with."""

    why: str
    arguments: tuple[str, ...]
    expected: int = 0


@dataclass(frozen=True)
class Stage:
    """Where the journey's commands run, and who hears of them."""

    folder: Path
    announce: Callable[[str, str], None]
    output: IO[str]


REGROUP = ("regroup", "run", "--gap", "6h", "--yes")
ROLLBACK = ("rollback", "run", "--confirm", "default")

STEPS = (
    Step("Where does this database stand?", ("migrate", "status")),
    Step("What would a migration do? Nothing is written.", ("migrate", "plan")),
    Step("Is anything pending? 7 means yes.", ("migrate", "check"), expected=7),
    Step("A backup first, proven by restoring it into a scratch database.", ("backup", "create", "--drill")),
    Step("Apply it.", ("migrate", "--yes")),
    Step("0: nothing is pending, nothing has drifted.", ("migrate", "check")),
    Step("Late messages come in; 3 means that some didn't fit, and were set aside.", ("import", LATE_FILE), expected=3),
    Step("The same file again: each message is there once.", ("import", LATE_FILE), expected=3),
    Step("Which chats would these messages make?", ("regroup", "plan", "--gap", "6h")),
    Step("Make them: a chat for each run of messages without a pause of six hours.", REGROUP),
    Step("No message lost, doubled, moved to another owner or left behind.", ("regroup", "verify")),
    Step("Who did what, and when?", ("runs", "list")),
    Step("What would going back do, and what of all that is lost?", ("rollback", "plan")),
    Step("Back to before the migration, compared at the end; the late messages stay.", ROLLBACK),
    Step("The legacy database again.", ("migrate", "status")),
)

#: Session IDs are fed by counters in Redis: what happens when one is lost. Needs a server to embed.
_SESSIONS = ("--layout", "simorgh", "--database", f"sqlite:///{SESSIONS_FILE}")
_LOSE = ("demo", "lose-counter", "--confirm", "default")
COUNTER_STEPS = (
    Step("Another system: sessions with readable IDs.", (*_SESSIONS, "sessions", "create", "--user", "ann")),
    Step("The next number.", (*_SESSIONS, "sessions", "create", "--user", "ben")),
    Step("Redis loses the counter, as eviction would.", (*_SESSIONS, *_LOSE)),
    Step("On-call looks: 9 means that something was found.", (*_SESSIONS, "counters", "check"), expected=9),
    Step("Repair only ever raises.", (*_SESSIONS, "counters", "repair")),
    Step("No ID is given twice.", (*_SESSIONS, "sessions", "create", "--user", "cleo")),
)


def run_journey(stage: Stage, messages: int) -> Result:
    """Makes a legacy database of `messages` messages in the stage's folder and runs every step on it.

    Stops at the first step that doesn't end as it must: the result is then partial and names it. Steps that need
    Redis are left out, with a warning, where there is none to embed.
    """
    stage.folder.mkdir(parents=True, exist_ok=True)
    _clear(stage.folder)
    has_redis = bool(programs())
    steps = (*STEPS, *(COUNTER_STEPS if has_redis else ()))
    create = Step(
        f"A legacy database of {messages:,} messages.",
        ("demo", "create", "--messages", str(messages), "--late-file", LATE_FILE),
    )
    done: list[dict[str, Any]] = []
    for step in (create, *steps):
        outcome = _run(stage, step)
        done.append(outcome)
        if not outcome["ok"]:
            break
    ok = all(step["ok"] for step in done)
    errors = () if ok else (Notice("demo_step", f"'{done[-1]['command']}' ended with {done[-1]['exit_code']}."),)
    data = {"folder": str(stage.folder), "steps": done, "ok": ok}
    return Result(
        data, Outcome.DONE if ok else Outcome.PARTIAL, warnings=() if has_redis else (_NO_REDIS,), errors=errors
    )


def _clear(folder: Path) -> None:
    """Removes what an earlier journey left, and nothing else."""
    for name in (DATABASE_FILE, SESSIONS_FILE, LATE_FILE):
        for leftover in folder.glob(f"{name}*"):
            leftover.unlink()
    for name in (BACKUP_FOLDER, DATA_FOLDER):
        shutil.rmtree(folder / name, ignore_errors=True)


def _run(stage: Stage, step: Step) -> dict[str, Any]:
    shown = f"chatctl {' '.join(step.arguments)}"
    stage.announce(step.why, shown)
    started = time.monotonic()
    completed = subprocess.run(
        [sys.executable, "-m", "chatctl", *step.arguments],
        cwd=stage.folder,
        env=_environment(stage.folder),
        stdin=subprocess.DEVNULL,
        stdout=stage.output,
        stderr=stage.output,
        check=False,
    )
    return {
        "command": shown,
        "why": step.why,
        "exit_code": completed.returncode,
        "expected": step.expected,
        "ok": completed.returncode == step.expected,
        "seconds": round(time.monotonic() - started, 3),
    }


def _environment(folder: Path) -> dict[str, str]:
    """The caller's environment, without settings of the caller's own that would lead elsewhere."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CHATCTL_")}
    # A checkout that isn't installed is found by its own path.
    paths = [str(Path(__file__).parents[3]), kept.get("PYTHONPATH", "")]
    return {
        **kept,
        "CHATCTL_DATABASE": f"sqlite:///{DATABASE_FILE}",
        "CHATCTL_LAYOUT": "mentor",
        # The embedded Redis and everything else of chatctl's own stays in the demo's folder.
        "XDG_DATA_HOME": str((folder / DATA_FOLDER).resolve()),
        "CHATCTL_BACKUP_STORE": BACKUP_FOLDER,
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
    }
