"""Tests of the writers: what is in a file, and that it is there whole or not at all."""
