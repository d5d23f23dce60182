"""What every test stands on: only loopback is reachable, and proofs in full are recorded."""

from __future__ import annotations

import os
import socket
import time
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

from tests.proofs import page
from tests.proofs.results import save

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# What asserts for the tests tells as much as they do when it fails.
pytest.register_assert_rewrite("tests.support", "tests.components.captures")

# Whoever runs the tests may run a server from the same shell; a test sets what it is about.
for _name in [name for name in os.environ if name.startswith("OTLP2PARQUET_")]:
    del os.environ[_name]

# The machines that run this are shared and slow; what something costs is for the benchmarks.
settings.register_profile("shared", deadline=None)
settings.load_profile("shared")


def is_loopback(address: Any) -> bool:
    """Whether a socket address stays on this machine (names other than localhost do not)."""
    if not isinstance(address, tuple):
        return True  # a Unix socket's path
    host = str(address[0])
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@pytest.fixture(scope="session")
def catalog_folders(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> pytest.TempPathFactory:
    """Folders for real and emulated catalogs; without ``--catalogs`` who asks is skipped."""
    if not request.config.getoption("--catalogs"):
        pytest.skip("a real or emulated catalog takes its time to start: --catalogs")
    return tmp_path_factory


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--full``: the proofs of durability in full, not in the short form of an ordinary run.

    ``--catalogs``: commits to real and emulated catalogs, which take long to start.
    ``--lambda FOLDER``: the zips for AWS Lambda in it, not the packages that are installed here.
    ``--stores``: the promises of a store on every emulator, also those that take long to get.
    ``--worker``: a dry run of a Worker's deployment, too.
    """
    parser.addoption("--full", action="store_true", help="run the proofs of durability in full")
    parser.addoption("--catalogs", action="store_true", help="try real and emulated catalogs")
    parser.addoption("--lambda", metavar="FOLDER", help="test the zips for AWS Lambda in a folder")
    parser.addoption("--stores", action="store_true", help="try every store, also slow ones")
    parser.addoption("--worker", action="store_true", help="have wrangler look at the Worker")


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Keeps what a proof found, if it ran in full: ``record(name, **facts)``."""
    started = time.monotonic()

    def keep(name: str, **facts: object) -> None:
        if request.config.getoption("--full"):
            save(name, {**facts, "secs": round(time.monotonic() - started, 1)})
            page.main()

    return keep


@pytest.fixture(autouse=True, scope="session")
def _loopback_only() -> Iterator[None]:
    """Refuse any connection that would leave the machine."""
    connect = socket.socket.connect

    def checked(self: socket.socket, address: Any) -> None:
        if not is_loopback(address):
            message = f"a test tried to connect to {address!r}; only loopback is allowed"
            raise AssertionError(message)
        connect(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", checked)
        yield
