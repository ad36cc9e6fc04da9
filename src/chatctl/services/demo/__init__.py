"""A made-up legacy database of any size, and the whole journey on it."""
