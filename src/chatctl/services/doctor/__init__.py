"""The doctor: named checks of everything around the data, each with its reason, its finding and its mend."""
