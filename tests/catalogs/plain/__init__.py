"""Tests of the commit in plain Python."""
