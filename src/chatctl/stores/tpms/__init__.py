"""The permission source: which projects there are and who may enter them. Only ever read."""
