"""A disk that is soon full: a small file system in memory."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class SmallDisk:
    """A file system of its own that is mounted on `folder`."""

    folder: Path

    @property
    def free_bytes(self) -> int:
        """The room that is left."""
        free = os.statvfs(self.folder)
        return free.f_bavail * free.f_frsize

    @contextmanager
    def filled(self, but_bytes: int = 0) -> Iterator[None]:
        """Fills it but for so many bytes, for a while."""
        ballast = self.folder / "ballast"
        ballast.write_bytes(b"\0" * (self.free_bytes - but_bytes))
        try:
            yield
        finally:
            ballast.unlink()

    def grow(self, size: str) -> None:
        """Lets it have that size, as tmpfs writes it: `8m`."""
        subprocess.run(["mount", "-o", f"remount,size={size}", self.folder], check=True)


@contextmanager
def small_disk(folder: Path, size: str, *options: str) -> Iterator[SmallDisk]:
    """A disk of that size, as tmpfs writes it (`600k`); skips where this account may not mount one."""
    folder.mkdir(exist_ok=True)
    asked = ",".join([f"size={size}", *options])
    if subprocess.run(["mount", "-t", "tmpfs", "-o", asked, "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("no small file system can be mounted here")
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "-l", folder], check=True)
