"""Configuration: where values come from, what is refused, and what is shown."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from hypothesis import example, given
from hypothesis import strategies as st

from otlp2parquet.cli.config import config as config_command
from otlp2parquet.config import Address, Config, Flags, Loaded, load
from otlp2parquet.config.load import read_layers, resolve
from otlp2parquet.config.row import Setting
from otlp2parquet.config.settings import NOT_YET, cores, settings
from otlp2parquet.config.show import MASK, effective, settings_page
from otlp2parquet.config.values import text
from otlp2parquet.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

KEYS = [row.key for row in settings()]

# For each setting another value than the default: as TOML text, as environment text.
OTHER = {
    "server.listen_addr": ('"0.0.0.0:4319"', "0.0.0.0:4319"),
    "server.grpc_addr": ('"[::1]:14317"', "[::1]:14317"),
    "server.log_level": ('"debug"', "debug"),
    "server.log_format": ('"json"', "json"),
    "server.path_prefix": ('"/otlp/"', "/otlp"),
    "server.page": ("true", "yes"),
    "server.idle_timeout_secs": ('"10m"', "600"),
    "server.threads": ("77", "77"),
    "server.auth.tokens": ('["one", "two"]', "one,two"),
    "server.tls.cert": ('"cert.pem"', "cert.pem"),
    "server.tls.key": ('"key.pem"', "key.pem"),
    "server.tls.client_ca": ('"ca.pem"', "ca.pem"),
    "server.tls.min_version": ('"1.3"', "1.3"),
    "server.cors.allowed_origins": ('["https://a", "https://b"]', "https://a, https://b"),
    "server.cors.allowed_headers": ('["x-a"]', "x-a"),
    "server.cors.max_age_secs": ("9", "9s"),
    "request.max_payload_bytes": ("1000", "1000"),
    "batch.enabled": ("false", "false"),
    "batch.max_rows": ("10", "10"),
    "batch.max_bytes": ("2000", "2 kB"),
    "batch.max_age_secs": ("0.5", "0.5"),
    "batch.memory_bytes": ("1_000_000_000", "1_000_000_000"),
    "durability.mode": ('"MEMORY"', "Memory"),
    "durability.path": ('"log"', "log"),
    "durability.max_bytes": ("2_000_000", "2_000_000"),
    "storage.backend": ('"S3"', "S3"),
    "storage.url": ('"gs://b-1/p"', "gs://b-1/p"),
    "storage.timeout_secs": ("9", "9"),
    "storage.ca_file": ('"ca.pem"', "ca.pem"),
    "storage.layout": ('"hour"', "Hour"),
    "storage.fs.path": ('"other"', "other"),
    "storage.s3.bucket": ('"b-1"', "b-1"),
    "storage.s3.region": ('"eu-central-1"', "eu-central-1"),
    "storage.s3.endpoint": ('"https://s3.example:9"', "https://s3.example:9"),
    "storage.s3.prefix": ('"a/b"', "a/b"),
    "storage.s3.path_style": ("false", "false"),
    "storage.r2.bucket": ('"b-1"', "b-1"),
    "storage.r2.account_id": ('"0123"', "0123"),
    "storage.r2.access_key_id": ('"id"', "id"),
    "storage.r2.secret_access_key": ('"secret"', "secret"),
    "storage.r2.endpoint": ('"https://r2.example"', "https://r2.example"),
    "storage.r2.prefix": ('"a/b"', "a/b"),
    "storage.gcs.bucket": ('"b-1"', "b-1"),
    "storage.gcs.service_account_key": ('"{}"', "{}"),
    "storage.gcs.endpoint": ('"https://gcs.example"', "https://gcs.example"),
    "storage.gcs.prefix": ('"a/b"', "a/b"),
    "storage.azure.container": ('"b-1"', "b-1"),
    "storage.azure.account_name": ('"name"', "name"),
    "storage.azure.account_key": ('"secret"', "secret"),
    "storage.azure.endpoint": ('"https://azure.example/name"', "https://azure.example/name"),
    "storage.azure.prefix": ('"a/b"', "a/b"),
    "storage.fsspec.url": ('"memory://x"', "memory://x"),
    "parquet.compression": ('"gzip"', "gzip"),
    "parquet.level": ("9", "9"),
    "parquet.row_group_rows": ("4096", "4096"),
    "catalog.type": ('"SQL"', "Sql"),
    "catalog.uri": ('"sqlite:///a.db"', "sqlite:///a.db"),
    "catalog.warehouse": ('"lake"', "lake"),
    "iceberg.rest_uri": ('"http://nessie:19120/api/v1"', "http://nessie:19120/api/v1"),
    "iceberg.warehouse": ('"w"', "w"),
    "iceberg.namespace": ('"otel"', "otel"),
    "iceberg.token": ('"hush"', "hush"),
    "iceberg.credential": ('"id:hush"', "id:hush"),
    "iceberg.bucket_arn": (
        '"arn:aws:s3tables:us-west-2:123456789012:bucket/tables"',
        "arn:aws:s3tables:us-west-2:123456789012:bucket/tables",
    ),
    "iceberg.endpoint": ('"http://glue:1"', "http://glue:1"),
    "iceberg.partition": ('"hour"', "Hour"),
    "iceberg.commit_interval_secs": ("9", "9s"),
    "iceberg.keep_snapshots": ("7", "7"),
    "iceberg.timeout_secs": ("9", "9s"),
    "iceberg.properties": ('["a=1", "b.c=x=y"]', "a=1,b.c=x=y"),
    "iceberg.tables.logs": ('"a"', "a"),
    "iceberg.tables.traces": ('"a"', "a"),
    "iceberg.tables.metrics_gauge": ('"a"', "a"),
    "iceberg.tables.metrics_sum": ('"a"', "a"),
    "iceberg.tables.metrics_histogram": ('"a"', "a"),
    "iceberg.tables.metrics_exponential_histogram": ('"a"', "a"),
    "iceberg.tables.metrics_summary": ('"a"', "a"),
}
BESIDE = {
    "server.tls.cert": {"OTLP2PARQUET_SERVER_TLS_KEY": "k"},
    "server.tls.key": {"OTLP2PARQUET_SERVER_TLS_CERT": "c"},
    "server.tls.client_ca": {
        "OTLP2PARQUET_SERVER_TLS_CERT": "c",
        "OTLP2PARQUET_SERVER_TLS_KEY": "k",
    },
    "storage.backend": {"OTLP2PARQUET_S3_BUCKET": "b-1"},
    "storage.s3.bucket": {"OTLP2PARQUET_STORAGE_BACKEND": "s3"},
    "storage.r2.bucket": {"OTLP2PARQUET_STORAGE_BACKEND": "fs"},
    "storage.gcs.bucket": {"OTLP2PARQUET_STORAGE_BACKEND": "gcs"},
    "storage.azure.container": {"OTLP2PARQUET_STORAGE_BACKEND": "azure"},
    "storage.fsspec.url": {"OTLP2PARQUET_STORAGE_BACKEND": "fsspec"},
    "iceberg.warehouse": {"OTLP2PARQUET_CATALOG_TYPE": "sql"},
    "iceberg.token": {"OTLP2PARQUET_CATALOG_TYPE": "none"},
    "iceberg.credential": {"OTLP2PARQUET_ICEBERG_REST_URI": "http://c"},
}
"""What some settings cannot be without."""


def in_effect(loaded: Loaded, key: str) -> object:
    """A setting's value as it is shown."""
    return effective(loaded.config, loaded.sources)[key][0]


