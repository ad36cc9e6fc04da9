"""Session counters: counting without ever repeating a number, checking, repairing, watching them grow."""
