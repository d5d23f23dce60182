"""What programs are told to set: text that a shell, TOML, YAML or the program itself takes."""

from __future__ import annotations

import shutil
import subprocess
import tomllib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from otlp2parquet.connect.recipes import ONLY_HTTP, PROGRAMS, TOKEN_VARIABLE, Endpoint, recipe
from tests.components.collector import build_collector

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HTTP = Endpoint("http://127.0.0.1:4318")
GRPC = Endpoint("http://127.0.0.1:4317", "grpc")
GUARDED = Endpoint("https://otlp.example:4318", needs_token=True, certificate="/certs/ca's.pem")
GUARDED_GRPC = Endpoint(
    "https://otlp.example:4317", "grpc", needs_token=True, certificate="/certs/ca.pem"
)
ENDPOINTS = [HTTP, GRPC, GUARDED, GUARDED_GRPC]
SHELLS = ["claude-code", "python", "node", "java", "go", "dotnet"]


def _all() -> Iterator[tuple[str, Endpoint]]:
    for program in PROGRAMS:
        for endpoint in ENDPOINTS:
            if not (program in ONLY_HTTP and endpoint.protocol == "grpc"):
                yield program, endpoint


@pytest.mark.parametrize(("program", "endpoint"), list(_all()))
def test_every_text(program: str, endpoint: Endpoint) -> None:
    """It names the server and the page that it follows; a token only by a variable's name."""
    text = recipe(program, endpoint)
    assert endpoint.url.partition("://")[2] in text
    assert "https://" in text.splitlines()[0]
    assert (TOKEN_VARIABLE in text) == endpoint.needs_token
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    assert max(map(len, text.splitlines())) <= 95


def variables(text: str, **more: str) -> dict[str, str]:
    """What a shell has in its environment behind the lines that set something."""
    lines = [line for line in text.splitlines() if line.startswith(("export", "#"))]
    script = "\n".join([*lines, "env -0"])
    done = subprocess.run(
        ["sh", "-eu"], input=script, env=more, capture_output=True, text=True, check=True
    )
    return dict(line.split("=", 1) for line in done.stdout.split("\0") if "=" in line)


@pytest.mark.parametrize("program", SHELLS)
def test_what_a_shell_makes_of_it(program: str) -> None:
    """The specification's names, with their values, whatever a path has in it."""
    found = variables(recipe(program, HTTP))
    assert found["OTEL_EXPORTER_OTLP_PROTOCOL"] == "http/protobuf"
    assert found["OTEL_EXPORTER_OTLP_ENDPOINT"] == HTTP.url
    for signal in ("TRACES", "METRICS", "LOGS"):
        assert found[f"OTEL_{signal}_EXPORTER"] == "otlp"
    assert "OTEL_EXPORTER_OTLP_HEADERS" not in found
    assert variables(recipe(program, GRPC))["OTEL_EXPORTER_OTLP_PROTOCOL"] == "grpc"
    found = variables(recipe(program, GUARDED), **{TOKEN_VARIABLE: "s3cret"})
    assert found["OTEL_EXPORTER_OTLP_HEADERS"] == "x-api-key=s3cret"
    assert found["OTEL_EXPORTER_OTLP_CERTIFICATE"] == GUARDED.certificate


def test_claude_code() -> None:
    """What its documentation asks for, traces included."""
    found = variables(recipe("claude-code", GRPC))
    assert found["CLAUDE_CODE_ENABLE_TELEMETRY"] == "1"
    assert found["CLAUDE_CODE_ENHANCED_TELEMETRY_BETA"] == "1"
    assert found["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://127.0.0.1:4317"


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_codex(endpoint: Endpoint) -> None:
    """TOML with an exporter for each signal; over HTTP each has the whole path."""
    otel = tomllib.loads(recipe("codex", endpoint))["otel"]
    for key, signal in (
        ("exporter", "logs"),
        ("trace_exporter", "traces"),
        ("metrics_exporter", "metrics"),
    ):
        ((kind, exporter),) = otel[key].items()
        assert kind == f"otlp-{endpoint.protocol}"
        path = "" if endpoint.protocol == "grpc" else f"/v1/{signal}"
        assert exporter["endpoint"] == endpoint.url + path
        assert ("headers" in exporter) == endpoint.needs_token


@pytest.mark.parametrize("endpoint", [HTTP, GRPC])
def test_the_collector_takes_it(endpoint: Endpoint, tmp_path: Path) -> None:
    """As its own check of a configuration says."""
    config = tmp_path / "config.yaml"
    config.write_text(recipe("collector", endpoint), "utf-8")
    subprocess.run([build_collector(), "validate", "--config", config], check=True)


def test_the_collector_with_a_token(tmp_path: Path) -> None:
    """The token comes from the environment."""
    config = tmp_path / "config.yaml"
    certificate = tmp_path / "ca.pem"
    certificate.write_text("", "utf-8")
    for guarded in (GUARDED, GUARDED_GRPC):
        endpoint = replace(guarded, certificate=str(certificate))
        config.write_text(recipe("collector", endpoint), "utf-8")
        subprocess.run(
            [build_collector(), "validate", "--config", config],
            check=True,
            env={TOKEN_VARIABLE: "s3cret"},
        )


def test_the_browser_text_is_javascript(tmp_path: Path) -> None:
    """It is parsed, as a module, by the engine of a browser."""
    node = shutil.which("node")
    assert node is not None
    for number, endpoint in enumerate((HTTP, GUARDED)):
        module = tmp_path / f"page{number}.mjs"
        module.write_text(recipe("browser", endpoint), "utf-8")
        subprocess.run([node, "--check", module], check=True)
