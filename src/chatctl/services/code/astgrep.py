"""Drives ast-grep (the extra `lint`), which finds code by its syntax, and reads what it says."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from chatctl.errors import InputFileError, MissingExtraError
from chatctl.services.code.rules import LANGUAGE_GLOBS, Import, RuleSet

_TIMEOUT_SECONDS = 600.0
#: What is somebody else's code, wherever it lies.
_FOREIGN = ("node_modules", ".venv", "venv", "site-packages", "dist", "build", "__pycache__")
_BROKEN = RuleSet(
    tuple(
        {"id": f"broken:{language}", "language": language, "message": "-", "rule": {"kind": "ERROR"}}
        for language in ("Python", "Tsx", "TypeScript", "Bash")
    )
)


@dataclass(frozen=True)
class Match:
    """One place where a rule matches. Offsets count bytes; `replacement` is None where nothing is certain.

    A file needs a replacement that is `once` in one place only: in others the line goes.
    """

    rule: str
    severity: str
    message: str
    note: str | None
    file: Path
    line: int
    start: int
    end: int
    text: str
    replacement: str | None
    group: str | None
    needs: Import | None
    once: bool


def scan(place: Path, rules: RuleSet) -> list[Match]:
    """Every match below `place`, by file and position. Raises MissingExtraError, or InputFileError for a bad rule."""
    program = _program()
    with TemporaryDirectory(prefix="chatctl-scan-") as folder:
        # ast-grep takes the globs of its languages from a file, and wants a folder of rules beside it.
        Path(folder, "rules").mkdir()
        configuration = Path(folder, "sgconfig.yml")
        configuration.write_text(yaml.safe_dump({"ruleDirs": ["rules"], "languageGlobs": LANGUAGE_GLOBS}))
        command = [program, "scan", "--config", str(configuration), "--inline-rules", rules.text]
        command += ["--json=stream", "--include-metadata", "--color=never"]
        command += [f"--globs=!**/{name}/**" for name in _FOREIGN]
        done = subprocess.run(
            [*command, str(place.resolve())], capture_output=True, timeout=_TIMEOUT_SECONDS, check=False
        )
    # 1 says that there are findings of severity error.
    if done.returncode not in (0, 1) or (done.returncode and not done.stdout):
        raise InputFileError(f"ast-grep refused the rules: {_reason(done.stderr)}")
    matches = [_read(json.loads(line)) for line in done.stdout.splitlines()]
    return sorted(matches, key=lambda match: (match.file, match.start, -match.end))


def broken_places(place: Path) -> int:
    """How many places below `place` aren't understood by their language's grammar."""
    return len(scan(place, _BROKEN))


def _program() -> str:
    beside = Path(sysconfig.get_path("scripts")) / ("ast-grep.exe" if sys.platform == "win32" else "ast-grep")
    found = str(beside) if beside.exists() else shutil.which("ast-grep")
    if found is None:
        raise MissingExtraError("lint", "Scanning code")
    return found


def _read(item: dict[str, Any]) -> Match:
    metadata = item.get("metadata") or {}
    offsets = item.get("replacementOffsets") or item["range"]["byteOffset"]
    needs = metadata.get("import")
    return Match(
        rule=item["ruleId"].rpartition(":")[0],
        severity=item.get("severity", "warning"),
        message=item["message"],
        note=item.get("note"),
        file=Path(item["file"]),
        line=item["range"]["start"]["line"] + 1,
        start=offsets["start"],
        end=offsets["end"],
        text=item["text"],
        replacement=item.get("replacement"),
        group=metadata.get("group"),
        needs=Import(**needs) if needs else None,
        once=bool(metadata.get("once")),
    )


def _reason(stderr: bytes) -> str:
    lines = [line.strip() for line in stderr.decode(errors="replace").splitlines() if line.strip()]
    return " ".join(lines[:4]) or "it said nothing."
