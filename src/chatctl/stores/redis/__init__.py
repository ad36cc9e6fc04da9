"""Redis: one client factory, the logical databases, counters, sessions and the permission cache."""
