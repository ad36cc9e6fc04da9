"""Runs the commands of a page of the docs: the lines that begin with `$ ` in its `console` blocks.

All of a page run in one shell, in one folder, in their order. A comment `# exit 9` says how a command ends; else it
ends with 0. Lines without the sign are what the command is said to print, and aren't compared.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

_BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
_EXIT = re.compile(r"\s+# exit (\d+)$")


def commands(page: Path) -> list[tuple[str, int]]:
    """Each command with the exit code that it is said to end with."""
    found = []
    for block in _BLOCK.findall(page.read_text(encoding="utf-8")):
        for line in block.splitlines():
            if line.startswith("$ "):
                match = _EXIT.search(line)
                found.append((_EXIT.sub("", line.removeprefix("$ ")), int(match[1]) if match else 0))
    return found


def run_page(page: Path, folder: Path, environment: Mapping[str, str], python: str = sys.executable) -> str:
    """Runs all of a page's commands in `folder`; fails at the first that ends otherwise. Returns what they wrote."""
    programs = folder / ".programs"
    programs.mkdir()
    (programs / "chatctl").write_text(f'#!/bin/sh\nexec {shlex.quote(python)} -m chatctl "$@"\n')
    (programs / "chatctl").chmod(0o755)
    variables = {**environment, "PATH": f"{programs}:{environment['PATH']}", "CHATCTL_NO_INPUT": "1"}
    script = "\n".join(_script(commands(page)))
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", script], cwd=folder, env=variables, text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, f"{page.name}:\n{done.stdout[-3000:]}"
    return done.stdout


def _script(listed: list[tuple[str, int]]) -> Iterator[str]:
    for command, expected in listed:
        yield f"echo {shlex.quote(f'+ {command}')}"
        yield command
        yield f'code=$?; [ $code -eq {expected} ] || {{ echo "ended with $code, not {expected}"; exit 1; }}'


def shown(page: Path) -> Iterator[str]:
    """Every call of chatctl that the page shows anywhere in code, without what comments on it."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    indented = [line.strip() for line in text.splitlines() if line.startswith("    chatctl ")]
    lines = [*(line.strip() for block in blocks for line in block.splitlines()), *indented]
    spans = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))
    for line in [*lines, *spans]:
        match = re.match(r"(?:\$ )?(chatctl [a-z].*)", line)
        if match:
            # A column of explanations is set off by several blanks.
            yield re.split(r"\s{2,}| #", match[1])[0].rstrip(",.;:")
