"""Catalogs: files that are stored become snapshots of Iceberg tables.

Knows receipts of stored files, Iceberg tables and catalogs. Must not know batches, logs or
requests: a catalog that is down is nobody's concern but this part's. pyiceberg is imported only
where a catalog is configured.
"""