def toml(key: str, value: str) -> str:
    """A document that sets one key."""
    section, _, name = key.rpartition(".")
    return f"[{section}]\n{name} = {value}\n"


def errors_of(folder: Path, environ: Mapping[str, str] | None = None) -> list[str]:
    """The error lines of a configuration that must not load."""
    with pytest.raises(ConfigError) as caught:
        load(environ=environ or {}, folder=folder)
    head, *lines = str(caught.value).splitlines()
    count = "1 error" if len(lines) == 1 else f"{len(lines)} errors"
    assert head == f"the configuration has {count}:"
    return [line.removeprefix("  ") for line in lines]


def test_without_any_source_the_defaults_hold(tmp_path: Path) -> None:
    """Nobody needs a configuration to start."""
    loaded = load(environ={}, folder=tmp_path)
    assert loaded.config == Config()
    assert set(loaded.sources) == set(KEYS)
    assert set(loaded.sources.values()) == {"default"}
    assert loaded.warnings == ()


def test_the_promised_defaults_are_these(tmp_path: Path) -> None:
    """The documented defaults are the ones in force."""
    config = load(environ={}, folder=tmp_path).config
    assert config.server.listen_addr == Address("127.0.0.1", 4318)
    assert (config.server.log_level, config.server.log_format) == ("info", "text")
    assert config.request.max_payload_bytes == 64 << 20
    assert (config.batch.max_rows, config.batch.max_bytes) == (1_000_000, 128 << 20)
    assert (config.batch.max_age_secs, config.batch.enabled) == (60, True)
    assert config.batch.memory_bytes == 512 << 20
    assert (config.storage.backend, config.storage.fs.path) == ("fs", Path("data"))
    assert config.storage.layout == "service"
    assert (config.server.path_prefix, config.server.idle_timeout_secs) == ("", 300)
    assert (config.durability.mode, config.durability.max_bytes) == ("fsync", 4 << 30)
    assert config.log_path == Path("data", ".otlp2parquet")
    assert (config.parquet.compression, config.parquet.row_group_rows) == ("zstd", 262_144)


@pytest.mark.parametrize("key", KEYS)
def test_every_setting_can_come_from_a_file_or_the_environment(key: str, tmp_path: Path) -> None:
    """A row of the table is all it takes: TOML key, long name and short form work alike."""
    in_file, in_environment = OTHER[key]
    default = in_effect(load(environ={}, folder=tmp_path), key)
    (tmp_path / "config.toml").write_text(toml(key, in_file))
    beside = BESIDE.get(key, {})
    from_file = load(environ=beside, folder=tmp_path)
    value = in_effect(from_file, key)
    assert value != default
    assert from_file.sources[key] == f"file {tmp_path / 'config.toml'}"

    (tmp_path / "config.toml").unlink()
    (row,) = (row for row in settings() if row.key == key)
    for name in row.env_names:
        loaded = load(environ={name: in_environment} | beside, folder=tmp_path)
        assert in_effect(loaded, key) == value
        assert loaded.sources[key] == f"environment {name}"


