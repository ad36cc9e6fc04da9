"""What the linter finds in the statements of a plan, each with the statement that it is about."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace

from chatctl.domain.result import Notice
from chatctl.errors import MissingExtraError
from chatctl.services.lint.allowing import Allowances
from chatctl.services.lint.findings import Finding
from chatctl.services.lint.judging import ENGINES, Judge
from chatctl.services.lint.linting import in_use_by
from chatctl.services.lint.live_schema import live_schema
from chatctl.services.lint.statements import SourceStatement, statements
from chatctl.services.migrate.planning import MigrationPlan, PlannedRevision, PlannedStatement
from chatctl.services.migrate.target import MigrationTarget

_BEGIN, _COMMIT = "BEGIN", "COMMIT"
_MARKS = re.compile(r"%\(\w+\)s|%s|\?")


def judged(target: MigrationTarget, plan: MigrationPlan) -> MigrationPlan:
    """The plan with its findings; without them, and a warning, where the linter lacks what it needs.

    The way back is left alone: what it takes away was asked for by name.
    """
    engine = target.database.dialect.name
    if plan.options.direction == "down" or engine not in ENGINES or not plan.steps:
        return plan
    judge = Judge(engine)
    if target.database.exists:
        judge.know(live_schema(target.database))
    try:
        steps = tuple(_judged(target, judge, step) for step in plan.steps)
    except MissingExtraError as problem:
        notice = Notice("not_linted", f"The statements were not linted: {problem.message}", problem.hint)
        return replace(plan, warnings=(*plan.warnings, notice))
    return replace(plan, steps=steps)


def _judged(target: MigrationTarget, judge: Judge, step: PlannedRevision) -> PlannedRevision:
    in_use = in_use_by(None if target.connects_itself else target.layout, step.revision.phase)
    found: dict[str, list[Finding]] = defaultdict(list)
    for finding in judge.judge_all(list(_sources(step, judge)), in_use):
        found[finding.where].append(finding)
    return replace(
        step,
        statements=tuple(
            replace(item, findings=tuple(found[str(place)])) for place, item in enumerate(step.statements)
        ),
    )


def _sources(step: PlannedRevision, judge: Judge) -> Iterator[SourceStatement]:
    """The statements as a script has them, with their place in the plan, and the transactions around them."""
    allowances = Allowances(step.revision.source_text)
    yield from _control(_BEGIN)
    for place, item in enumerate(step.statements):
        allowed = allowances.at(item.line) if item.line is not None else frozenset[str]()
        own = [
            replace(source, where=str(place), allowed=source.allowed | allowed)
            for source in statements(_plain(item), "", backslash_escapes=judge.backslash_escapes)
        ]
        yield from ([*_control(_COMMIT), *own, *_control(_BEGIN)] if item.commits_by_itself else own)
    yield from _control(_COMMIT)


def _plain(item: PlannedStatement) -> str:
    """Without the driver's marks where values go, which are no SQL."""
    return item.sql if item.statement.parameters is None else _MARKS.sub("NULL", item.sql)


def _control(sql: str) -> Sequence[SourceStatement]:
    return list(statements(sql, "", backslash_escapes=False))
