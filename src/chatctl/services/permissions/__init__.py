"""Project permissions: asking, listing, auditing what is remembered of them."""
