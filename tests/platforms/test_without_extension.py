"""The server and ``convert`` where no wheel fits: by the decoder in plain Python, as processes."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
from google.protobuf import json_format

from otlp2parquet import process_otlp
from tests.components.process import wait_until
from tests.support.bucket_io import sorted_rows
from tests.support.requests import logs_request, metrics_request, traces_request
from tests.support.server_process import COMMAND, Server
from tests.support.shapes import every_field

if TYPE_CHECKING:
    from pathlib import Path

    from otlp2parquet import Signal

PURE = {"OTLP2PARQUET_DECODER": "pure"}
PROTOBUF, JSON = "application/x-protobuf", "application/json"


def requests() -> list[tuple[Signal, str, bytes]]:
    """Some of every signal, and every field of each, in both formats."""
    plain: dict[Signal, bytes] = {
        "logs": logs_request(10),
        "traces": traces_request(7),
        "metrics": metrics_request(5),
    }
    found = [(signal, PROTOBUF, body) for signal, body in plain.items()]
    for signal in plain:
        message = every_field(signal)
        found.append((signal, PROTOBUF, bytes(message.SerializeToString())))
        found.append((signal, JSON, json_format.MessageToJson(message).encode()))
    return found


def rows_below(folder: Path) -> dict[str, list[str]]:
    """The exact rows of all files, by table."""
    files = [path for path in folder.rglob("*.parquet") if "/.otlp2parquet/" not in str(path)]
    return sorted_rows(
        (pq.read_metadata(path).metadata[b"otlp2parquet.table"].decode(), batch)
        for path in files
        for batch in pq.read_table(path, partitioning=None).combine_chunks().to_batches()
    )


def expected(sent: list[tuple[Signal, str, bytes]]) -> dict[str, list[str]]:
    """The rows of requests, by the extension."""
    return sorted_rows(
        (batch.table, batch)
        for signal, content_type, body in sent
        for batch in process_otlp(body, signal, content_type=content_type).batches
    )


def count(rows: dict[str, list[Any]]) -> int:
    """How many there are."""
    return sum(map(len, rows.values()))


def test_the_server(tmp_path: Path) -> None:
    """Takes, logs and stores what the extension would have taken; refuses what that refuses."""
    settings = {**PURE, "OTLP2PARQUET_BATCH_MAX_AGE_SECS": "0.2"}
    sent, wanted = requests(), expected(requests())
    with Server(tmp_path, settings=settings) as server:
        for signal, content_type, body in sent:
            fields = {"Content-Type": content_type, "Content-Encoding": "gzip"}
            assert server.post(gzip.compress(body), signal, **fields)[0] == 200
        assert server.post(b"\x0a\xff", "logs")[0] == 400
        wait_until(lambda: count(rows_below(server.data)) == count(wanted), 60, lambda: server.log)
        assert rows_below(server.data) == wanted


def test_convert(tmp_path: Path) -> None:
    """Of a capture, a request a line as the Collector writes them."""
    lines = [
        json.dumps(json.loads(body)) for _, content_type, body in requests() if content_type == JSON
    ]
    capture = tmp_path / "capture.json"
    capture.write_text("\n".join(lines * 3))
    done = subprocess.run(
        [COMMAND, "convert", str(capture), "-o", str(tmp_path / "out")],
        env={**os.environ, **PURE},
        capture_output=True,
        text=True,
        check=False,
    )
    sent = [one for one in requests() if one[1] == JSON]
    results = [process_otlp(body, signal, content_type=kind) for signal, kind, body in sent]
    # A record that is rejected is told by the exit code, whichever decoder rejects it.
    assert done.returncode == any(result.rejected for result in results), done.stderr
    assert rows_below(tmp_path / "out") == expected(sent * 3)
