"""Another host: a network namespace of its own on this machine, with a link that can be cut and healed.

Needs root and iproute2; where a namespace can't be made, HostUnavailableError says why.
"""

from __future__ import annotations

import itertools
import os
import subprocess
from typing import Self

_NUMBERS = itertools.count(1)


class HostUnavailableError(Exception):
    """This machine lets nobody make another host."""


class Host:
    """One host; a context manager. It reaches this machine at `here`, and nothing else."""

    def __init__(self) -> None:
        # Interface names have room for fifteen characters.
        mark = f"{os.getpid() % 100_000}{next(_NUMBERS)}"
        self._name, self._link, inner = f"chatctl{mark}", f"ctl{mark}a", f"ctl{mark}b"
        net = f"10.{os.getpid() % 250}.{next(_NUMBERS) % 250}"
        self.here, address = f"{net}.1", f"{net}.2"
        try:
            _ip("netns", "add", self._name)
        except (OSError, subprocess.CalledProcessError) as problem:
            raise HostUnavailableError(str(problem)) from problem
        try:
            _ip("link", "add", self._link, "type", "veth", "peer", "name", inner, "netns", self._name)
            _ip("address", "add", f"{self.here}/30", "dev", self._link)
            _ip("link", "set", self._link, "up")
            _ip("-n", self._name, "address", "add", f"{address}/30", "dev", inner)
            _ip("-n", self._name, "link", "set", inner, "up")
        except (OSError, subprocess.CalledProcessError) as problem:
            self.close()
            raise HostUnavailableError(str(problem)) from problem

    def command(self, *words: str) -> list[str]:
        """The command line that runs `words` over there, under a host name of its own."""
        inside = 'hostname "$0" && exec "$@"'
        return ["ip", "netns", "exec", self._name, "unshare", "--uts", "sh", "-c", inside, self._name, *words]

    def cut(self) -> None:
        """Takes the link away: nothing is told to either side."""
        _ip("link", "set", self._link, "down")

    def heal(self) -> None:
        """Gives the link back."""
        _ip("link", "set", self._link, "up")

    def close(self) -> None:
        """Takes the host away, and the link with it."""
        _ip("netns", "delete", self._name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)
