"""The OpenTelemetry SDK of Java as a client: ``java/Client.java`` under any Java from 17 on.

Knows Maven and the program's arguments. Must not know who receives what it sends.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from .cache import locked, run_build
from .sender import run_sender
from .spark import COPY_JARS

SOURCE = Path(__file__).with_name("java")
FILES = ("pom.xml", "Client.java")
FRUGAL = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx256m")


def build_java_sdk() -> Path:
    """The folder with the SDK's jars and the compiled client, made on first use."""
    digest = hashlib.sha256()
    for file in FILES:
        digest.update((SOURCE / file).read_bytes())
    with locked("java-sdk") as cache:
        folder = cache / f"java-sdk-{digest.hexdigest()[:12]}"
        if not folder.exists():
            building = cache / ".java-sdk.building"
            shutil.rmtree(building, ignore_errors=True)
            jars = ("-DincludeScope=runtime", f"-DoutputDirectory={building}")
            run_build(["mvn", "-q", "-B", "-f", SOURCE / "pom.xml", COPY_JARS, *jars])
            client = SOURCE / "Client.java"
            run_build(["javac", "-cp", f"{building}/*", "-d", building, client])
            building.replace(folder)
    return folder


def send_from_java(endpoint: str, count: int, protocol: str, service: str = "java") -> None:
    """Send ``count`` log records, spans and data points; grpc or http/protobuf.

    Without an ``endpoint`` it is the SDK's own.

    Raises ``ComponentError`` with its output when an export did not succeed.
    """
    folder = build_java_sdk()
    settings = {"OTEL_EXPORTER_OTLP_PROTOCOL": protocol}
    if endpoint:
        settings["OTEL_EXPORTER_OTLP_ENDPOINT"] = endpoint
    command = ["java", *FRUGAL, "-cp", f"{folder}:{folder}/*", "Client", str(count), service]
    run_sender(command, settings=settings)
