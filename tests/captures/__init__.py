"""Captures: what is found, and what is read of it."""
