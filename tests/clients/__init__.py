"""Tests with programs of other houses on the other side; they are made in components."""
