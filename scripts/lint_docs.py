"""Makes the pages of docs/lint from the rules: an index, and a page for each rule."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from chatctl.services.lint import squawk
from chatctl.services.lint.rules import RULES
from chatctl.services.lint.rules.base import Rule

#: The chain's rules, which look at files and not at SQL.
CHAIN = {
    "chain-missing-parent": "A revision follows one that no file declares, or depends on one.",
    "chain-branch": "Several revisions follow the same one, and nothing merges them or labels them as branches.",
    "chain-several-heads": "There are several heads that don't come from one parent, and no branch labels.",
    "chain-cycle": "Revisions follow each other in a circle.",
    "chain-repeated-id": "Several files call themselves by the same ID.",
    "chain-unreadable": "A file is no Python, names no revision, or computes its ID.",
}


def lint_pages(folder: Path, generated: str) -> dict[Path, str]:
    """Each page's file and text; `generated` is the note that it is written by a program."""
    made = {folder / f"{rule.name}.md": "\n".join(_page(rule, generated)) + "\n" for rule in RULES}
    return {**made, folder / "rules.md": "\n".join(_index(generated)) + "\n"}


def _page(rule: Rule, generated: str) -> Iterator[str]:
    yield from (f"# {rule.name}", "", generated, "", f"{rule.title}.", "")
    yield from (
        f"{rule.severity.value.capitalize()} on {', '.join(rule.engines)}.",
        "",
        "## Problem",
        "",
        rule.problem,
        "",
    )
    yield from ("## What to do", "", rule.remedy, "", "Instead of", "")
    yield from ("```sql", rule.bad, "```", "", "write", "", "```sql", rule.good, "```")


def _index(generated: str) -> Iterator[str]:
    yield from ("# The linter's rules", "", generated, "")
    yield "How to call it is on [the linter's page](../lint.md). An error exits 9; a warning does with `--strict`."
    yield from ("", "| rule | severity | engines | what |", "|---|---|---|---|")
    for rule in RULES:
        yield f"| [{rule.name}]({rule.name}.md) | {rule.severity.value} | {', '.join(rule.engines)} | {rule.title}. |"
    yield "| unknown-rule | warning | all | An allowance names no rule. |"
    yield from ("", "## The chain of revisions", "", "Errors, told before anything is read further.", "")
    yield from ("| rule | what |", "|---|---|")
    yield from (f"| {name} | {what} |" for name, what in CHAIN.items())
    yield from ("", "## PostgreSQL, by squawk", "")
    yield "With the extra `lint`. squawk's own documentation explains each; what it harms here was seen on a server."
    yield from ("", "| rule | severity | harm |", "|---|---|---|")
    for name, rule in squawk.RULES.items():
        harms = ", ".join(sorted(harm.value for harm in rule.harms)) or "–"
        yield f"| {name} | {rule.severity.value} | {harms} |"
