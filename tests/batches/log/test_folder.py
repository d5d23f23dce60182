"""The folder of the log: one owner, one node id, and what becomes of it when it is taken away."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

from otlp2parquet.errors import ConfigError
from tests.support.node import Node

if TYPE_CHECKING:
    from pathlib import Path


def test_a_second_owner_is_refused_and_the_first_is_named(tmp_path: Path) -> None:
    """Two processes must not write or replay the same segments."""
    with Node(tmp_path):
        with pytest.raises(ConfigError) as caught:
            Node(tmp_path)
        assert f"pid {os.getpid()} on host {socket.gethostname()}" in str(caught.value)
        assert "durability.path" in str(caught.value)
    with Node(tmp_path):
        pass


def test_the_node_id_stays(tmp_path: Path) -> None:
    """It names the writer over all its lives, and a damaged one is drawn again."""
    nodes = []
    for _ in range(2):
        with Node(tmp_path) as node:
            nodes.append(node.log.folder.node)
    assert nodes[0] == nodes[1]
    (tmp_path / "log" / "node").write_text("nonsense")
    with Node(tmp_path) as node:
        assert node.log.folder.node not in nodes


def test_a_folder_that_cannot_be_is_an_error(tmp_path: Path) -> None:
    """The setting is named, before a row is taken."""
    (tmp_path / "log").write_text("in the way")
    with pytest.raises(ConfigError, match=r"cannot use the log folder .*durability\.path"):
        Node(tmp_path)
