"""A migration's own record: who leads it, what must be so at its end, and what proved that it is."""
