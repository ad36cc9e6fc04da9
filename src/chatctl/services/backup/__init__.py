"""Backups of SQL and Redis as one: taken at one point, verified, drilled, restored, pruned."""
