"""Stores: where files are kept, whole or not at all, under names that are never reused.

Knows names and bytes; must not know Parquet, batches or who asks.
"""

from otlp2parquet.stores.local import LocalStore
from otlp2parquet.stores.protocol import UPLOAD_BYTES, Store, StoredObject, replace, writing

__all__ = ["UPLOAD_BYTES", "LocalStore", "Store", "StoredObject", "replace", "writing"]
