"""What a Worker reads of its variables: the names and spellings that settings have everywhere."""

from __future__ import annotations

import pytest

from otlp2parquet.config.settings import settings
from otlp2parquet.errors import ConfigError
from otlp2parquet.platforms.cloudflare_worker.settings import (
    NAMES,
    PREFIX,
    WorkerSettings,
    read_settings,
)

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
        if key != "catalog.type":  # another place says its names there
            assert tuple(PREFIX + name for name in names) == rows[key].env_names


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


def test_a_catalog_is_not_ignored() -> None:
    """Whoever asks for one must not find out later that there is none."""
    assert read_settings({"OTLP2PARQUET_CATALOG_TYPE": "none"}) == WorkerSettings()
    with pytest.raises(ConfigError, match=r"catalog.type .*found \"r2\", .*expected none"):
        read_settings({"OTLP2PARQUET_CATALOG_TYPE": "r2"})


def test_what_has_no_effect_is_a_warning() -> None:
    """A secret with a name that is not quite right would leave the endpoint open in silence."""
    found = read_settings({"OTLP2PARQUET_AUTH_TOKENS": "a", "OTHER": "b"})
    assert found.warnings == ("OTLP2PARQUET_AUTH_TOKENS has no effect in a Worker",)
    assert found.tokens == ()
