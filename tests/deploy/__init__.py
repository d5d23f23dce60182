"""Tests of what is deployed: the zip of a function, and its template."""
