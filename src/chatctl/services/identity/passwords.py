"""Passwords: Argon2id with OWASP's parameters, a few at a time."""

from __future__ import annotations

import threading
from functools import cached_property

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from chatctl.errors import UsageError

#: OWASP's Password Storage Cheat Sheet: Argon2id with 19 MiB, two passes, one lane.
_MEMORY_KIB, _PASSES, _LANES = 19_456, 2, 1
#: Hashes that are computed at once: each takes its memory.
_AT_ONCE = 4

SHORTEST = 8
#: Nobody types more; longer ones are somebody's attempt to keep the server busy.
LONGEST = 256


class Passwords:
    """Hashes and verifies. Safe for use by many threads."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher(_PASSES, _MEMORY_KIB, _LANES, type=Type.ID)
        self._turns = threading.BoundedSemaphore(_AT_ONCE)

    def hash(self, password: str) -> str:
        """The hash to keep. Raises UsageError for a password that is too short or too long."""
        if not SHORTEST <= len(password) <= LONGEST:
            raise UsageError(f"A password has {SHORTEST} to {LONGEST} characters.")
        with self._turns:
            return self._hasher.hash(password)

    def verify(self, hashed: str | None, password: str) -> bool:
        """Whether it is the password. Without a hash it is not, and finding out takes as long."""
        with self._turns:
            try:
                return self._hasher.verify(hashed or self._nobodys, password) and hashed is not None
            except (VerificationError, InvalidHashError):
                return False

    @cached_property
    def _nobodys(self) -> str:
        return self._hasher.hash("nobody has this password")
