"""Tests of the configuration: where values come from, and what is refused."""
