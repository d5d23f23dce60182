"""A function of its own for a test, without AWS: made from an environment, ended with the test."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any, Self

import pyarrow.parquet as pq

from otlp2parquet.platforms.aws_lambda.function import Function
from otlp2parquet.platforms.aws_lambda.metrics import Metrics
from otlp2parquet.platforms.aws_lambda.settings import function_settings
from tests.support.lambda_events import Context, function_url, response_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from otlp2parquet.core.otlp_http import Response

PROTOBUF = [(b"content-type", b"application/x-protobuf")]


class FunctionBench:
    """A function that writes into ``folder`` unless ``environ`` says otherwise."""

    def __init__(self, folder: Path, environ: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        own = {
            "OTLP2PARQUET_STORAGE_PATH": str(folder / "data"),
            "OTLP2PARQUET_DURABILITY_PATH": str(folder / "log"),
        }
        self._lines = io.StringIO()
        self.settings = function_settings({**own, **(environ or {})})
        self.function = Function(self.settings, Metrics("bench", self._lines))
        self.assembly = self.function.assembly

    def __enter__(self) -> Self:
        """It takes events."""
        return self

    def __exit__(self, *_: object) -> None:
        """Its threads end."""
        self.function.close()

    def handle(self, event: Mapping[str, Any], remaining_ms: int = 30_000) -> Any:
        """The result of an event."""
        return self.function.handle(event, Context(remaining_ms))

    def post(self, body: bytes, signal: str = "logs", **more: int) -> Response:
        """The answer to an export request that comes through a Function URL."""
        return response_of(
            self.handle(function_url("POST", f"/v1/{signal}", PROTOBUF, body), **more)
        )

    @property
    def rows(self) -> int:
        """Rows in the files of the folder."""
        return rows_below(self.folder / "data")

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """The lines of metrics so far."""
        return [json.loads(line) for line in self._lines.getvalue().splitlines()]


def rows_below(folder: Path) -> int:
    """Rows in all Parquet files below a folder."""
    return sum(pq.read_metadata(path).num_rows for path in folder.rglob("*.parquet"))
