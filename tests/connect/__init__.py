"""Tests of what programs are told to set, and of the check that it works."""
