"""Rows that the embedded API reads and writes, each by the names of a layout. One file per system."""
