"""Who calls the API: accounts, passwords and tokens."""