@pytest.mark.parametrize(
    ("short", "key", "value"),
    [
        ("LISTEN_ADDR", "server.listen_addr", "[::1]:9"),
        ("LOG_LEVEL", "server.log_level", "warn"),
        ("LOG_FORMAT", "server.log_format", "json"),
        ("MAX_PAYLOAD_BYTES", "request.max_payload_bytes", 5),
        ("BATCH_MAX_ROWS", "batch.max_rows", 5),
        ("BATCH_MAX_BYTES", "batch.max_bytes", 5),
        ("BATCH_MAX_AGE_SECS", "batch.max_age_secs", 5.0),
        ("BATCH_ENABLED", "batch.enabled", False),
        ("STORAGE_BACKEND", "storage.backend", "fs"),
        ("STORAGE_PATH", "storage.fs.path", "p"),
    ],
)
def test_short_names_are_kept(short: str, key: str, value: object, tmp_path: Path) -> None:
    """Variables that existing deployments set keep their meaning."""
    loaded = load(environ={f"OTLP2PARQUET_{short}": str(value).lower()}, folder=tmp_path)
    assert in_effect(loaded, key) == value


def test_the_order_of_the_sources(tmp_path: Path) -> None:
    """Flags, environment, named file, inline TOML, config.toml, .otlp2parquet.toml, defaults."""
    named = tmp_path / "named.toml"
    by_option = tmp_path / "option.toml"
    (tmp_path / ".otlp2parquet.toml").write_text('[storage.fs]\npath = "hidden"\n')
    (tmp_path / "config.toml").write_text('[storage.fs]\npath = "plain"\n')
    named.write_text('[storage.fs]\npath = "named"\n')
    by_option.write_text('[storage.fs]\npath = "option"\n')
    environ = {
        "OTLP2PARQUET_STORAGE_PATH": "environment",
        "OTLP2PARQUET_CONFIG": str(named),
        "OTLP2PARQUET_CONFIG_CONTENT": '[storage.fs]\npath = "inline"\n',
    }

    def path(flags: Flags | None = None) -> str:
        return str(load(flags, environ=environ, folder=tmp_path).config.storage.fs.path)

    assert path(Flags(config=by_option, output=Path("flag"))) == "flag"
    assert path(Flags(config=by_option)) == "environment"
    del environ["OTLP2PARQUET_STORAGE_PATH"]
    assert path(Flags(config=by_option)) == "option"
    assert path() == "named"
    del environ["OTLP2PARQUET_CONFIG"]
    assert path() == "inline"
    del environ["OTLP2PARQUET_CONFIG_CONTENT"]
    assert path() == "plain"
    (tmp_path / "config.toml").unlink()
    assert path() == "hidden"
    (tmp_path / ".otlp2parquet.toml").unlink()
    assert path() == "data"


def test_sources_merge_key_by_key(tmp_path: Path) -> None:
    """A source that sets one key of a section leaves the others to the sources below."""
    (tmp_path / ".otlp2parquet.toml").write_text("[batch]\nmax_rows = 1\nmax_age_secs = 9\n")
    (tmp_path / "config.toml").write_text("[batch]\nmax_rows = 2\n")
    loaded = load(environ={"OTLP2PARQUET_BATCH_MAX_BYTES": "3"}, folder=tmp_path)
    batch = loaded.config.batch
    assert (batch.max_rows, batch.max_age_secs, batch.max_bytes) == (2, 9, 3)
    assert batch.memory_bytes == Config().batch.memory_bytes


