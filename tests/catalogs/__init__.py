"""Tests of receipts, the committer, Iceberg tables and catalogs."""
