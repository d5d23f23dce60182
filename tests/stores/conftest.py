"""The stores that keep what every store promises: see ``test_contract``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from otlp2parquet.stores import LocalStore
from tests.support.stores import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from otlp2parquet.stores import Store


def local(tmp_path: Path) -> Store:
    """A folder that is not there yet."""
    return LocalStore(tmp_path / "root")


def memory(tmp_path: Path) -> Store:  # noqa: ARG001 - as all others are made
    """The double that other tests use."""
    return MemoryStore()


EMPTY_STORES: dict[str, Callable[[Path], Store]] = {"local": local, "memory": memory}
"""How to make each store, empty. A further store is tested by being added here."""


@pytest.fixture(params=sorted(EMPTY_STORES))
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """An empty store of each kind in turn."""
    return EMPTY_STORES[request.param](tmp_path)
