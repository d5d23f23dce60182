"""Tests of the log: its bytes, its groups, its folder, and the room that it has."""
