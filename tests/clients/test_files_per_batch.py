"""Few, well-filled files: one per table, service, hour and batch, however the rows arrived."""

from __future__ import annotations

import http.client
import re
from collections import Counter
from typing import TYPE_CHECKING

import duckdb
import pytest

from tests.components import Server
from tests.proofs.stamped import template

if TYPE_CHECKING:
    from pathlib import Path

MAX_ROWS = 4_000
SETTINGS = f"""
[durability]
mode = "memory"
[batch]
max_rows = {MAX_ROWS}
max_age_secs = 3600
"""
SHAPES = [("logs", 10), ("logs", 10), ("traces", 10), ("metrics", 10)]
SERVICES = ("cart", "checkout", "search")
REQUESTS = 1_200


@pytest.mark.parametrize("connections", [1, 16, 200])
def test_one_file_per_table_service_hour_and_batch(tmp_path: Path, connections: int) -> None:
    """Neither connections nor shards nor requests make files, and a batch is filled to its limit.

    (The age of the first batch is 2 s, so that one may close before it is full.)
    """
    config = tmp_path / "few.toml"
    config.write_text(SETTINGS, encoding="utf-8")
    templates = [template(signal, name, count) for name in SERVICES for signal, count in SHAPES]
    with Server(tmp_path, ["-c", str(config)]) as server:
        clients = [http.client.HTTPConnection("127.0.0.1", server.port) for _ in range(connections)]
        for start in range(0, REQUESTS, connections):
            turn = range(start, min(start + connections, REQUESTS))
            for number, client in zip(turn, clients, strict=False):
                chosen = templates[number % len(templates)]
                headers = {"Content-Type": "application/x-protobuf"}
                body = chosen.stamped(number)
                client.request("POST", f"/v1/{chosen.signal}", body, headers)
            for _, client in zip(turn, clients, strict=False):
                response = client.getresponse()
                response.read()
                assert response.status == 200
        for client in clients:
            client.close()
        assert server.stop() == 0, server.log
        log = server.log
    # The files themselves say what is in them: nothing of the server's own account is believed.
    contents = files_by_content(server.data)
    assert set(contents.values()) == {1}, "two files of one table, service, hour and batch"
    assert len(contents) == sum(1 for _ in server.data.rglob("*.parquet"))
    stored = re.findall(r"batch stored batch=\S+ rows=(\d+) files=(\d+) .*closed_by=(\w+)", log)
    assert sum(int(files) for _, files, _ in stored) == len(contents)
    assert sum(int(rows) for rows, _, _ in stored) == REQUESTS * 10
    assert len(stored) <= REQUESTS * 10 // MAX_ROWS + 2
    for rows, _, reason in stored:
        assert reason in ("rows", "age", "shutdown")
        if reason == "rows":
            # Requests in progress when the limit was met are the batch's own still.
            assert MAX_ROWS <= int(rows) <= MAX_ROWS + 10 * connections


def files_by_content(data: Path) -> Counter[tuple[str, str, str, str]]:
    """How many files there are of each (table, service, hour, batch), read from their rows."""
    found: Counter[tuple[str, str, str, str]] = Counter()
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for path in data.rglob("*.parquet"):
            rows = connection.execute(
                "SELECT DISTINCT ServiceName, strftime(Timestamp, '%Y-%m-%dT%H') "
                "FROM read_parquet($path, hive_partitioning = false)",
                {"path": str(path)},
            ).fetchall()
            assert len(rows) == 1, f"{path} has rows of {rows}"
            ((service, hour),) = rows
            table = str(path.relative_to(data)).partition(f"/service={service}/")[0]
            found[table, service, hour, path.stem] += 1
    return found
