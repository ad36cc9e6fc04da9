"""Reads what a program writes to a pseudo-terminal."""

from __future__ import annotations

import os
import select
import time

TIMEOUT_SECONDS = 120.0


def read_until(descriptor: int, text: str) -> str:
    """What arrives at `descriptor` up to `text`, or up to the time limit."""
    seen = ""
    until = time.monotonic() + TIMEOUT_SECONDS
    while text not in seen and time.monotonic() < until:
        if select.select([descriptor], [], [], 0.5)[0]:
            seen += os.read(descriptor, 4096).decode(errors="replace")
    return seen


def read_to_end(descriptor: int) -> str:
    """What arrives at `descriptor` until the last program that writes to it has ended."""
    seen = b""
    while True:
        try:
            piece = os.read(descriptor, 4096)
        except OSError:  # how Linux says that the other end is closed
            piece = b""
        if not piece:
            return seen.decode(errors="replace")
        seen += piece
