"""Tests of the batches: what closes them, what the log keeps, what replay brings back."""
