"""Tests of the commands and of the pages that they print."""
