"""Dump drivers: each engine's own tool, driven. A driver takes a consistent copy, puts one back, and compares."""

from chatctl.stores.sql.dumps.base import Dumped, Dumper, DumpOptions, dumper_for

__all__ = ["DumpOptions", "Dumped", "Dumper", "dumper_for"]
