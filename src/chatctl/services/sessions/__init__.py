"""Sessions: creating, showing, naming, sharing and archiving them."""
