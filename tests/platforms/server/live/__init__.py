"""Tests of what shows what is being received."""
