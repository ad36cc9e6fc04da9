"""Import and export: rows out of files, and files out of rows."""
