"""Purge in SQL: what may go, what is held, how it is archived, deleted and brought back.

Deleting the wrong row is the one mistake that can't be mended here. So each batch locks what it is about to delete,
looks again whether all of it may still go, makes its archive durable, and only then deletes, in one transaction.
"""
