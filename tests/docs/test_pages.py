"""What the docs show can be done: pages run from start to end, and every call that they mention is understood."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from tests.support.cli import clean_environment
from tests.support.console import commands, run_page, shown
from tests.support.sample import REPOSITORY
from typer.core import TyperCommand, TyperGroup

from chatctl.cli import lazy

DOCS = REPOSITORY / "docs"
EVERY = lazy.every_command()
PAGES = sorted([*DOCS.glob("*.md"), *DOCS.glob("guides/*.md"), REPOSITORY / "README.md"])
RUN = [page for page in PAGES if page.name != "README.md" and commands(page)]
#: What a page shows of other systems, or with a sketched rest.
_SKETCHED = re.compile(r"[…]|\.\.\.| [A-Z]+\||^chatctl [a-z|, `]*\|")


def named(page: Path) -> str:
    return str(page.relative_to(REPOSITORY))


#: Pages of the systems and the tutorial run each time, the others with the long tests.
_LONG = ("backup", "ci", "cron", "dba", "import", "oncall", "regroup", "rollback", "serve", "simorgh")
#: Commands that wait for somebody: tests/cli/test_contract.py and tests/api run them.
_WAITING = {"serve", "smoke"}


# The tutorial is run on the wheel (tests/integration/test_wheel.py).
@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, id=named(page), marks=[pytest.mark.slow] if page.stem in _LONG else [])
        for page in RUN
        if page.stem != "tutorial"
    ],
)
def test_the_commands_of_a_page_run_one_after_the_other(page: Path, tmp_path: Path) -> None:
    run_page(page, tmp_path, clean_environment(tmp_path))


def test_there_are_pages_to_run() -> None:
    assert {page.stem for page in RUN} >= {"tutorial", "mentor", "ray", "toolboxai", "worker", "dba", "oncall", "ci"}
    assert sum(len(commands(page)) for page in RUN) > 70


def test_a_command_that_ends_otherwise_fails_its_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```console\n$ true\n$ chatctl config nonsense\n```\n")

    with pytest.raises(AssertionError, match="ended with 2, not 0"):
        run_page(page, tmp_path, clean_environment(tmp_path))


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_call_that_is_shown_is_understood(page: Path) -> None:
    for call in shown(page):
        if not _SKETCHED.search(call):
            understand(call)


def understand(call: str) -> None:
    """Fails where the command or one of its options isn't there."""
    words = shlex.split(call)[1:]
    words = words[: words.index("|")] if "|" in words else words
    at = next((at for at, word in enumerate(words) if word in {entry.name for entry in lazy.REGISTRY}), None)
    assert at is not None, f"{call}: no such command"
    command: TyperCommand | TyperGroup = lazy.load(words[at])
    rest = words[at + 1 :]
    while isinstance(command, TyperGroup) and rest and rest[0] in command.commands:
        below = command.commands[rest.pop(0)]
        assert isinstance(below, TyperCommand | TyperGroup)
        command = below
    known = {spelling for param in command.params for spelling in (*param.opts, *param.secondary_opts)}
    for word in rest:
        if word.startswith("-") and word not in ("-", "--help"):
            assert word.partition("=")[0] in known, f"{call}: no option {word}"
    if isinstance(command, TyperGroup) and not command.invoke_without_command:
        assert not rest or rest[0].startswith("-"), f"{call}: no command {rest[0]}"


@pytest.mark.parametrize("call", ["chatctl nonsense", "chatctl migrate up --nonsense", "chatctl regroup nonsense"])
def test_a_call_that_isnt_understood_is_caught(call: str) -> None:
    with pytest.raises(AssertionError):
        understand(call)


def test_every_command_that_is_shown_is_run_on_some_page() -> None:
    everywhere = {words_of(call) for page in PAGES if page.stem not in ("commands", "README") for call in shown(page)}
    calls = (call for page in RUN for line, _ in commands(page) for call in re.findall(r"chatctl [^|;&)]+", line))

    assert everywhere - {words_of(call) for call in calls} - _WAITING <= {None}


def words_of(call: str) -> str | None:
    """The words of the command that is called; None where only a part of one is."""
    first = {entry.name for entry in lazy.REGISTRY}
    words = call.split()
    at = next((at for at, word in enumerate(words) if word in first), len(words))
    rest = " ".join(words[at:]) + " "
    return max((command for command in EVERY if rest.startswith(f"{command} ")), key=len, default=None)


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.skipif(find_spec("mkdocs") is None, reason="mkdocs is not installed")
def test_the_site_is_built_without_a_warning_and_lists_every_page(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    variables = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(build, cwd=REPOSITORY, env=variables, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert 'not included in the "nav"' not in done.stderr
    for page in PAGES:
        if page.is_relative_to(DOCS):
            name = page.relative_to(DOCS).with_suffix("")
            assert (tmp_path / ("index.html" if page.stem == "index" else f"{name}/index.html")).exists(), name
