"""Lint: what a schema change would do to an application in use, told from its SQL before anything runs.

`statements` finds the statements of a script, `parsing` reads MySQL's and MariaDB's DDL, `catalog` keeps the schema
that they meet, `rules` judge them, one file a rule. PostgreSQL's SQL is judged by squawk (`squawk`). `sources` says
where SQL comes from, `linting` is the command's service. Nothing here connects to a database by itself.
"""