def test_all_errors_come_at_once_with_key_source_and_expectation(tmp_path: Path) -> None:
    """One correction is enough: nothing hides behind the first error."""
    file = tmp_path / "config.toml"
    file.write_text(
        'server = 5\n[batch]\nmax_rows = "many"\nmax_row = 7\nmemory_bytes = 1000\n'
        '[parquet]\ncompression = "snappy"\nlevel = 3\n'
    )
    environ = {
        "OTLP2PARQUET_BATCH_MAX_AGE_SECS": "-1",
        "OTLP2PARQUET_STORAGE_BACKEND": "s4",
        "OTLP2PARQUET_CONFIG": str(tmp_path / "absent.toml"),
        "OTLP2PARQUET_CONFIG_CONTENT": "not toml",
        "OTLP2PARQUET_LISTEN_ADDR": "4318",
    }
    lines = errors_of(tmp_path, environ)
    expected = [
        f"server (file {file}): found 5, expected a section",
        f'batch.max_rows (file {file}): found "many", expected a whole number of at least 1',
        f"batch.max_row (file {file}): unknown key; the nearest known one is batch.max_rows",
        (
            "batch.max_age_secs (environment OTLP2PARQUET_BATCH_MAX_AGE_SECS): found -1.0, "
            'expected a number of seconds above 0, or one with a unit ("500ms", "10s", "5m", "1h")'
        ),
        (
            'storage.backend (environment OTLP2PARQUET_STORAGE_BACKEND): found "s4", expected one '
            "of fs, s3, r2, gcs, azure, fsspec"
        ),
        f"file {tmp_path / 'absent.toml'}: cannot be read: No such file or directory",
        (
            'server.listen_addr (environment OTLP2PARQUET_LISTEN_ADDR): found "4318", expected an '
            'address of the form "host:port"'
        ),
        (
            f"batch.memory_bytes (file {file}): found 1000, expected at least 268435456: room "
            "for one batch, batch.max_bytes (default), and one body, as sent and inflated, "
            "request.max_payload_bytes (default)"
        ),
        (
            f"parquet.level (file {file}): found 3, expected 0: parquet.compression (file {file}) "
            "is snappy, which has no levels"
        ),
    ]
    inline = [line for line in lines if line.startswith("OTLP2PARQUET_CONFIG_CONTENT: not valid")]
    assert len(inline) == 1
    assert sorted(expected) == sorted(set(lines) - set(inline))


def test_a_file_that_is_read_anyway_is_one_when_it_is_named(tmp_path: Path) -> None:
    """What is wrong in it is said once."""
    (tmp_path / "config.toml").write_text("[batch]\nmax_rows = 0\n")
    assert len(errors_of(tmp_path, {"OTLP2PARQUET_CONFIG": "config.toml"})) == 1


def test_a_wrong_value_is_an_error_also_where_it_is_overridden(tmp_path: Path) -> None:
    """What is wrong in a file is said today, not on the day the variable goes away."""
    (tmp_path / "config.toml").write_text("[batch]\nmax_rows = 0\n")
    assert len(errors_of(tmp_path, {"OTLP2PARQUET_BATCH_MAX_ROWS": "5"})) == 1


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("server.threads", "true"),
        ("server.threads", "0"),
        ("server.threads", "1.0"),
        ("batch.enabled", "1"),
        ("batch.enabled", '"true"'),
        ("batch.max_rows", '"5"'),
        ("batch.max_rows", str(1 << 31)),
        ("parquet.row_group_rows", str(1 << 63)),
        ("batch.memory_bytes", str(1 << 64)),
        ("server.idle_timeout_secs", "1e17"),
        ("batch.max_age_secs", "nan"),
        ("batch.max_age_secs", "inf"),
        ("batch.max_age_secs", "true"),
        ("batch.max_age_secs", "0"),
        ("batch.max_age_secs", '"5"'),
        ("batch.max_age_secs", '"5 parsecs"'),
        ("batch.max_age_secs", '"-5s"'),
        ("batch.max_age_secs", '"0s"'),
        ("server.cors.max_age_secs", '"2d"'),
        ("batch.max_bytes", "1.5"),
        ("batch.max_bytes", '"5"'),
        ("batch.max_bytes", '"0.5 B"'),
        ("batch.max_bytes", '"5 MBit"'),
        ("batch.max_bytes", '"5M"'),
        ("request.max_payload_bytes", '"193 MiB"'),
        ("request.max_payload_bytes", "201326593"),
        ("server.path_prefix", '"otlp"'),
        ("server.path_prefix", '"/a//b"'),
        ("server.path_prefix", '"/a?b"'),
        ("server.path_prefix", "7"),
        ("server.cors.allowed_origins", '["shop.example"]'),
        ("server.cors.allowed_origins", '["https://shop.*.example"]'),
        ("server.cors.allowed_origins", '["https://shop.example/page"]'),
        ("server.auth.tokens", "[]"),
        ("server.auth.tokens", '[""]'),
        ("server.auth.tokens", '[" ", "\\t"]'),
        ("server.auth.tokens", '""'),
        ("server.tls.cert", '""'),
        ("server.tls.key", '""'),
        ("server.tls.client_ca", '""'),
        ("storage.layout", '"daily"'),
        ("storage.fs.path", '""'),
        ("storage.fs.path", "7"),
        ("server.listen_addr", '"localhost"'),
        ("server.listen_addr", '"localhost:70000"'),
        ("server.listen_addr", '"::1:4318"'),
        ("server.listen_addr", '":4318"'),
        ("server.log_level", '"loud"'),
        ("parquet.level", "23"),
        ("batch.max_bytes", "{ a = 1 }"),
    ],
)
def test_a_value_that_does_not_fit_is_refused(key: str, value: str, tmp_path: Path) -> None:
    """Types are not bent in files: a wrong one is named with its key."""
    (tmp_path / "config.toml").write_text(toml(key, value))
    (line,) = errors_of(tmp_path)
    assert line.startswith(f"{key} (file ")
    assert "expected" in line


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("batch.max_age_secs", "500ms", 0.5),
        ("batch.max_age_secs", "10s", 10.0),
        ("batch.max_age_secs", "1.5 m", 90.0),
        ("batch.max_age_secs", "2 min", 120.0),
        ("batch.max_age_secs", "1H", 3600.0),
        ("batch.max_age_secs", "1d", 86_400.0),
        ("batch.max_age_secs", ".5s", 0.5),
        ("server.cors.max_age_secs", "0s", 0.0),
        ("batch.max_bytes", "512B", 512),
        ("batch.max_bytes", "1 kB", 1000),
        ("batch.max_bytes", "1KiB", 1024),
        ("batch.max_bytes", "64 MB", 64_000_000),
        ("batch.max_bytes", "64mib", 64 << 20),
        ("batch.max_bytes", "0.5GiB", 1 << 29),
        ("durability.max_bytes", "1TiB", 1 << 40),
        ("request.max_payload_bytes", "192MiB", 192 << 20),
        ("server.log_level", "Warning", "warn"),
        ("server.log_level", "WARN", "warn"),
        ("server.log_level", "err", "error"),
        ("server.log_level", "critical", "error"),
    ],
)
def test_units_and_spellings(key: str, text: str, value: object, tmp_path: Path) -> None:
    """As people write them, in a file and in the environment."""
    (row,) = (row for row in settings() if row.key == key)
    beside = {"OTLP2PARQUET_BATCH_MEMORY_BYTES": "4 GiB"}
    loaded = load(environ={row.env_names[0]: text} | beside, folder=tmp_path)
    assert in_effect(loaded, key) == value
    (tmp_path / "config.toml").write_text(toml(key, f'"{text}"'))
    assert in_effect(load(environ=beside, folder=tmp_path), key) == value


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("HTTPS://Shop.Example", "https://shop.example"),
        ("https://shop.example/", "https://shop.example"),
        ("https://shop.example:443", "https://shop.example"),
        ("http://shop.example:80/", "http://shop.example"),
        ("http://shop.example:443", "http://shop.example:443"),
        ("https://*.Shop.example:*", "https://*.shop.example:*"),
        ("http://[::1]:3000", "http://[::1]:3000"),
        ("*", "*"),
        ("null", "null"),
    ],
)
def test_origins_are_compared_as_browsers_send_them(
    written: str, meant: str, tmp_path: Path
) -> None:
    """In lower case, without a scheme's own port, without a slash."""
    environ = {"OTLP2PARQUET_SERVER_CORS_ALLOWED_ORIGINS": written}
    assert load(environ=environ, folder=tmp_path).config.server.cors.allowed_origins == (meant,)


