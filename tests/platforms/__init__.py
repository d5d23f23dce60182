"""Tests of the platforms, each in a folder of its own."""
