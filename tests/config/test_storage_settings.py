"""The settings of storages: as keys, as URLs, and what contradicts itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from otlp2parquet.config import Flags, StorageConfig, load
from otlp2parquet.errors import ConfigError
from otlp2parquet.storage import location_of
from otlp2parquet.stores.location import Location, is_url, parse_location

R2 = {
    "OTLP2PARQUET_R2_BUCKET": "b-1",
    "OTLP2PARQUET_R2_ACCESS_KEY_ID": "id",
    "OTLP2PARQUET_R2_SECRET_ACCESS_KEY": "secret",
}


def storage(
    folder: Path, environ: dict[str, str] | None = None, output: str | None = None
) -> StorageConfig:
    """The storage's settings in effect."""
    return load(Flags(output=output), environ=environ or {}, folder=folder).config.storage


def errors(folder: Path, environ: dict[str, str], output: str | None = None) -> list[str]:
    """What is wrong, a line each."""
    with pytest.raises(ConfigError) as caught:
        storage(folder, environ, output)
    return [line.strip() for line in str(caught.value).splitlines()]


def test_the_configuration_that_people_have(tmp_path: Path) -> None:
    """The bucket's section beside the backend's name is all it takes."""
    (tmp_path / "config.toml").write_text(
        '[storage]\nbackend = "s3"\n[storage.s3]\nbucket = "my-data"\nregion = "us-west-2"\n'
    )
    config = storage(tmp_path)
    assert location_of(config) == Location("s3", "my-data", region="us-west-2")
    assert location_of(config).url == "s3://my-data"


@pytest.mark.parametrize(
    ("url", "location"),
    [
        ("s3://my-data", Location("s3", "my-data")),
        ("s3://my-data/a/b/", Location("s3", "my-data", "a/b")),
        ("S3A://my-data/a", Location("s3", "my-data", "a")),
        (
            "s3://my-data/a?endpoint=http://127.0.0.1:9000&region=x",
            Location("s3", "my-data", "a", "http://127.0.0.1:9000", "x"),
        ),
        ("r2://my-data/a?account=0123", Location("r2", "my-data", "a", account="0123")),
        ("gs://my-data/a", Location("gcs", "my-data", "a")),
        ("az://my-data/a?account=me", Location("azure", "my-data", "a", account="me")),
    ],
)
def test_a_url_is_as_good_as_keys(url: str, location: Location, tmp_path: Path) -> None:
    """As a setting, in the environment and on the command line."""
    assert parse_location(url) == location
    keys = {name: value for name, value in R2.items() if "BUCKET" not in name}
    for config in (
        storage(tmp_path, keys | {"OTLP2PARQUET_STORAGE_URL": url}),
        storage(tmp_path, keys, output=url),
    ):
        assert location_of(config) == location
    again = parse_location(location.url)
    assert (again.backend, again.url) == (location.backend, location.url)


def test_other_urls(tmp_path: Path) -> None:
    """A file's is a folder, and what is none of ours is fsspec's."""
    config = storage(tmp_path, output="file:///data/a%20b")
    assert (config.backend, config.fs.path) == ("fs", Path("/data/a b"))
    config = storage(tmp_path, output="sftp://host/folder")
    assert (config.backend, config.fsspec.url) == ("fsspec", "sftp://host/folder")


@pytest.mark.parametrize("path", ["data", "./s3:/x", "/a/b", "C:/x", "C:\\x", "s3:x"])
def test_paths_are_no_urls(path: str) -> None:
    """What could be a folder's name is taken for one."""
    assert not is_url(path)


def test_a_path_on_the_command_line_wins_over_a_bucket(tmp_path: Path) -> None:
    """Who says where the files go is not asked about what a file says."""
    (tmp_path / "config.toml").write_text('[storage]\nurl = "s3://my-data/a"\n')
    config = storage(tmp_path, output="here")
    assert (config.backend, config.fs.path, config.url) == ("fs", Path("here"), "")