@pytest.mark.parametrize(
    ("word", "value"),
    [("TRUE", True), ("1", True), ("on", True), ("yes", True), ("no", False), ("Off", False)],
)
def test_truth_values_in_the_environment(word: str, value: object, tmp_path: Path) -> None:
    """The environment has only text: the usual words stand for true and false."""
    loaded = load(environ={"OTLP2PARQUET_BATCH_ENABLED": word}, folder=tmp_path)
    assert loaded.config.batch.enabled is value


@pytest.mark.parametrize("make", ["folder", "binary", "dangling"])
def test_a_file_that_cannot_be_read_is_an_error(make: str, tmp_path: Path) -> None:
    """A default file that is there but unreadable is never taken for no file."""
    path = tmp_path / "config.toml"
    if make == "folder":
        path.mkdir()
    elif make == "binary":
        path.write_bytes(b"\xff\xfe")
    else:
        path.symlink_to(tmp_path / "nowhere")
    (line,) = errors_of(tmp_path)
    assert line.startswith(f"file {path}: cannot be read: ")


@pytest.mark.parametrize("key", NOT_YET)
def test_what_this_version_lacks_is_refused_not_ignored(key: str, tmp_path: Path) -> None:
    """Who asks for a bucket or a catalog is not given a server without it."""
    (tmp_path / "config.toml").write_text(f"{key} = 1\n")
    (line,) = errors_of(tmp_path)
    assert line == f"{key} (file {tmp_path / 'config.toml'}): not available in this version"
    # A whole section is one error, however much is in it.
    (tmp_path / "config.toml").write_text(f"[{key}]\na = 1\nb = 2\n")
    assert errors_of(tmp_path) == [line]
    (tmp_path / "config.toml").unlink()
    for end in ("", "_TOKENS"):
        name = "OTLP2PARQUET_" + key.upper().replace(".", "_") + end
        assert errors_of(tmp_path, {name: "1"}) == [
            f"environment {name}: not available in this version"
        ]


def test_an_unknown_variable_is_a_warning(tmp_path: Path) -> None:
    """A slip in a variable's name is seen, with the name that was probably meant."""
    environ = {"OTLP2PARQUET_BATCH_MAX_ROW": "hush", "OTHER_VARIABLE": "1"}
    loaded = load(environ=environ, folder=tmp_path)
    assert loaded.config == Config()
    assert loaded.warnings == (
        (
            "environment OTLP2PARQUET_BATCH_MAX_ROW: unknown variable, ignored; the nearest known "
            "one is OTLP2PARQUET_BATCH_MAX_ROWS"
        ),
    )


