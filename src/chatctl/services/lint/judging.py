"""Judges statements by the rules, one after the other, over the schema that they meet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from chatctl.services.lint import squawk
from chatctl.services.lint.catalog import Catalog
from chatctl.services.lint.change import Change, Complaint, InUse
from chatctl.services.lint.ddl import AlterTable, CreateTable, Ddl, SetVariables
from chatctl.services.lint.engines import MARIADB, MYSQL, OnlineDdl
from chatctl.services.lint.findings import Finding, Harm
from chatctl.services.lint.parsing import parse
from chatctl.services.lint.rules import RULES
from chatctl.services.lint.rules.base import Rule
from chatctl.services.lint.rules.refused_algorithm import forbidden
from chatctl.services.lint.squawk import RULES as SQUAWK_RULES
from chatctl.services.lint.squawk import Violation
from chatctl.services.lint.statements import SourceStatement, statements

_ONLINE_DDL: dict[str, OnlineDdl] = {"mariadb": MARIADB, "mysql": MYSQL}
#: The engines that there are rules for.
ENGINES = ("sqlite", "mariadb", "mysql", "postgresql")
#: Engines whose statements another linter reads, too.
_CONSULTED: dict[str, Callable[[Sequence[SourceStatement]], list[list[Violation]]]] = {"postgresql": squawk.violations}


def nobody_knows(table: str, column: str | None) -> bool | None:
    """What is in use where no layout says it."""
    return None


class Judge:
    """Judges the statements for one engine in their order.

    `engine` is a dialect's name. The tables that the statements make themselves are empty and in nobody's use, so
    nothing that is done to them is found fault with.
    """

    def __init__(self, engine: str) -> None:
        self._online_ddl = _ONLINE_DDL.get(engine)
        self._consulted = _CONSULTED.get(engine)
        self._rules = [rule for rule in RULES if engine in rule.engines]
        self._catalog = Catalog()
        self._session: dict[str, str] = {}
        self._rewritten: dict[str, str] = {}

    @property
    def backslash_escapes(self) -> bool:
        """Whether the engine's strings know backslashes."""
        return self._online_ddl is not None

    def know(self, schema: str) -> None:
        """Takes a script of the schema that is there before the first statement."""
        for statement in statements(schema, "", backslash_escapes=self.backslash_escapes):
            self._catalog.know(parse(statement.tokens))

    def settle(self) -> None:
        """Takes it that what was judged so far is done: its tables have rows and users from now on."""
        self._catalog.settle()
        self._rewritten.clear()
        self._session.clear()

    def judge_all(self, sources: Sequence[SourceStatement], in_use: InUse = nobody_knows) -> list[Finding]:
        """What is found in statements that run one after the other, while `in_use` is.

        Raises MissingExtraError where another program is needed for it and isn't installed.
        """
        said = self._consulted(sources) if self._consulted else [[] for _ in sources]
        return [
            finding
            for source, items in zip(sources, said, strict=True)
            for finding in self.judge(source, items, in_use)
        ]

    def judge(
        self, source: SourceStatement, violations: Sequence[Violation] = (), in_use: InUse = nobody_knows
    ) -> list[Finding]:
        """What is found in a statement that comes after those that were judged before.

        `violations` is what the engine's own linter said of it.
        """
        statement = parse(source.tokens)
        if statement is None:
            found = [_translated(item, source.where, SQUAWK_RULES[item.rule].harms) for item in violations]
            return [finding for finding in found if finding.rule not in source.allowed]
        change = Change(statement, self._catalog, self._online_ddl, self._session, in_use)
        findings = [] if self._is_new(statement) else self._judged(change, source, violations)
        if isinstance(statement, SetVariables):
            self._session.update(statement.values)
        self._catalog.apply(statement)
        return findings

    def _is_new(self, statement: Ddl) -> bool:
        table = self._catalog.get(statement.table) if isinstance(statement, AlterTable) else None
        return table is not None and table.is_new

    def _judged(self, change: Change, source: SourceStatement, violations: Sequence[Violation]) -> list[Finding]:
        table = _table_of(change.statement)
        found = self._complaints(change, last=False)
        complaints = tuple(complaint for _, complaint in found)
        change = replace(change, complaints=complaints, rewritten_at=self._rewritten.get(table))
        refused = forbidden(change)
        kept = [(rule, complaint) for rule, complaint in found if not complaint.harms & refused]
        if any(Harm.REWRITES in complaint.harms for _, complaint in kept):
            self._rewritten.setdefault(table, source.where)
        kept += self._complaints(change, last=True)
        findings = [_finding(rule, complaint, source.where) for rule, complaint in kept]
        findings += [
            _translated(item, source.where, SQUAWK_RULES[item.rule].harms_of(change))
            for item in violations
            if not SQUAWK_RULES[item.rule].dismissed(change)
        ]
        return [finding for finding in findings if finding.rule not in source.allowed]

    def _complaints(self, change: Change, *, last: bool) -> list[tuple[Rule, Complaint]]:
        rules: Iterable[Rule] = (rule for rule in self._rules if rule.last is last)
        return [(rule, complaint) for rule in rules for complaint in rule.check(change)]


def _table_of(statement: Ddl) -> str:
    return statement.table if isinstance(statement, AlterTable | CreateTable) else ""


def _finding(rule: Rule, complaint: Complaint, where: str) -> Finding:
    return Finding(
        rule.name,
        complaint.severity or rule.severity,
        where,
        complaint.message,
        complaint.hint or rule.hint,
        rule.remedy,
        complaint.harms,
    )


def _translated(violation: Violation, where: str, harms: frozenset[Harm]) -> Finding:
    severity = SQUAWK_RULES[violation.rule].severity
    return Finding(violation.rule, severity, where, violation.message, violation.help, violation.help, harms)
