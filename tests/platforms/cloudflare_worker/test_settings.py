"""What a Worker reads of its variables: the names and spellings that settings have everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from otlp2parquet.catalogs.r2 import connection
from otlp2parquet.config import load
from otlp2parquet.config.settings import settings
from otlp2parquet.errors import ConfigError
from otlp2parquet.platforms.cloudflare_worker.settings import (
    NAMES,
    PREFIX,
    CatalogSettings,
    WorkerSettings,
    read_settings,
)

if TYPE_CHECKING:
    from pathlib import Path

SPELLINGS = {
    "server.auth.tokens": ["a", "a,b", " a , b\nc ", "", " ", "ä", "a b", "***"],
    "server.log_level": ["trace", "debug", "info", "warn", "WARNING", "error", "loud"],
    "server.path_prefix": ["", "/", "/otlp", "/a/b/", "otlp", "/a b"],
    "request.max_payload_bytes": [
        "1000000", "1MiB", "1.5 MB", "1.5mb", "8 kib", "12b", "-1", "0", "many", "1 XB", "", "1.5",
    ],
    "storage.layout": ["service", "HOUR", "classic", "table", ""],
    "storage.r2.prefix": ["", "a", "/a/b/", "a//b", "../a", ".", " a ", "a\\b"],
}  # fmt: skip


def test_nothing_has_to_be_set() -> None:
    """The endpoint is open then, and takes 8 MiB."""
    assert read_settings({}) == WorkerSettings()
    assert WorkerSettings().max_payload_bytes == 8 << 20


def test_names_are_those_of_every_platform() -> None:
    """The long ones and the short ones."""
    rows = {row.key: row for row in settings()}
    for key, names in NAMES.items():
        expected = tuple(dict.fromkeys(rows[key].env_names))
        assert tuple(PREFIX + name for name in names) == expected


@pytest.mark.parametrize("key", SPELLINGS)
def test_spellings_are_those_of_every_platform(key: str) -> None:
    """What is taken for what, and what is refused."""
    kind = next(row.kind for row in settings() if row.key == key)
    field = key.rpartition(".")[2]
    for text in SPELLINGS[key]:
        try:
            expected = kind.from_text(text)
        except ValueError:
            expected = None
        if key == "storage.r2.prefix" and expected is not None:
            expected = expected.strip("/")  # the others take slashes off where it is used
        if text == "1.5":  # half a byte
            expected = None
        for name in NAMES[key]:
            try:
                found = getattr(read_settings({PREFIX + name: text}), field)
            except ConfigError:
                found = None
            assert found == expected, (name, text)


def test_a_size_has_a_bound() -> None:
    """A Worker has 128 MB of memory."""
    with pytest.raises(ConfigError, match="from 1 to 33554432"):
        read_settings({"OTLP2PARQUET_MAX_PAYLOAD_BYTES": "64MiB"})


def test_all_that_is_wrong_is_said_at_once() -> None:
    """With the name of each variable; secrets are not repeated."""
    with pytest.raises(ConfigError) as raised:
        read_settings(
            {
                "OTLP2PARQUET_STORAGE_LAYOUT": "deep",
                "OTLP2PARQUET_SERVER_AUTH_TOKENS": "pass word",
                "OTLP2PARQUET_LOG_LEVEL": "loud",
            }
        )
    text = str(raised.value)
    assert "storage.layout (OTLP2PARQUET_STORAGE_LAYOUT): found" in text
    assert "server.auth.tokens (OTLP2PARQUET_SERVER_AUTH_TOKENS): found another text" in text
    assert "server.log_level (OTLP2PARQUET_LOG_LEVEL): found" in text
    assert "pass" not in text


R2 = {
    "OTLP2PARQUET_CATALOG_TYPE": "R2",
    "OTLP2PARQUET_R2_ACCOUNT_ID": "0123abc",
    "OTLP2PARQUET_R2_BUCKET": "otlp",
    "OTLP2PARQUET_ICEBERG_TOKEN": "secret",
}


def test_a_catalog_is_not_ignored() -> None:
    """Whoever asks for one that there is not must not find out later."""
    assert read_settings({"OTLP2PARQUET_CATALOG_TYPE": "none"}) == WorkerSettings()
    with pytest.raises(
        ConfigError, match=r"catalog.type .*found \"glue\", .*expected one of none, r2"
    ):
        read_settings({"OTLP2PARQUET_CATALOG_TYPE": "glue"})
    del_type = {name: value for name, value in R2.items() if name != "OTLP2PARQUET_CATALOG_TYPE"}
    assert read_settings(del_type) == WorkerSettings()


def test_the_address_of_r2s_catalog_follows_from_account_and_bucket(tmp_path: Path) -> None:
    """As it does for a server; the token is shown nowhere."""
    found = read_settings(R2).catalog
    assert found is not None
    own = {"STORAGE_BACKEND": "r2", "R2_ACCESS_KEY_ID": "a", "R2_SECRET_ACCESS_KEY": "b"}
    beside = {f"OTLP2PARQUET_{name}": value for name, value in own.items()}
    properties = connection(load(environ={**R2, **beside}, folder=tmp_path).config).properties
    assert (found.uri, found.warehouse) == (properties["uri"], properties["warehouse"])
    assert (found.bucket, found.token) == ("otlp", "secret")
    assert (found.namespace, found.partition) == (("otlp",), "day")
    assert "secret" not in repr(found)


def test_another_catalog_of_its_protocol_has_an_address() -> None:
    """And needs neither account nor token; the bucket's name stands in URIs of files."""
    found = read_settings(
        {
            "OTLP2PARQUET_CATALOG_TYPE": "r2",
            "OTLP2PARQUET_R2_BUCKET": "otlp",
            "OTLP2PARQUET_ICEBERG_REST_URI": "http://127.0.0.1:1/",
            "OTLP2PARQUET_ICEBERG_WAREHOUSE": "w",
            "OTLP2PARQUET_ICEBERG_NAMESPACE": "a.b",
            "OTLP2PARQUET_ICEBERG_PARTITION": "hour",
        }
    ).catalog
    assert found == CatalogSettings(
        "http://127.0.0.1:1", "w", "otlp", namespace=("a", "b"), partition="hour"
    )


def test_what_the_catalog_needs_is_said_at_once() -> None:
    """Each by the name of its variable; what is wrong is not missing, too."""
    with pytest.raises(ConfigError) as raised:
        read_settings({"OTLP2PARQUET_CATALOG_TYPE": "r2", "OTLP2PARQUET_R2_ACCOUNT_ID": "a/b"})
    text = str(raised.value)
    assert text.count("storage.r2.account_id") == 1
    for name in ("R2_BUCKET", "ICEBERG_TOKEN"):
        assert f"(OTLP2PARQUET_{name}): found none, expected one for the catalog r2" in text


def test_what_has_no_effect_is_a_warning() -> None:
    """A secret with a name that is not quite right would leave the endpoint open in silence."""
    found = read_settings({"OTLP2PARQUET_AUTH_TOKENS": "a", "OTHER": "b"})
    assert found.warnings == ("OTLP2PARQUET_AUTH_TOKENS has no effect in a Worker",)
    assert found.tokens == ()
