"""Schema migration: recognise, plan, apply, take back, check.

`target` says what is migrated; `recognition` tells a database's state; `planning` makes plans without changing
anything; `execution` applies them. The other modules are the commands' services.
"""
