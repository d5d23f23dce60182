"""Metadata by our own stores: what pyiceberg expects of a ``FileIO``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pyiceberg.io import load_file_io

from otlp2parquet.catalogs import file_io
from otlp2parquet.catalogs.connection import connection_of
from otlp2parquet.catalogs.file_io import StoreFileIO, properties_for
from otlp2parquet.config import load
from tests.support.memory_store import MemoryStore

if TYPE_CHECKING:
    from pathlib import Path

PLACE = "abfss://lake@account.dfs.core.windows.net"
FILE = f"{PLACE}/logs/metadata/00001.metadata.json"


@pytest.fixture
def stores(monkeypatch: pytest.MonkeyPatch) -> dict[str, MemoryStore]:
    """The stores that were opened, by root."""
    opened: dict[str, MemoryStore] = {}
    monkeypatch.setattr(
        file_io, "store_at", lambda _config, root: opened.setdefault(root, MemoryStore())
    )
    return opened


@pytest.fixture
def files(tmp_path: Path, stores: dict[str, MemoryStore]) -> StoreFileIO:
    """As pyiceberg makes it for a table in Azure."""
    assert stores == {}
    environ = {
        "OTLP2PARQUET_STORAGE_BACKEND": "azure",
        "OTLP2PARQUET_STORAGE_AZURE_CONTAINER": "lake",
        "OTLP2PARQUET_STORAGE_AZURE_ACCOUNT_NAME": "account",
        "OTLP2PARQUET_CATALOG_TYPE": "sql",
        "OTLP2PARQUET_CATALOG_URI": "sqlite:///:memory:",
        # So that stores of an earlier test are not these.
        "OTLP2PARQUET_STORAGE_AZURE_PREFIX": tmp_path.name,
    }
    properties = dict(connection_of(load(environ=environ).config).properties)
    made = load_file_io(properties, FILE)
    assert isinstance(made, StoreFileIO)
    return made


def test_a_file_is_whole_when_it_is_closed(
    files: StoreFileIO, stores: dict[str, MemoryStore]
) -> None:
    """In the store of its container, below the name that it has there."""
    output = files.new_output(FILE)
    assert not output.exists()
    with output.create() as stream:
        stream.write(b"half")
        assert not output.exists()
        stream.write(b" and half")
    (root,) = stores
    assert root == "az://lake?account=account"
    assert stores[root].objects == {"logs/metadata/00001.metadata.json": b"half and half"}
    assert len(output) == 13
    with output.to_input_file().open() as source:
        assert source.read() == b"half and half"


def test_what_fails_leaves_nothing(files: StoreFileIO) -> None:
    """A stream that was not closed in peace is no file."""
    output = files.new_output(FILE)
    stream = output.create()
    stream.write(b"half")
    stream.__exit__(ZeroDivisionError, ZeroDivisionError(), None)
    assert not output.exists()


def test_names_are_taken_once(files: StoreFileIO) -> None:
    """Unless it was said that they may be taken again."""
    output = files.new_output(FILE)
    first, second = output.create(), output.create()
    first.write(b"first")
    first.close()
    second.write(b"second")
    with pytest.raises(FileExistsError):
        second.close()
    with pytest.raises(FileExistsError):
        output.create()
    with output.create(overwrite=True) as stream:
        stream.write(b"third")
    with files.new_input(FILE).open() as source:
        assert source.read() == b"third"


def test_files_are_removed(files: StoreFileIO) -> None:
    """By name, or as what pyiceberg calls them; twice is no error."""
    for way in (FILE, files.new_input(FILE), files.new_output(FILE)):
        with files.new_output(FILE).create() as stream:
            stream.write(b"x")
        files.delete(way)
        assert not files.new_input(FILE).exists()
    files.delete(FILE)
    with pytest.raises(FileNotFoundError):
        files.new_input(FILE).open()


def test_other_settings_are_other_stores(stores: dict[str, MemoryStore]) -> None:
    """A key that was changed is used from then on."""
    made = []
    for key in ("a2V5", "bmV3"):
        environ = {
            "OTLP2PARQUET_STORAGE_BACKEND": "azure",
            "OTLP2PARQUET_STORAGE_AZURE_CONTAINER": "changed",
            "OTLP2PARQUET_STORAGE_AZURE_ACCOUNT_NAME": "account",
            "OTLP2PARQUET_STORAGE_AZURE_ACCOUNT_KEY": key,
        }
        properties = properties_for(load(environ=environ).config.storage)
        StoreFileIO(properties).new_input(FILE)
        made.append(stores.pop("az://lake?account=account"))
    assert made[0] is not made[1]
