"""Layouts: what a chat system's tables, columns, timestamps, IDs and Redis keys are called."""

from chatctl.layouts.loader import builtin_names, load_layout
from chatctl.layouts.model import Column, ColumnType, Entity, Index, Kind, Layout, Phase
from chatctl.layouts.rules import Purge, RedisKey, Regroup, State

__all__ = [
    "Column", "ColumnType", "Entity", "Index", "Kind", "Layout", "Phase", "Purge", "RedisKey", "Regroup", "State",
    "builtin_names", "load_layout",
]  # fmt: skip
