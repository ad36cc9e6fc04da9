"""Work in batches: the one mechanism under import, regroup, purge and archive.

A run has ranges; a range has a position. A batch does a piece of work, moves the position and notes itself in the
journal, all in one transaction: a kill leaves either all of it or nothing.
"""

from chatctl.stores.sql.batches.pace import Pace
from chatctl.stores.sql.batches.runner import BatchRunner, RunTotals
from chatctl.stores.sql.batches.work import BatchOutcome, Work

__all__ = ["BatchOutcome", "BatchRunner", "Pace", "RunTotals", "Work"]
