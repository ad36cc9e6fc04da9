"""The endpoints, one file per system."""