def test_kubernetes_service_variables_are_ignored_quietly(tmp_path: Path) -> None:
    """A service named otlp2parquet does not disturb the pods beside it."""
    environ = {
        "OTLP2PARQUET_SERVICE_HOST": "10.0.0.1",
        "OTLP2PARQUET_SERVICE_PORT": "4318",
        "OTLP2PARQUET_SERVICE_PORT_OTLP_HTTP": "4318",
        "OTLP2PARQUET_PORT": "tcp://10.0.0.1:4318",
        "OTLP2PARQUET_PORT_4318_TCP": "tcp://10.0.0.1:4318",
        "OTLP2PARQUET_PORT_4318_TCP_PROTO": "tcp",
        "OTLP2PARQUET_PORT_4318_TCP_PORT": "4318",
        "OTLP2PARQUET_PORT_4318_TCP_ADDR": "10.0.0.1",
        "OTLP2PARQUET_METRICS_SERVICE_HOST": "10.0.0.2",
        "OTLP2PARQUET_METRICS_PORT": "tcp://10.0.0.2:9090",
        "OTLP2PARQUET_METRICS_PORT_9090_TCP": "tcp://10.0.0.2:9090",
    }
    assert load(environ=environ, folder=tmp_path).warnings == ()
    # Someone's own idea of how to set the port is no service variable.
    (warning,) = load(environ={"OTLP2PARQUET_PORT": "8080"}, folder=tmp_path).warnings
    assert "OTLP2PARQUET_PORT" in warning


def test_an_empty_variable_counts_as_not_set(tmp_path: Path) -> None:
    """Compose files pass variables on that are empty when the operator did not set them."""
    environ = {row.env_names[0]: "" for row in settings() if not row.guard}
    environ |= {"OTLP2PARQUET_CONFIG": "", "OTLP2PARQUET_CONFIG_CONTENT": "", "OTLP2PARQUET_X": ""}
    loaded = load(environ=environ, folder=tmp_path)
    assert loaded.config == Config()
    assert loaded.warnings == ()


GUARDS = [row for row in settings() if row.guard]


@pytest.mark.parametrize("row", GUARDS, ids=lambda row: str(row.key))
def test_an_empty_guard_is_an_error(row: Setting, tmp_path: Path) -> None:
    """A secret that did not reach its variable must not open the server to everybody."""
    for name in row.env_names:
        for end in ("", "_FILE") if row.secret else ("",):
            (line,) = errors_of(tmp_path, {name + end: ""})
            assert line.startswith(f"{row.key} (environment {name}{end}): found an empty variable")


def test_what_keeps_somebody_out_is_a_guard() -> None:
    """Tokens and all files of TLS; every secret of the server is one."""
    assert {row.key for row in GUARDS} == {
        "server.auth.tokens",
        "server.tls.cert",
        "server.tls.key",
        "server.tls.client_ca",
    }
    assert all(row.guard for row in settings() if row.secret and row.key.startswith("server."))


def test_another_tools_file_is_none_of_ours(tmp_path: Path) -> None:
    """``./config.toml`` is read if it has a section of ours; a file that is named always is."""
    file = tmp_path / "config.toml"
    file.write_text('title = "a site"\n[params]\nmax_rows = 5\n')
    loaded = load(environ={}, folder=tmp_path)
    assert loaded.config == Config()
    assert loaded.warnings == ()
    (note,) = loaded.notes
    assert note == f"file {file} has no section of otlp2parquet, it is not read"
    assert len(errors_of(tmp_path, {"OTLP2PARQUET_CONFIG": str(file)})) == 2
    (tmp_path / ".otlp2parquet.toml").write_text("nonsense = 1\n")
    assert len(errors_of(tmp_path)) == 1
    (tmp_path / ".otlp2parquet.toml").unlink()
    for ours in ("[batch]\n", "[iceberg]\n", "[catalog]\n", "[storage.s3]\n"):
        file.write_text(f"nonsense = 1\n{ours}")
        assert "nonsense" in errors_of(tmp_path)[0]


def test_long_and_short_name_must_agree(tmp_path: Path) -> None:
    """Two names for one setting with two values is a contradiction, not a guess."""
    names = ("OTLP2PARQUET_SERVER_LOG_LEVEL", "OTLP2PARQUET_LOG_LEVEL")
    agreed = load(environ=dict.fromkeys(names, "warn"), folder=tmp_path)
    assert agreed.config.server.log_level == "warn"
    (line,) = errors_of(tmp_path, dict(zip(names, ("warn", "info"), strict=True)))
    assert "set twice" in line
    assert all(name in line for name in names)


def test_flags_replace_only_their_part(tmp_path: Path) -> None:
    """``-p`` keeps the configured host, ``--host`` the port; ``-v`` is log_level = debug."""
    environ = {"OTLP2PARQUET_LISTEN_ADDR": "10.0.0.1:5"}
    loaded = load(Flags(port=6), environ=environ, folder=tmp_path)
    assert loaded.config.server.listen_addr == ("10.0.0.1", 6)
    assert loaded.sources["server.listen_addr"] == "command line --port"
    loaded = load(Flags(host="::1", verbose=True), environ={}, folder=tmp_path)
    assert str(loaded.config.server.listen_addr) == "[::1]:4318"
    assert loaded.config.server.log_level == "debug"


