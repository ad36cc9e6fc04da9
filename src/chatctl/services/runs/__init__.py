"""The journal's runs, of every kind: looking at them, holding them up, ending them."""
