"""What chatctl can do, one capability per module or folder. Services take stores, return Results, print nothing."""
