"""`permissions check`: may this user enter this project? When in doubt, no.

The cache answers only yes, and only with what the database itself said less than the cache's time ago. A denial,
an unknown project and a failure are never remembered, nor is a grant that was asked for by another spelling of the
project's ID than the database's own.
"""

from __future__ import annotations

from chatctl.domain.permissions import Decision, GrantCache, PermissionSource, RememberedGrant, Rule, Step
from chatctl.domain.result import Notice, Outcome, Result
from chatctl.errors import ChatctlError, NotFoundError


class Prober:
    """Decides about users and projects, by `source` and what `cache` remembers (None: ask every time)."""

    def __init__(self, source: PermissionSource, cache: GrantCache | None) -> None:
        self._source = source
        self._cache = cache
        #: What kept the cache from being used. A broken cache makes probes slower, never wrong.
        self.warnings: list[Notice] = []

    def decide(self, user: str, project: str) -> Decision:
        """The decision; raises NotFoundError for an unknown project, PermissionSourceError where nobody answers."""
        closed = self._source.why_closed
        if closed is not None:
            steps = (Step("credentials", closed),)
            return Decision(user, project, False, Rule.NO_CREDENTIALS, f"{closed} Nobody is let in.", steps=steps)
        grant, cache_step = self._remembered(user, project)
        if grant is not None:
            age = f"{grant.age_seconds:.0f} seconds"
            reason = f"The database allowed it {age} ago."
            return Decision(
                user, project, True, Rule.CACHED_GRANT, reason, grant.project_name, grant.age_seconds, (cache_step,)
            )
        return self._ask(user, project, cache_step)

    def _ask(self, user: str, project: str, cache_step: Step) -> Decision:
        found = self._source.project(project)
        if found is None:
            raise NotFoundError(
                f"Project ID {project} not found in database", hint="chatctl permissions list --user USER"
            )
        steps = [cache_step, Step("project", f"found: {found.name or found.id}")]
        if not self._source.has_grant(user, project):
            steps.append(Step("grant", "no row"))
            reason = f"Access denied for project {project}"
            return Decision(user, found.id, False, Rule.NO_GRANT_ROW, reason, found.name, steps=tuple(steps))
        steps.append(Step("grant", "a row"))
        if found.id == project:
            self._remember(user, project, found.name)
        reason = "The permission database holds a grant."
        return Decision(user, found.id, True, Rule.GRANT_ROW, reason, found.name, steps=tuple(steps))

    def _remembered(self, user: str, project: str) -> tuple[RememberedGrant | None, Step]:
        if self._cache is None:
            return None, Step("cache", "not asked")
        try:
            grant = self._cache.get(user, project)
        except ChatctlError as problem:
            self.warnings.append(Notice.of(problem))
            return None, Step("cache", f"unusable: {problem.message}")
        if grant is None:
            return None, Step("cache", "no usable grant")
        return grant, Step("cache", f"granted, {grant.age_seconds:.0f} s old of {self._cache.ttl_seconds} s")

    def _remember(self, user: str, project: str, name: str | None) -> None:
        if self._cache is None:
            return
        try:
            self._cache.put(user, project, name)
        except ChatctlError as problem:
            self.warnings.append(Notice.of(problem))


def check(prober: Prober, user: str, project: str, *, explain: bool) -> Result:
    """May `user` enter `project`? Denied is an outcome; an unknown project and a silent database are errors."""
    decision = prober.decide(user, project)
    data = {
        "allowed": decision.allowed,
        "user": user,
        "project": project,
        "project_name": decision.project_name,
        "reason": decision.reason,
        "source": decision.source,
        "explain": _explanation(decision) if explain else [],
    }
    outcome = Outcome.DONE if decision.allowed else Outcome.DENIED
    return Result(data, outcome, warnings=tuple(prober.warnings))


def _explanation(decision: Decision) -> list[dict[str, str]]:
    steps = [{"step": step.step, "outcome": step.outcome} for step in decision.steps]
    return [*steps, {"step": "rule", "outcome": decision.rule.value}]
