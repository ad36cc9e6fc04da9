"""The journal beside the data: runs, ranges, batches, statements, recorded schemas and locks.

Everything lives in tables prefixed `chatctl_`, in the application's database or in a schema of their own. Times
are epoch milliseconds, UTC.
"""

from chatctl.stores.sql.journal.journal import Journal
from chatctl.stores.sql.journal.runs import Run, RunStatus

__all__ = ["Journal", "Run", "RunStatus"]
