"""The zips for AWS Lambda: sizes, how long a cold start takes, what a million records cost.

``python -m benchmarks.lambda_figures FOLDER`` measures the zips in a folder and writes
``docs/lambda_figures.md``. What is started is the zip for this machine, unpacked, under a Python
with what AWS's runtime has and nothing else. The network of AWS is not here: its share is stated as
an assumption.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Final

from tests.components.lambda_runtime import build_lambda_runtime
from tests.support.lambda_events import function_url
from tests.support.requests import logs_request
from tests.support.rest_catalog import RestCatalogServer

PAGE: Final = Path(__file__).parents[1] / "docs" / "lambda_figures.md"
RUNS: Final = 3
RECORDS: Final = 1000
MIB: Final = 1 << 20

PRICE_GB_SEC: Final = 0.0000166667
PRICE_INVOCATION: Final = 0.20 / 1e6
PRICE_PUT: Final = 0.005 / 1000
"""US dollars, list prices of us-east-1 for x86_64 as published in 2025."""
MEMORY_GB: Final = 1.0
NETWORK_SECS: Final = {"parquet": 0.05, "tables": 0.5}
"""What S3 and S3 Tables are assumed to take for a request, beside what is measured here."""
WRITES: Final = {"parquet": 1, "tables": 6}
"""Requests at the price of a PUT for one table: the file; with a catalog also the receipt, a look
whether it is there, a manifest, a manifest list, the table's metadata."""

_PROGRAM: Final = """
import json, os, sys, time
begun = time.process_time()
event = json.load(open(sys.argv[1]))
import otlp2parquet.platforms.aws_lambda as function
made = time.process_time()
times = [made - begun]
for _ in range(12):
    started = time.process_time()
    result = function.handler(event)
    assert result["statusCode"] == 200, result
    times.append(time.process_time() - started)
print("FIGURES", json.dumps([times[0], times[1], sorted(times[2:])[5]]))
sys.stdout.flush()
os._exit(0)
"""


def run(root: Path, folder: Path, event: Path, environ: dict[str, str]) -> list[float]:
    """Processor seconds until it is made, of its first request, and of a warm one."""
    own = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(root),
        "PYTHONDONTWRITEBYTECODE": "1",
        "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:1",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024",
        "AWS_EC2_METADATA_DISABLED": "true",
        "OTLP2PARQUET_STORAGE_PATH": str(folder / "data"),
        "OTLP2PARQUET_DURABILITY_PATH": str(folder / "log"),
    }
    command: list[str | Path] = [build_lambda_runtime(), "-c", _PROGRAM, event]
    done = subprocess.run(
        command, env={**own, **environ}, capture_output=True, text=True, check=False, cwd=folder
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("FIGURES ")]
    if not lines:
        raise SystemExit(done.stdout + done.stderr)
    figures: list[float] = json.loads(lines[0].removeprefix("FIGURES "))
    return figures


def measure(root: Path) -> dict[str, list[float]]:
    """The median of several starts, without and with a catalog."""
    found = {}
    for kind in ("parquet", "tables"):
        runs = []
        for _ in range(RUNS):
            with tempfile.TemporaryDirectory() as scratch:
                folder = Path(scratch)
                event = folder / "event.json"
                headers = [(b"content-type", b"application/x-protobuf")]
                body = function_url("POST", "/v1/logs", headers, logs_request(RECORDS))
                event.write_text(json.dumps(body))
                (folder / "catalog").mkdir()
                with RestCatalogServer(folder / "catalog") as server:
                    tables = {"OTLP2PARQUET_ICEBERG_REST_URI": server.uri}
                    runs.append(run(root, folder, event, tables if kind == "tables" else {}))
        found[kind] = [statistics.median(column) for column in zip(*runs, strict=True)]
    return found


def cost(kind: str, warm_secs: float) -> tuple[float, float, float]:
    """US dollars for a million records: function, storage requests, both."""
    requests = 1e6 / RECORDS
    function = requests * (
        PRICE_INVOCATION + (warm_secs + NETWORK_SECS[kind]) * MEMORY_GB * PRICE_GB_SEC
    )
    storage = requests * WRITES[kind] * PRICE_PUT
    return function, storage, function + storage


def page(zips: list[Path], figures: dict[str, list[float]]) -> str:
    """docs/lambda_figures.md."""
    lines = [
        "# Figures of AWS Lambda",
        "",
        "<!-- Written by `make lambda`; not to be edited. -->",
        "",
        "Measured on the zips themselves, not at AWS: what its network and its processors add is",
        "not here. Absolute times move with the machine.",
        "",
        "## Sizes",
        "",
        "Lambda takes 250 MiB unzipped; up to 50 MiB zipped can be uploaded directly.",
        "",
        "| zip | zipped, MiB | unzipped, MiB |",
        "|---|--:|--:|",
    ]
    for path in zips:
        with zipfile.ZipFile(path) as packed:
            unzipped = sum(info.file_size for info in packed.infolist())
        lines.append(f"| `{path.name}` | {path.stat().st_size / MIB:.1f} | {unzipped / MIB:.1f} |")
    lines += [
        "",
        "## Cold and warm",
        "",
        f"Median of {RUNS} starts with a warm disk cache, requests of {RECORDS:,} log records that",
        "go to a local folder; with a catalog, a scripted REST catalog on the same machine. It is",
        "processor time, which a busy machine does not change; the interpreter's own start and the",
        "reading of cold files are not in it.",
        "",
        "| | until it is made, s | first request, s | a later one, s |",
        "|---|--:|--:|--:|",
    ]
    for kind, name in (("parquet", "Parquet files"), ("tables", "with a catalog")):
        made, first, warm = figures[kind]
        lines.append(f"| {name} | {made:.2f} | {first:.2f} | {warm:.3f} |")
    lines += [
        "",
        "## A million records",
        "",
        (
            "US dollars by list prices of us-east-1 as published in 2025 (x86_64: "
            f"${PRICE_GB_SEC} a GB second,"
        ),
        (
            "$0.20 a million invocations, $0.005 a thousand PUTs), "
            f"{MEMORY_GB:.0f} GB of memory, {RECORDS:,} log records"
        ),
        f"a request, so {1e6 / RECORDS:,.0f} requests:",
        "",
        "    function = requests x (invocation + (time here + network) x memory x GB second)",
        "    storage  = requests x writes x PUT",
        "",
        "| | time here, s | network, s (assumed) | writes | function | storage | both |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for kind, name in (("parquet", "Parquet files"), ("tables", "S3 Tables")):
        warm = figures[kind][2]
        function, storage, both = cost(kind, warm)
        lines.append(
            f"| {name} | {warm:.3f} | {NETWORK_SECS[kind]} | {WRITES[kind]} | ${function:.4f} | "
            f"${storage:.4f} | **${both:.4f}** |"
        )
    lines += [
        "",
        "Cost follows requests more than records: a Collector that batches 10,000 records makes a",
        "tenth of them. What is stored, and what S3 Tables takes for its upkeep, is not in it.",
        "",
        f"(Python {platform.python_version()}, {os.cpu_count()} cores)",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure, and write the page."""
    zips = sorted(Path(sys.argv[1]).glob("*.zip"))
    machine = {"x86_64": "x86_64", "aarch64": "arm64"}[platform.machine()]
    (own,) = [path for path in zips if path.stem.endswith(machine)]
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(own) as packed:
            packed.extractall(folder)
        figures = measure(Path(folder))
    PAGE.write_text(page(zips, figures), encoding="utf-8")
    sys.stdout.write(f"{PAGE}\n")


if __name__ == "__main__":
    main()
