"""Tests of the server: its application without a socket, then the process."""
