"""The one table from outcomes and errors to exit codes (the command contract's table)."""

from __future__ import annotations

from chatctl import errors
from chatctl.domain.result import Outcome

DONE = 0
UNEXPECTED = 1
USAGE = 2
STOPPED_EARLY = 12
INTERRUPTED = 130

#: After these the same command goes on where it stopped.
RESUMABLE = (STOPPED_EARLY, INTERRUPTED)

OUTCOMES: dict[Outcome, int] = {
    Outcome.DONE: DONE,
    Outcome.PARTIAL: 3,
    Outcome.PENDING: 7,
    Outcome.DENIED: 8,
    Outcome.FINDINGS: 9,
    Outcome.STOPPED_EARLY: STOPPED_EARLY,
    Outcome.INTERRUPTED: INTERRUPTED,
}

#: The nearest class in an error's family decides.
ERRORS: dict[type[BaseException], int] = {
    errors.UsageError: USAGE,
    errors.ConfigurationError: 4,
    errors.CannotConnectError: 5,
    errors.LockedError: 6,
    errors.AccessRefusedError: 8,
    errors.IntegrityError: 9,
    errors.StalePlanError: 10,
    errors.NotFoundError: 11,
    errors.StoppedEarlyError: STOPPED_EARLY,
    errors.RefusedError: 13,
    errors.InterruptedRunError: INTERRUPTED,
    KeyboardInterrupt: INTERRUPTED,
    errors.ChatctlError: UNEXPECTED,
    BaseException: UNEXPECTED,
}

#: What each code tells a script.
MEANINGS: dict[int, str] = {
    DONE: "Done, or nothing to do.",
    UNEXPECTED: "An unexpected error.",
    USAGE: "The command line can't be used, or consent is missing.",
    3: "Partial: some of the work is done, some failed.",
    4: "Something is wrong with the configuration or the layout, or a table, a column or an extra is missing.",
    5: "A server can't be reached.",
    6: "Locked by another run, or unfinished in one.",
    7: "Changes are pending.",
    8: "Denied: the answer is no.",
    9: "Findings: a lint, a check or a verification found something.",
    10: "The plan is stale.",
    11: "Not found.",
    STOPPED_EARLY: "Stopped early by a time window, a time limit or a throttle; the same command goes on.",
    13: "Refused: no privilege, read-only, or no space left.",
    INTERRUPTED: "Interrupted; the same command goes on.",
}

#: `status` in JSON, by exit code; every other code is an error.
STATUS: dict[int, str] = {
    **dict.fromkeys((0, 7, 8, 9), "success"),
    **dict.fromkeys((3, STOPPED_EARLY, INTERRUPTED), "partial"),
}


def exit_code_for(error: BaseException) -> int:
    """The exit code of `error`, by the nearest class of its family in `ERRORS`."""
    return next(ERRORS[kind] for kind in type(error).__mro__ if kind in ERRORS)


def status_for(exit_code: int) -> str:
    """`success`, `partial` or `error`, as the JSON envelope says it."""
    return STATUS.get(exit_code, "error")
