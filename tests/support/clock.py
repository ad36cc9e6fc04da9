"""A clock that tests set: what commands take for the time of day, while intervals are measured as they are.

libfaketime answers for the kernel in the processes that are started with `environment`.
"""

from __future__ import annotations

from pathlib import Path

from tests.support.servers import without

_LIBRARIES = ("*/faketime/libfaketime.so.1", "faketime/libfaketime.so.1")


class Clock:
    """A clock that is `ahead_seconds` ahead of the machine's, kept in `file`; skips where there is no libfaketime."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._library = _library()
        self.set_ahead(0)

    @property
    def environment(self) -> dict[str, str]:
        """What a process has to be started with."""
        return {
            "LD_PRELOAD": self._library,
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            # Else the times of files would be moved, too, and back.
            "NO_FAKE_STAT": "1",
        }

    def set_ahead(self, seconds: float) -> None:
        """Lets the clock jump, for processes that run as well; `seconds` may be negative."""
        draft = self._file.with_suffix(".draft")
        draft.write_text(f"{seconds:+.3f}")
        draft.replace(self._file)


def _library() -> str:
    for pattern in _LIBRARIES:
        for found in Path("/usr/lib").glob(pattern):
            return str(found)
    without("libfaketime", "it isn't installed")
