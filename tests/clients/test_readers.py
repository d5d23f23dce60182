"""The statements in docs/readers.md, run as they stand there, on files in an S3 server."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from otlp2parquet import process_otlp
from otlp2parquet.stores.clients import open_store
from otlp2parquet.stores.location import parse_location
from otlp2parquet.writers import ParquetWriter
from tests.components import query_with_duckdb, run_statement
from tests.components.s3 import CREDENTIALS, Versitygw

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).parents[2] / "docs" / "readers.md"
PLACE = "s3://my-data/telemetry"
START = 1_767_225_600_000_000_000
ERRORS = {"cart": 2, "shop": 1}


def statements(language: str = "python") -> dict[str, str]:
    """The first block in a language of each section, by its heading."""
    found: dict[str, str] = {}
    for section in re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        blocks = re.findall(rf"```{language}\n(.*?)```", section, flags=re.DOTALL)
        if blocks:
            found[section.partition("\n")[0]] = blocks[0]
    return found


@dataclass(frozen=True, slots=True)
class Place:
    """Where the page's place really is."""

    url: str
    endpoint: str

    def put_into(self, text: str) -> str:
        """A text of the page about this place."""
        text = text.replace(PLACE, self.url)
        return text.replace(PLACE.replace("s3:", "s3a:"), self.url.replace("s3:", "s3a:"))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
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
        yield Place(url.partition("?")[0], s3.endpoint)


def test_every_statement_is_tried() -> None:
    """A section that is added is run here, or has a reason not to be."""
    assert set(statements()) == {"polars", "pyarrow", "DuckDB", "Spark"}
    assert set(statements("sql")) == {"DuckDB"}
    assert set(statements("properties")) == {"Spark"}


@pytest.mark.parametrize("engine", ["polars", "pyarrow", "DuckDB"])
@pytest.mark.filterwarnings("default")  # what engines deprecate in each other is not ours
def test_statements(engine: str, place: Place) -> None:
    """It runs, and finds the errors of each service."""
    names: dict[str, Any] = {}
    exec(place.put_into(statements()[engine]), names)  # noqa: S102 - the page's own text
    errors = names["errors"]
    if engine == "polars":
        found = dict(errors.rows())
    elif engine == "pyarrow":
        services = errors["ServiceName"].to_pylist()
        found = {name: services.count(name) for name in set(services)}
    else:
        found = dict(errors)
    assert found == ERRORS


def test_duckdb_with_its_own_extension(place: Place, tmp_path: Path) -> None:
    """The secret is told of the server as the page says."""
    host = place.endpoint.removeprefix("http://")
    secret = f"credential_chain, ENDPOINT '{host}', URL_STYLE 'path', USE_SSL false"
    statement = place.put_into(statements("sql")["DuckDB"])
    assert statement.count("credential_chain") == 1
    found = query_with_duckdb(statement.replace("credential_chain", secret), tmp_path)
    assert dict(found) == ERRORS


def test_spark_by_s3a(place: Place, tmp_path: Path) -> None:
    """With the settings that the page gives for a server that is not AWS."""
    lines = statements("properties")["Spark"].splitlines()
    settings = dict(line.split("=", 1) for line in lines)
    settings["spark.hadoop.fs.s3a.endpoint"] = place.endpoint
    found = run_statement(place.put_into(statements()["Spark"]), settings, tmp_path)
    assert dict(found) == ERRORS
