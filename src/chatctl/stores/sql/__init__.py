"""SQL: engine, dialects, layout tables, journal, locks, batches, revisions."""
