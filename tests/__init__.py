"""The tests, in the order of the package; the real programs they talk to are in components."""
