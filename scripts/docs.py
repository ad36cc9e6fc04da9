"""Writes the pages of the docs that are made of the code: errors.md, commands.md, doctor.md, lint/, …

`python scripts/docs.py` writes them; `python scripts/docs.py --check` says which are stale and ends with 1.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from command_docs import man_page, reference
from lint_docs import lint_pages

from chatctl import __version__, errors
from chatctl.cli import exit_codes
from chatctl.domain.result import Outcome
from chatctl.services.doctor.checking import CHECKS

DOCS = Path(__file__).resolve().parent.parent / "docs"
_GENERATED = "<!-- Written by scripts/docs.py. Change the code, not this page. -->"


def pages() -> dict[Path, str]:
    """Each generated page's file and text."""
    lint = lint_pages(DOCS / "lint", _GENERATED)
    return {
        DOCS / "errors.md": errors_page(),
        DOCS / "exit-codes.md": exit_codes_page(),
        DOCS / "doctor.md": doctor_page(),
        DOCS / "commands.md": reference(_GENERATED),
        DOCS / "man/chatctl.1": man_page(__version__),
        **lint,
    }


def error_classes() -> list[type[errors.ChatctlError]]:
    """Every error that has a name, in the order of the module."""
    found = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    return [kind for kind in found if issubclass(kind, errors.ChatctlError) and kind is not errors.ChatctlError]


def name_of(kind: type[errors.ChatctlError]) -> str:
    """The error's name as JSON shows it."""
    return kind.__new__(kind).code


def errors_page() -> str:
    """One section for each error."""
    return "\n".join(_errors_lines()) + "\n"


def _errors_lines() -> Iterator[str]:
    yield from ("# Errors", "", _GENERATED, "")
    yield "Every error has a name, which is `code` in JSON, and an [exit code](exit-codes.md)."
    for kind in error_classes():
        name = name_of(kind)
        code = exit_codes.exit_code_for(kind.__new__(kind))
        yield from ("", f"## {name.replace('_', '-')}", "")
        yield from (" ".join((kind.__doc__ or "").split()), "")
        yield f"`{name}`, exit {code}."
        if kind.default_hint:
            yield from ("", f"What to do: {kind.default_hint}")


def exit_codes_page() -> str:
    """The table of exit codes."""
    return "\n".join(_exit_codes_lines()) + "\n"


def _exit_codes_lines() -> Iterator[str]:
    yield from ("# Exit codes", "", _GENERATED, "")
    yield "| exit | meaning | `status` in JSON | outcome | errors |"
    yield "|---|---|---|---|---|"
    for code, meaning in exit_codes.MEANINGS.items():
        outcomes = ", ".join(f"`{outcome.value}`" for outcome in Outcome if exit_codes.OUTCOMES[outcome] == code)
        names = ", ".join(
            f"[{name_of(kind)}](errors.md#{name_of(kind).replace('_', '-')})"
            for kind in error_classes()
            if exit_codes.exit_code_for(kind.__new__(kind)) == code
        )
        yield f"| {code} | {meaning} | {exit_codes.status_for(code)} | {outcomes} | {names} |"


def doctor_page() -> str:
    """The doctor's checks, by family."""
    return "\n".join(_doctor_lines()) + "\n"


def _doctor_lines() -> Iterator[str]:
    yield from ("# The doctor's checks", "", _GENERATED, "")
    yield "`chatctl doctor` makes them all, `--for migrate` those that a migration needs, `--check NAME` one. Exit 9"
    yield "where one finds something; each finding says how it is mended. A check that has nothing to look at is"
    yield "skipped and says why."
    yield from ("", "| check | for | why |", "|---|---|---|")
    for check in CHECKS:
        yield f"| `{check.name}` | {', '.join(sorted(check.purposes))} | {check.reason} |"


def main() -> int:
    """Writes or checks the pages."""
    stale = [file for file, text in pages().items() if not file.exists() or file.read_text() != text]
    if "--check" in sys.argv[1:]:
        for file in stale:
            print(f"{file.relative_to(DOCS.parent)} is stale: python scripts/docs.py", file=sys.stderr)
        return 1 if stale else 0
    for file in stale:
        file.parent.mkdir(exist_ok=True)
        file.write_text(pages()[file])
    return 0


if __name__ == "__main__":
    sys.exit(main())
