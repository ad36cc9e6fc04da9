"""The only I/O: SQL servers, Redis, the permission source, backup storage."""
