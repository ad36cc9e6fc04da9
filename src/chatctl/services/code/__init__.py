"""The renames of 2.0 in source code: found by syntax, rewritten where nothing is left to judge."""
