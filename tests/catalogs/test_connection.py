"""From settings to a catalog: every family, with as little as its users have to say."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from otlp2parquet.catalogs import connection as connections
from otlp2parquet.catalogs.connection import connection_of
from otlp2parquet.catalogs.nessie import iceberg_uri
from otlp2parquet.catalogs.sql import without_password
from otlp2parquet.config import Config, Flags, load
from otlp2parquet.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from otlp2parquet.catalogs.connection import Connection

MISSION = """
[storage]
backend = "s3"

[storage.s3]
bucket = "my-data"
region = "us-west-2"

[iceberg]
rest_uri = "http://nessie:19120/api/v1"
warehouse = "warehouse"
namespace = "otel"
"""
ARN = "arn:aws:s3tables:us-west-2:123456789012:bucket/my-tables"


def config_of(folder: Path, toml: str = "", **environ: str) -> Config:
    """The configuration of a file and some variables."""
    path = folder / "mission.toml"
    path.write_text(toml, encoding="utf-8")
    named = {f"OTLP2PARQUET_{key}": value for key, value in environ.items()}
    return load(Flags(config=path), environ=named, folder=folder).config


def of(folder: Path, toml: str = "", **environ: str) -> Connection:
    """How its catalog is reached."""
    return connection_of(config_of(folder, toml, **environ))


def test_the_mission_works_as_written(tmp_path: Path) -> None:
    """Nessie's own API is what people know; its Iceberg REST catalog is what is used."""
    config = config_of(tmp_path, MISSION)
    assert config.catalog_type == "nessie"
    made = connection_of(config)
    assert made.properties["uri"] == "http://nessie:19120/iceberg"
    assert made.properties["warehouse"] == "warehouse"
    assert made.properties["s3.region"] == "us-west-2"
    assert made.manages_history
    (note,) = made.notes
    assert "http://nessie:19120/api/v1 is Nessie's own API" in note


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("http://n:1/api/v1", "http://n:1/iceberg"),
        ("http://n:1/api/v2/", "http://n:1/iceberg"),
        ("https://n/base/api/v1", "https://n/base/iceberg"),
        ("http://n:1", "http://n:1/iceberg"),
        ("http://n:1/iceberg", "http://n:1/iceberg"),
        ("http://n:1/iceberg/main", "http://n:1/iceberg/main"),
    ],
)
def test_addresses_of_nessie(given: str, used: str) -> None:
    """Whichever of its addresses is at hand."""
    assert iceberg_uri(given) == used


def test_s3_tables_from_the_arn_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Region and endpoint are in it; an endpoint of the environment precedes."""
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3TABLES", raising=False)
    made = of(tmp_path, ICEBERG_BUCKET_ARN=ARN)
    assert made.properties["uri"] == "https://s3tables.us-west-2.amazonaws.com/iceberg"
    assert made.properties["warehouse"] == ARN
    assert made.properties["rest.signing-region"] == "us-west-2"
    assert (made.manages_history, made.stages_tables) == (True, False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert of(tmp_path, ICEBERG_BUCKET_ARN=ARN).properties["uri"] == "http://127.0.0.1:9/iceberg"


def test_sql_needs_nothing(tmp_path: Path) -> None:
    """A file and a folder in the storage, as SETTINGS has it."""
    config = load(
        environ={"OTLP2PARQUET_CATALOG_TYPE": "sql", "OTLP2PARQUET_STORAGE_PATH": str(tmp_path)},
        folder=tmp_path,
    ).config
    made = connection_of(config)
    assert made.properties["uri"] == f"sqlite:///{tmp_path}/catalog.db"
    assert made.properties["warehouse"] == f"file://{tmp_path}/warehouse"


def test_sql_elsewhere(tmp_path: Path) -> None:
    """A database server and a bucket; a password is in no message."""
    uri = "postgresql+psycopg2://me:hush@db/catalog"
    made = of(tmp_path, CATALOG_TYPE="sql", CATALOG_URI=uri, CATALOG_WAREHOUSE="s3://bucket/w",
              STORAGE_BACKEND="s3", S3_BUCKET="bucket")  # fmt: skip
    assert made.properties["uri"] == uri
    assert made.properties["warehouse"] == "s3://bucket/w"
    assert made.place == "sql postgresql+psycopg2://me@db/catalog"
    assert without_password("sqlite:////a/b.db") == "sqlite:////a/b.db"
    in_bucket = of(tmp_path, CATALOG_TYPE="sql", STORAGE_BACKEND="s3", S3_BUCKET="bucket")
    assert in_bucket.properties["warehouse"] == "s3://bucket/warehouse"


def test_rest_with_oauth2_and_more(tmp_path: Path) -> None:
    """A client's credential, and whatever else pyiceberg knows; its own words precede."""
    toml = """
[iceberg]
rest_uri = "https://catalog.example/v"
credential = "id:secret"
[iceberg.properties]
"oauth2-server-uri" = "https://login.example/token"
scope = "catalog"
rest.page-size = 5
"""
    made = of(tmp_path, toml)
    expected = {
        "uri": "https://catalog.example/v",
        "credential": "id:secret",
        "oauth2-server-uri": "https://login.example/token",
        "scope": "catalog",
        "rest.page-size": "5",
    }
    assert expected.items() <= dict(made.properties).items()
    assert made.place == "rest https://catalog.example/v"


