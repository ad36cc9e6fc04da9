"""`smoke`: the guides' own test scripts, against any server that speaks their protocols."""
