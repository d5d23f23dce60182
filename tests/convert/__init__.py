"""Tests of ``convert``: captures become files, and what is bad in them is named."""