def test_r2_from_account_and_bucket(tmp_path: Path) -> None:
    """As Cloudflare names them."""
    environ = {
        "CATALOG_TYPE": "r2",
        "STORAGE_BACKEND": "r2",
        "R2_BUCKET": "bucket",
        "R2_ACCOUNT_ID": "acc",
        "R2_ACCESS_KEY_ID": "k",
        "R2_SECRET_ACCESS_KEY": "s",
        "ICEBERG_TOKEN": "t",
    }
    made = of(tmp_path, **environ)
    assert made.properties["uri"] == "https://catalog.cloudflarestorage.com/acc/bucket"
    assert made.properties["warehouse"] == "acc_bucket"
    assert made.properties["token"] == "t"  # noqa: S105 - a test's
    assert made.properties["s3.endpoint"] == "https://acc.r2.cloudflarestorage.com"


def test_glue_makes_no_second_attempt(tmp_path: Path) -> None:
    """Because botocore would repeat a commit without looking."""
    made = of(
        tmp_path,
        CATALOG_TYPE="glue",
        STORAGE_BACKEND="s3",
        S3_BUCKET="bucket",
        S3_REGION="eu-west-1",
    )
    assert made.properties["glue.max-retries"] == "0"
    assert made.properties["glue.region"] == "eu-west-1"
    assert made.properties["warehouse"] == "s3://bucket/warehouse"


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"ICEBERG_WAREHOUSE": "w"}, "it does not say which catalog"),
        ({"CATALOG_TYPE": "rest"}, "iceberg.rest_uri (default): found none"),
        ({"CATALOG_TYPE": "nessie"}, "iceberg.rest_uri (default): found none"),
        ({"ICEBERG_BUCKET_ARN": "arn:aws:s3:::b"}, "expected arn:aws:s3tables:REGION"),
        ({"CATALOG_TYPE": "r2"}, "storage.r2.account_id"),
        ({"CATALOG_TYPE": "hive"}, "expected"),
        ({"ICEBERG_PROPERTIES": "a"}, "expected a table of texts"),
    ],
)
def test_contradictions_are_errors(tmp_path: Path, environ: dict[str, str], words: str) -> None:
    """Who names a catalog must not find the rows outside of it."""
    with pytest.raises(ConfigError) as caught:
        config_of(tmp_path, **environ)
    assert words in str(caught.value)


def test_none_is_none(tmp_path: Path) -> None:
    """A catalog that is configured can be switched off by one variable."""
    assert config_of(tmp_path, MISSION, CATALOG_TYPE="none").catalog_type == "none"
    assert config_of(tmp_path).catalog_type == "none"


def test_secrets_are_masked(tmp_path: Path) -> None:
    """Whatever stands in a token, a credential, a database's URL or a property."""
    from otlp2parquet.config.show import MASK, effective  # noqa: PLC0415

    loaded = load(
        environ={
            "OTLP2PARQUET_ICEBERG_REST_URI": "http://c",
            "OTLP2PARQUET_ICEBERG_TOKEN": "hush",
            "OTLP2PARQUET_ICEBERG_CREDENTIAL": "a:hush",
            "OTLP2PARQUET_ICEBERG_PROPERTIES": "s3.secret-access-key=hush",
            "OTLP2PARQUET_CATALOG_URI": "postgresql://a:hush@b/c",
        },
        folder=tmp_path,
    )
    shown = effective(loaded.config, loaded.sources)
    assert "hush" not in str(shown)
    assert shown["iceberg.properties"][0] == MASK


def test_without_the_packages_it_says_which(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are an extra."""
    monkeypatch.setitem(sys.modules, "otlp2parquet.catalogs.rest", None)
    with pytest.raises(ConfigError, match=r"otlp2parquet\[iceberg\]"):
        of(tmp_path, ICEBERG_REST_URI="http://c")
    assert connections.EXTRA in "pip install 'otlp2parquet[iceberg]'"


def test_pyiceberg_is_imported_only_for_a_catalog() -> None:
    """A server without one starts without it, and without what it needs."""
    program = """
import sys
from otlp2parquet.platforms.server.run import make_application
from otlp2parquet.config import Config
loaded = {name.partition(".")[0] for name in sys.modules}
foreign = loaded & {"pyiceberg", "sqlalchemy", "pydantic", "boto3"}
sys.exit(f"loaded {foreign}" if foreign else 0)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
