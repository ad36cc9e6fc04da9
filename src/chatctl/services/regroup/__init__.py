"""Flat messages into chats: plan, run, verify, undo, seal.

What is done to rows is in `chatctl.stores.sql.regroup`; here is when, in which order, and what is said about it.
"""
