"""URIs of objects as Iceberg's readers have them, and the way back to a store."""

from __future__ import annotations

import pytest

from otlp2parquet.stores.location import object_uri, root_of


@pytest.mark.parametrize(
    ("root", "uri"),
    [
        ("/srv/my data", "file:///srv/my data/a/b.parquet"),
        ("C:\\data", "file:///C:/data/a/b.parquet"),
        ("s3://bucket/prefix?endpoint=http://127.0.0.1:9", "s3://bucket/prefix/a/b.parquet"),
        ("s3://bucket", "s3://bucket/a/b.parquet"),
        ("r2://bucket/p?account=0123", "s3://bucket/p/a/b.parquet"),
        ("gs://bucket/p", "gs://bucket/p/a/b.parquet"),
        ("az://files/p?account=me", "abfss://files@me.dfs.core.windows.net/p/a/b.parquet"),
        ("memory://x/", "memory://x/a/b.parquet"),
    ],
)
def test_the_uri_of_an_object(root: str, uri: str) -> None:
    """No endpoint, account id or region is in it, and nothing is escaped."""
    assert object_uri(root, "a/b.parquet") == uri


@pytest.mark.parametrize(
    ("uri", "root"),
    [
        ("file:///srv/my data/t", "/srv/my data/t"),
        ("/srv/t", "/srv/t"),
        ("s3://bucket/t", "s3://bucket/t"),
        ("s3a://bucket/t", "s3://bucket/t"),
        ("gs://bucket/t", "gs://bucket/t"),
        ("abfss://files@me.dfs.core.windows.net/t", "az://files/t?account=me"),
        ("memory://x/t", "memory://x/t"),
    ],
)
def test_the_store_of_a_folder(uri: str, root: str) -> None:
    """A table's location is opened by it, and its files get the table's own URIs again."""
    assert root_of(uri) == root
    if uri.partition("://")[0] not in ("s3a", "/srv/t"):
        assert object_uri(root_of(uri), "f") == f"{uri}/f"
