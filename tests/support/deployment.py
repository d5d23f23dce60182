"""The files in deploy/ as tests read them, and what of the product they have to fit.

Knows where the files are, how long a stop takes, what memory a server needs and what its page of
metrics looks like. Judges nothing.
"""

from __future__ import annotations

import re
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from otlp2parquet.config.settings import settings
from otlp2parquet.platforms.server import application, run
from tests.components.process import wait_until
from tests.components.s3 import CREDENTIALS, Versitygw
from tests.support.asgi_bench import logs_request
from tests.support.server_process import Server, logs_of

if TYPE_CHECKING:
    from otlp2parquet.config import Config

DEPLOY = Path(__file__).parents[2] / "deploy"

STOP_SECS = sum(
    (run.DRAIN_SECS, run.MOMENT_SECS, run.GIVE_UP_SECS, application.STORE_SECS, run.END_SECS)
)
"""The longest that a stop takes, by the product's own limits."""

BESIDE_BYTES = 250_000_000
"""What docs/operations.md promises the process needs beside its budget."""

LOG_BYTES = 1 << 20

METRIC = re.compile(r"(?<![:\w])otlp2parquet_\w+(?![:\w])")
"""A name in an expression of PromQL; what rules record has colons."""

BY = re.compile(r"\bby \(([^)]*)\)")


class Family(NamedTuple):
    """One metric of the page /metrics."""

    kind: str
    labels: frozenset[str]


def yaml_of(path: str) -> Any:
    """The one document of a file in deploy/."""
    return yaml.safe_load((DEPLOY / path).read_text("utf-8"))


def documents(path: Path) -> list[dict[str, Any]]:
    """All documents of a YAML file."""
    return list(yaml.safe_load_all(path.read_text("utf-8")))


def needed_bytes(config: Config) -> int:
    """The memory that a server needs at the most: docs/operations.md, "Memory" and "OTLP/gRPC"."""
    budget, limit = config.batch.memory_bytes, config.request.max_payload_bytes
    receiving = max(2, budget // (2 * limit)) * limit  # as grpc_front bounds it
    return budget + BESIDE_BYTES + receiving


def variables() -> set[str]:
    """Every variable of the environment that sets something, also by a file."""
    names = {name for row in settings() for name in row.env_names}
    secret = {f"{name}_FILE" for row in settings() if row.secret for name in row.env_names}
    return names | secret | {"OTLP2PARQUET_CONFIG", "OTLP2PARQUET_CONFIG_CONTENT"}


def environment_of_image() -> dict[str, str]:
    """What ENV of deploy/Dockerfile sets."""
    text = (DEPLOY / "Dockerfile").read_text("utf-8")
    block = re.search(r"^ENV ((?:.*\\\n)*.*)$", text, re.MULTILINE)
    assert block is not None
    return dict(re.findall(r'(\w+)="?([^"\s\\]+)"?', block[1]))


def exposition(folder: Path) -> str:
    """The page /metrics of a server with a bucket and a catalog that has met everything.

    Records were accepted and rejected, and requests refused, by their sender's fault and not.
    """
    with Versitygw(folder) as s3:
        settings_ = {
            "OTLP2PARQUET_STORAGE_URL": s3.url(),
            "OTLP2PARQUET_CATALOG_TYPE": "sql",
            "OTLP2PARQUET_CATALOG_URI": f"sqlite:///{folder}/catalog.db",
            "OTLP2PARQUET_DURABILITY_PATH": str(folder / "log"),
            "OTLP2PARQUET_DURABILITY_MAX_BYTES": str(LOG_BYTES),
            **CREDENTIALS,
        }
        with Server(folder / "server", settings=settings_) as server:
            assert server.post(logs_of("a", "b"))[0] == 200
            assert server.post(b"\xff")[0] == 400
            assert server.post(logs_request(2, attributes=10_001))[0] == 200  # one is rejected
            url = f"http://{server.host}:{server.port}"
            flush = urllib.request.Request(f"{url}/flush", method="POST")
            with urllib.request.urlopen(flush) as answer:
                assert answer.status == 200
            # Without a storage the log is soon full, and what then comes is refused.
            s3.kill()
            assert server.post(logs_of("x" * LOG_BYTES))[0] == 200
            wait_until(lambda: server.post(logs_of("c"))[0] == 503, 60, lambda: server.log)
            with urllib.request.urlopen(f"{url}/metrics") as answer:
                page: bytes = answer.read()
            server.kill()  # it would wait for the storage
    return page.decode()


def families(page: str) -> dict[str, Family]:
    """The metrics of a page of Prometheus' text format, by the names that samples have."""
    found: dict[str, Family] = {}
    for name, kind in re.findall(r"^# TYPE (\w+) (\w+)$", page, re.MULTILINE):
        samples = re.findall(
            rf"^({name}(?:_bucket|_sum|_count)?)(?:{{(.*)}})? ", page, re.MULTILINE
        )
        labels = {label for _, given in samples for label in re.findall(r'(\w+)="', given)}
        suffixes = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
        for suffix in suffixes:
            found[name + suffix] = Family(kind, frozenset(labels))
    return found