def test_gzip_has_nine_levels(tmp_path: Path) -> None:
    """A level that the chosen compression does not have is found before anything is written."""
    (tmp_path / "config.toml").write_text('[parquet]\ncompression = "gzip"\nlevel = 10\n')
    (line,) = errors_of(tmp_path)
    assert "expected 0 to 9" in line


SECRET = {"key": Setting(text(), "A secret.", "none", "TOKEN", secret=True, key="auth.token")}
SECRET_TABLE = {"auth.token": SECRET["key"]}


def secret_of(environ: Mapping[str, str], folder: Path) -> tuple[object, list[str]]:
    """The value and the errors of a secret setting."""
    chosen, _, errors = resolve(read_layers(None, environ, folder, SECRET_TABLE), SECRET_TABLE)
    return chosen.get("auth.token"), errors


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    """``<NAME>_FILE`` names a file whose content is the secret, without its last line end."""
    (tmp_path / "token").write_text("hush\n")
    for name in ("OTLP2PARQUET_AUTH_TOKEN_FILE", "OTLP2PARQUET_TOKEN_FILE"):
        assert secret_of({name: str(tmp_path / "token")}, tmp_path) == ("hush", [])


def test_in_a_document_too(tmp_path: Path) -> None:
    """``<key>_file`` beside the key; both at once are an error, and so is no file."""
    (tmp_path / "token").write_text("hush\n")
    document = tmp_path / "config.toml"
    document.write_text(f'[auth]\ntoken_file = "{tmp_path / "token"}"\n')
    assert secret_of({}, tmp_path) == ("hush", [])
    for lines in ('token_file = "token"\ntoken = "hush"', 'token = "hush"\ntoken_file = "token"'):
        document.write_text(f"[auth]\n{lines}\n".replace('"token"', f'"{tmp_path / "token"}"'))
        _, (error,) = secret_of({}, tmp_path)
        assert "set twice, as auth.token and as auth.token_file" in error
        assert "hush" not in error
    for wrong in ("7", '""', '"absent"'):
        document.write_text(f"[auth]\ntoken_file = {wrong}\n")
        value, (error,) = secret_of({}, tmp_path)
        assert value is None
        assert f"auth.token (file {document}, auth.token_file): " in error


def test_only_a_secret_has_a_file(tmp_path: Path) -> None:
    """Other settings are written where they are meant."""
    (tmp_path / "config.toml").write_text('[server]\nlog_level_file = "x"\n')
    assert "unknown key" in errors_of(tmp_path)[0]


def test_tokens_come_from_a_file_one_a_line(tmp_path: Path) -> None:
    """As a mounted secret holds them; blank lines and doubles don't count."""
    (tmp_path / "tokens").write_text("first\n\nsecond\r\nfirst\n")
    environ = {"OTLP2PARQUET_SERVER_AUTH_TOKENS_FILE": str(tmp_path / "tokens")}
    loaded = load(environ=environ, folder=tmp_path)
    assert loaded.config.server.auth.tokens == ("first", "second")
    shown = effective(loaded.config, loaded.sources)["server.auth.tokens"]
    assert shown == (MASK, "environment OTLP2PARQUET_SERVER_AUTH_TOKENS_FILE")


@pytest.mark.parametrize(
    "tokens", [" ", "\n", ",", " , \n", "hush hush", "hüsh", "a,hush\x7f", MASK, "a,***"]
)
def test_what_is_no_token_stops_the_start(tokens: str, tmp_path: Path) -> None:
    """An empty file must not open the server to everybody, nor a printed mask be a token."""
    (tmp_path / "tokens").write_text(tokens)
    for environ in (
        {"OTLP2PARQUET_SERVER_AUTH_TOKENS": tokens},
        {"OTLP2PARQUET_SERVER_AUTH_TOKENS_FILE": str(tmp_path / "tokens")},
    ):
        (error,) = errors_of(tmp_path, environ)
        assert error.endswith(
            "expected a list of tokens of visible ASCII characters, without commas"
        )
        assert "hush" not in error


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ('cert = "c"', ["server.tls.cert", "server.tls.key beside it"]),
        ('key = "k"', ["server.tls.key", "server.tls.cert beside it"]),
        ('client_ca = "c"', ["server.tls.client_ca", "server.tls.cert and server.tls.key beside"]),
    ],
)
def test_half_of_tls_is_an_error(document: str, said: list[str], tmp_path: Path) -> None:
    """Who asks for TLS is never given HTTP."""
    (tmp_path / "config.toml").write_text(f"[server.tls]\n{document}\n")
    (error,) = errors_of(tmp_path)
    assert all(text in error for text in said)
    assert "hush" not in error


