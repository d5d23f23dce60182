"""What the tests of deploy/ share: the page of metrics of one server that has everything."""

from __future__ import annotations

import pytest

from tests.support.deployment import exposition


@pytest.fixture(scope="session")
def metrics_page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page /metrics of a real server with a bucket and a catalog."""
    return exposition(tmp_path_factory.mktemp("exposition"))
