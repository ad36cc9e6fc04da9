"""Purge: what retention lets go, archived first, deleted gently, and brought back if need be."""
