"""Everything that chatctl prints: data to stdout, messages and progress to stderr. The only place that prints."""
