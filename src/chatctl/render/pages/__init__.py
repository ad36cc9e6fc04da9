"""Answers as pages for a browser: one file each, no script, nothing fetched, readable on a phone and on paper."""
