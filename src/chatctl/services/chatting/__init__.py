"""What the five systems' endpoints do, without HTTP. One file per system."""
