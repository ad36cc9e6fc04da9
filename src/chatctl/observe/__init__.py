"""What others watch a run by: logs, signals, later metrics and pings. Masks every secret it passes on."""
