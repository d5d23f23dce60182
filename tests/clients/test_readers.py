"""The statements in docs/readers.md, run as they stand there, on files in an S3 server."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from otlp2parquet import process_otlp
from otlp2parquet.stores.clients import open_store
from otlp2parquet.stores.location import parse_location
from otlp2parquet.writers import ParquetWriter
from tests.components.s3 import CREDENTIALS, Versitygw

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).parents[2] / "docs" / "readers.md"
PLACE = "s3://my-data/telemetry"
START = 1_767_225_600_000_000_000
ERRORS = {"cart": 2, "shop": 1}


def statements() -> dict[str, str]:
    """The Python of each section, by its heading."""
    found: dict[str, str] = {}
    for section in re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        blocks = re.findall(r"```python\n(.*?)```", section, flags=re.DOTALL)
        if blocks:
            found[section.partition("\n")[0]] = blocks[0]
    return found


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Logs of two services in a bucket, errors among them."""
    with pytest.MonkeyPatch.context() as patch, Versitygw(tmp_path_factory.mktemp("s3")) as s3:
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        patch.setenv("AWS_ENDPOINT_URL", s3.endpoint)
        patch.setenv("AWS_ALLOW_HTTP", "true")  # polars asks for this word, too
        url = s3.url("telemetry")
        writer = ParquetWriter(open_store(parse_location(url)))
        for service, count in ERRORS.items():
            request = ExportLogsServiceRequest()
            group = request.resource_logs.add()
            group.resource.attributes.add(key="service.name").value.string_value = service
            records: Any = group.scope_logs.add().log_records
            for severity in [9, *[17] * count]:
                records.add(time_unix_nano=START, severity_number=severity)
            writer.write(process_otlp(request.SerializeToString(), "logs").batches)
        yield url.partition("?")[0]


def test_every_engine_is_tried() -> None:
    """A section that is added is run here, or has a reason not to be."""
    assert set(statements()) == {"polars", "pyarrow", "DuckDB", "Spark"}


@pytest.mark.parametrize("engine", ["polars", "pyarrow", "DuckDB"])
@pytest.mark.filterwarnings("default")  # what engines deprecate in each other is not ours
def test_statements(engine: str, place: str) -> None:
    """It runs, and finds the errors of each service."""
    names: dict[str, Any] = {}
    exec(statements()[engine].replace(PLACE, place), names)  # noqa: S102 - the page's own text
    errors = names["errors"]
    if engine == "polars":
        found = dict(errors.rows())
    elif engine == "pyarrow":
        services = errors["ServiceName"].to_pylist()
        found = {name: services.count(name) for name in set(services)}
    else:
        found = dict(errors)
    assert found == ERRORS