def test_a_url_wins_over_keys_below_it(tmp_path: Path) -> None:
    """A higher source replaces bucket and prefix together, and keeps the rest of the section."""
    (tmp_path / "config.toml").write_text(
        '[storage]\nbackend = "s3"\n'
        '[storage.s3]\nbucket = "old"\nprefix = "p"\nendpoint = "https://minio.example"\n'
    )
    config = storage(tmp_path, {"OTLP2PARQUET_STORAGE_URL": "s3://new"})
    assert location_of(config) == Location("s3", "new", endpoint="https://minio.example")


def test_a_url_that_contradicts_its_own_source(tmp_path: Path) -> None:
    """Two places in one file are an error, not a guess."""
    (tmp_path / "config.toml").write_text(
        '[storage]\nurl = "s3://one"\n[storage.s3]\nbucket = "two"\n'
    )
    _, line = errors(tmp_path, {})
    assert line.startswith("storage.s3.bucket (file ")
    assert 'found "two", expected "one"' in line


@pytest.mark.parametrize(
    "url",
    ["s3://", "s3:///x", "s3://b-1/../x", "s3://b-1/a//b", "s3://b-1?secret=1", "file://host/x",
     "gs://b/./x", "no url"],
)  # fmt: skip
def test_a_url_that_is_none(url: str, tmp_path: Path) -> None:
    """It is named, and what would leave the bucket's prefix is refused."""
    _, line = errors(tmp_path, {"OTLP2PARQUET_STORAGE_URL": url})
    assert line.startswith("storage.url (environment OTLP2PARQUET_STORAGE_URL)")


def test_a_bucket_without_a_backend(tmp_path: Path) -> None:
    """Rows must not go to a local disk because a word is missing."""
    _, line = errors(tmp_path, {"OTLP2PARQUET_S3_BUCKET": "b-1"})
    assert "storage.backend is not set" in line
    assert "expected storage.backend = s3" in line
    chosen = {"OTLP2PARQUET_S3_BUCKET": "b-1", "OTLP2PARQUET_STORAGE_BACKEND": "fs"}
    assert storage(tmp_path, chosen).backend == "fs"


@pytest.mark.parametrize(
    ("backend", "missing"),
    [
        ("s3", ["storage.s3.bucket"]),
        (
            "r2",
            ["storage.r2.bucket", "storage.r2.access_key_id", "storage.r2.secret_access_key",
             "storage.r2.account_id"],
        ),
        ("gcs", ["storage.gcs.bucket"]),
        ("azure", ["storage.azure.container"]),
        ("fsspec", ["storage.fsspec.url"]),
    ],
)  # fmt: skip
def test_what_a_backend_needs(backend: str, missing: list[str], tmp_path: Path) -> None:
    """Everything that is missing is said at once."""
    lines = errors(tmp_path, {"OTLP2PARQUET_STORAGE_BACKEND": backend})
    assert [line.partition(" ")[0] for line in lines[1:]] == missing


def test_r2_by_account_or_by_endpoint(tmp_path: Path) -> None:
    """Each is enough; the endpoint counts if there are both."""
    environ = R2 | {"OTLP2PARQUET_STORAGE_BACKEND": "r2", "OTLP2PARQUET_R2_ACCOUNT_ID": "0123"}
    assert location_of(storage(tmp_path, environ)).url == "r2://b-1?account=0123"
    environ["OTLP2PARQUET_R2_ENDPOINT"] = "http://127.0.0.1:1"
    assert location_of(storage(tmp_path, environ)).url == "r2://b-1?endpoint=http://127.0.0.1:1"


@pytest.mark.parametrize("endpoint", ["minio:9000", "ftp://x", "http://", "https://x?y=1"])
def test_an_endpoint_is_a_url(endpoint: str, tmp_path: Path) -> None:
    """Whether HTTP is spoken in the clear is said by it, so it has to say it."""
    environ = {"OTLP2PARQUET_S3_ENDPOINT": endpoint, "OTLP2PARQUET_STORAGE_URL": "s3://b-1"}
    _, line = errors(tmp_path, environ)
    assert "expected a URL that begins with https:// or http://" in line


def test_the_log_lies_beside_the_files_or_here(tmp_path: Path) -> None:
    """A bucket has no room for it: then it is in the folder the process starts in."""
    config = load(environ={"OTLP2PARQUET_STORAGE_URL": "s3://b-1"}, folder=tmp_path).config
    assert config.log_path == Path(".otlp2parquet")
