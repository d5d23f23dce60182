"""Tests of what is printed of telemetry."""