def test_a_secret_is_never_printed(tmp_path: Path) -> None:
    """Neither by an error about it, nor by the command that shows the configuration."""
    (tmp_path / "config.toml").write_text("[auth]\ntoken = 471147\n")
    value, (error,) = secret_of({}, tmp_path)
    assert value is None
    assert "471147" not in error
    assert "auth.token" in error

    both = {"OTLP2PARQUET_TOKEN": "hush", "OTLP2PARQUET_AUTH_TOKEN": "shush"}
    (tmp_path / "config.toml").unlink()
    _, (error,) = secret_of(both, tmp_path)
    assert "hush" not in error

    _, (error,) = secret_of({"OTLP2PARQUET_TOKEN_FILE": str(tmp_path / "absent")}, tmp_path)
    assert "cannot be read" in error

    class Auth:
        token = "hush"  # noqa: S105 - what must not be seen

    class Root:
        auth = Auth

    shown = effective(Root, {"auth.token": "default"}, SECRET_TABLE.values())
    assert shown == {"auth.token": (MASK, "default")}


@given(
    key=st.sampled_from(KEYS),
    value=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1),
)
@example(key="storage.fs.path", value="~nobody-of-this-name/x")
def test_any_text_in_the_environment_is_a_value_or_a_config_error(key: str, value: str) -> None:
    """Whatever an operator types, the answer is a configuration or a list of errors."""
    (row,) = (row for row in settings() if row.key == key)
    trouble = ""
    try:
        load(environ={row.env_names[0]: value}, folder=Path("/nonexistent"))
    except ConfigError as error:
        trouble = str(error)
    assert not trouble or key in trouble


@pytest.mark.parametrize("path", ["~nobody-of-this-name/token", "/nonexistent/token"])
def test_a_secrets_file_that_cannot_be_is_a_config_error(path: str) -> None:
    """Named with its path, not a traceback."""
    environ = {"OTLP2PARQUET_SERVER_AUTH_TOKENS_FILE": path}
    with pytest.raises(ConfigError, match=re.escape(path)):
        load(environ=environ, folder=Path("/nonexistent"))


@pytest.mark.parametrize(
    ("quota", "expected"), [("150000 100000", 2), ("100000 100000", 1), ("1 100000", 1)]
)
def test_a_container_quota_limits_the_threads(quota: str, expected: int, tmp_path: Path) -> None:
    """A container of two CPUs on a large machine does not start a thread for every core."""
    (tmp_path / "cpu.max").write_text(quota + "\n")
    assert cores(tmp_path / "cpu.max") == min(expected, cores(tmp_path / "absent"))
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert cores(tmp_path / "cpu.max") == cores(tmp_path / "absent") >= 1


def test_the_settings_page_is_current() -> None:
    """docs/settings.md is what the code says: regenerate it as its second line tells."""
    page = Path(__file__).parents[2] / "docs" / "settings.md"
    assert page.read_text(encoding="utf-8") == settings_page()


def test_the_settings_page_has_every_setting_and_variable() -> None:
    """Nothing that can be set is undocumented."""
    page = settings_page()
    for row in settings():
        assert all(f"`{name}`" in page for name in row.env_names)
        assert row.doc in page


@pytest.fixture
def clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, and one variable in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OTLP2PARQUET_LOG_LEVEL", "warn")
    return tmp_path


def test_config_prints_toml_that_means_the_same(clean: Path) -> None:
    """The output is itself a configuration file, with the source beside each value."""
    result = CliRunner().invoke(config_command, [])
    assert result.exit_code == 0
    assert "# environment OTLP2PARQUET_LOG_LEVEL" in result.stdout
    assert tomllib.loads(result.stdout)["server"]["log_level"] == "warn"
    (clean / "config.toml").write_text(result.stdout)
    loaded = load(environ={}, folder=clean)
    before = load(folder=clean / "nowhere").config
    assert loaded.config == before
    unset = {key for key, source in loaded.sources.items() if source == "default"}
    assert unset == {row.key for row in GUARDS}


def test_config_prints_json(clean: Path) -> None:
    """For programs: every setting with value and source."""
    (clean / "my.toml").write_text("[batch]\nmax_age_secs = 2.5\n")
    result = CliRunner().invoke(config_command, ["--format", "json", "-c", "my.toml"])
    assert result.exit_code == 0
    shown = json.loads(result.stdout)
    assert list(shown) == KEYS
    assert shown["batch.max_age_secs"] == {"value": 2.5, "source": "file my.toml"}
    assert shown["server.log_level"]["source"] == "environment OTLP2PARQUET_LOG_LEVEL"


def test_config_reports_errors_with_exit_code_1(clean: Path) -> None:
    """A configuration can be checked before it is deployed."""
    (clean / "config.toml").write_text("nonsense = 1\n[batch]\n")
    result = CliRunner().invoke(config_command, [])
    assert result.exit_code == 1
    assert "nonsense (file config.toml): unknown key" in result.stderr


def test_config_shows_warnings_apart(clean: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Warnings go to standard error, so that the output stays a file."""
    assert clean.is_dir()
    monkeypatch.setenv("OTLP2PARQUET_NONSENSE", "1")
    result = CliRunner().invoke(config_command, [])
    assert result.exit_code == 0
    assert "OTLP2PARQUET_NONSENSE" in result.stderr
    assert "NONSENSE" not in result.stdout
