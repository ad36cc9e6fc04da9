"""One file per engine, behind one interface. Only here is a dialect's name ever compared."""

from chatctl.stores.sql.dialects.base import READS_ONLY, Dialect, TableSize
from chatctl.stores.sql.dialects.registry import dialect_for, normalise_url, title_of

__all__ = ["READS_ONLY", "Dialect", "TableSize", "dialect_for", "normalise_url", "title_of"]
