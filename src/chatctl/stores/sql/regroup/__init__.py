"""The statements that turn flat messages into chats: set by set, in ranges of keys, each in the batch's transaction.

`scheme` says what the layout's columns mean to a regrouping, `worktables` what a run keeps beside the data, and the
other modules hold one kind of work each, as the batch runner drives it.
"""

from chatctl.stores.sql.regroup.scheme import Scheme
from chatctl.stores.sql.regroup.worktables import WorkTables

__all__ = ["Scheme", "WorkTables"]
