"""The environment files of the five systems: what may stand in them, and the way from 1.x to 2.0 and back."""
