"""The spellings in which people write settings: in a file, in the environment, as an option."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from otlp2parquet.config import Address, Flags, load
from otlp2parquet.config.settings import value_of
from otlp2parquet.errors import ConfigError
from tests.support.conversion import json_request, run

if TYPE_CHECKING:
    from pathlib import Path

SPELLINGS: list[tuple[str, str, Any]] = [
    # durations: decimals, units, blanks before them, any case
    ("batch.max_age_secs", "1.5", 1.5),
    ("batch.max_age_secs", "500ms", 0.5),
    ("batch.max_age_secs", "10s", 10.0),
    ("batch.max_age_secs", "5m", 300.0),
    ("batch.max_age_secs", "5 min", 300.0),
    ("batch.max_age_secs", "1h", 3600.0),
    ("batch.max_age_secs", "1D", 86_400.0),
    ("server.idle_timeout_secs", "0.5h", 1800.0),
    ("storage.timeout_secs", "1m", 60.0),
    ("server.cors.max_age_secs", "0", 0.0),
    ("iceberg.commit_interval_secs", "30s", 30.0),
    # sizes
    ("batch.memory_bytes", "536870912", 512 << 20),
    ("batch.memory_bytes", "512MiB", 512 << 20),
    ("batch.memory_bytes", "640 MB", 640_000_000),
    ("batch.memory_bytes", "1.5 gib", 3 << 29),
    ("batch.max_bytes", "64kB", 64_000),
    ("durability.max_bytes", "1 TiB", 1 << 40),
    ("request.max_payload_bytes", "1KiB", 1024),
    ("request.max_payload_bytes", "100 B", 100),
    # levels
    *[
        ("server.log_level", spelling, level)
        for level, spellings in {
            "trace": ("trace", "TRACE"),
            "debug": ("debug", "Debug"),
            "info": ("info", "INFO", "information", " info "),
            "warn": ("warn", "warning", "WARNING", "Warn"),
            "error": ("error", "ERROR", "err", "critical", "fatal"),
        }.items()
        for spelling in spellings
    ],
    ("server.log_format", "JSON", "json"),
    # addresses
    ("server.listen_addr", "[::1]:4318", Address("::1", 4318)),
    ("server.listen_addr", "[::]:0", Address("::", 0)),
    ("server.listen_addr", "localhost:4318", Address("localhost", 4318)),
    ("server.listen_addr", " 0.0.0.0:4318 ", Address("0.0.0.0", 4318)),  # noqa: S104 - nobody binds
    ("server.grpc_addr", "[::1]:4317", Address("::1", 4317)),
    ("server.grpc_addr", "OFF", None),
]
"""Key, text, value."""


@pytest.mark.parametrize(("key", "text", "value"), SPELLINGS)
def test_a_spelling_means_the_same_everywhere(
    tmp_path: Path, key: str, text: str, value: object
) -> None:
    """As text in a file, and as an environment variable, long or short."""
    section, _, name = key.rpartition(".")
    (tmp_path / "config.toml").write_text(f'[{section}]\n{name} = "{text}"\n')
    if text.replace(".", "").isdigit():
        (tmp_path / "config.toml").write_text(f"[{section}]\n{name} = {text}\n")
    of_file = load(environ={}, folder=tmp_path).config
    assert value_of(of_file, key) == value
    (tmp_path / "config.toml").unlink()
    long = "OTLP2PARQUET_" + key.upper().replace(".", "_")
    assert value_of(load(environ={long: text}, folder=tmp_path).config, key) == value


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("batch.max_age_secs", "5 weeks"),
        ("batch.max_age_secs", "-1s"),
        ("batch.max_age_secs", "1m30s"),
        ("batch.max_age_secs", "nan"),
        ("batch.memory_bytes", "12 parsecs"),
        ("batch.memory_bytes", "-1MiB"),
        ("server.log_level", "loud"),
        ("server.listen_addr", "::1:4318"),
        ("server.listen_addr", "[::1]"),
        ("server.listen_addr", "[::1]:65536"),
        ("server.grpc_addr", "none"),
    ],
)
def test_what_means_nothing_is_named_with_its_source(tmp_path: Path, key: str, text: str) -> None:
    """The key, where it stands, what was found, and what is expected."""
    long = "OTLP2PARQUET_" + key.upper().replace(".", "_")
    with pytest.raises(ConfigError) as told:
        load(environ={long: text}, folder=tmp_path)
    message = str(told.value)
    assert f"{key} (environment {long}): found" in message
    assert text.lower() in message.lower()
    assert "expected" in message


@pytest.mark.parametrize("host", ["::1", "[::1]"])
def test_an_ipv6_host_may_stand_in_brackets(tmp_path: Path, host: str) -> None:
    """As in a URL, from which it may have been copied."""
    loaded = load(Flags(host=host, port=1), environ={}, folder=tmp_path)
    assert loaded.config.server.listen_addr == Address("::1", 1)


@pytest.mark.parametrize(
    ("text", "is_ours"),
    [
        ('[tool]\nname = "x"\n', False),
        ("", False),
        ('server = "another tool\'s"\n', False),
        ("[[batches]]\nsize = 1\n", False),
        ("[server]\nlog_level = 'warn'\n", True),
        ("[storage.fs]\npath = 'x'\n", True),
        ("server.log_level = 'warn'\n", True),
    ],
)
def test_another_tools_config_toml_is_none_of_ours(
    tmp_path: Path, text: str, *, is_ours: bool
) -> None:
    """It is read if it holds a table of ours; else that is said once, for who looks for it."""
    (tmp_path / "config.toml").write_text(text)
    loaded = load(environ={}, folder=tmp_path)
    assert any("config.toml" in source for source in loaded.sources.values()) is is_ours
    assert len(loaded.notes) == (not is_ours)
    assert not loaded.warnings
    # Named, it is meant: whatever it holds is ours.
    if not is_ours and text:
        with pytest.raises(ConfigError):
            load(Flags(config=tmp_path / "config.toml"), environ={}, folder=tmp_path)


@pytest.mark.parametrize(
    ("options", "exit_code"),
    [
        (("--max-payload-bytes", "1 MiB"), 0),
        (("--max-payload-bytes", "10"), 1),
        (("--max-payload-bytes", "10 B"), 1),
        (("--max-payload-bytes", "much"), 2),
        (("--max-payload-bytes", "0"), 2),
    ],
)
def test_options_take_units_too(tmp_path: Path, options: tuple[str, ...], exit_code: int) -> None:
    """A size is written as in a file."""
    (tmp_path / "a.json").write_bytes(json_request("one"))
    result = run("convert", tmp_path / "a.json", "-o", tmp_path / "out", *options)
    assert result.exit_code == exit_code


@pytest.mark.parametrize("command", ["flush", "reconcile"])
@pytest.mark.parametrize("text", ["-1", "5 weeks", "nan"])
def test_a_duration_that_is_none_is_a_wrong_use(command: str, text: str) -> None:
    """With what is expected."""
    result = run(command, "--timeout", text)
    assert result.exit_code == 2
    assert "500ms" in result.output
