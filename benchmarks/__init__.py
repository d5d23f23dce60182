"""Measurements: always beside another program, on the same payload, in the same run."""
