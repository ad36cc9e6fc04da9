"""The Typer CLI: parse, call a service, render. No SQL, no Redis, no printing of its own."""
