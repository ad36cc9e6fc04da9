"""The embedded API, a peer of the CLI: it parses, calls a service and answers. No SQL, no Redis.

One router per system.
"""
