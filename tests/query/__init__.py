"""Tests of questions in SQL: views, what is run, what answers look like."""
