"""Stores: where files are kept, whole or not at all, under names that are never reused.

Knows names and bytes; must not know Parquet, batches or who asks.
"""
