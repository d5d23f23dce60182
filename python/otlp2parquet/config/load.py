"""From sources to one checked configuration, with the source of each value.

Knows the order of the sources and the rules between settings. It never stops at the first
error: everything that is wrong is reported together, so that one correction is enough.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

from otlp2parquet.config import sources
from otlp2parquet.config.settings import Config, Setting, build, settings, value_of
from otlp2parquet.config.sources import Layer
from otlp2parquet.config.values import Address
from otlp2parquet.errors import ConfigError

_GZIP_HIGHEST_LEVEL: Final = 9

DEFAULT_FILES: Final = ("config.toml", ".otlp2parquet.toml")
"""Looked for in the folder the process starts in; the first has precedence. Other tools have a
``config.toml``, too: it is read if it has a section of ours."""


@dataclass(frozen=True, slots=True)
class Flags:
    """What the command line may set; it precedes every other source."""

    config: Path | None = None
    host: str | None = None
    port: int | None = None
    output: Path | None = None
    verbose: bool = False


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration, the source of each value by dotted key, and what is odd about them."""

    config: Config
    sources: Mapping[str, str]
    warnings: tuple[str, ...]
    notes: tuple[str, ...] = ()
    """What is worth a line at debug level."""


def load(
    flags: Flags | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Loaded:
    """The effective configuration.

    Highest first: ``flags``, environment variables, the file named by ``flags.config`` or
    ``OTLP2PARQUET_CONFIG``, inline TOML in ``OTLP2PARQUET_CONFIG_CONTENT``, ``config.toml`` and
    ``.otlp2parquet.toml`` in ``folder`` (default: the working directory), the defaults. They
    merge key by key. Raises ``ConfigError`` with all errors at once, one a line.
    """
    flags = flags or Flags()
    environ = os.environ if environ is None else environ
    table = {row.key: row for row in settings()}
    layers = read_layers(flags.config, environ, Path() if folder is None else folder, table)
    chosen, origin, errors = resolve(layers, table)
    _apply_flags(flags, chosen, origin)
    config = build(Config, chosen)
    errors += _contradictions(config, origin)
    if errors:
        head = "the configuration has 1 error" if len(errors) == 1 else ""
        head = head or f"the configuration has {len(errors)} errors"
        raise ConfigError("\n  ".join([head + ":", *errors]))
    warnings = tuple(warning for layer in layers for warning in layer.warnings)
    notes = tuple(note for layer in layers for note in layer.notes)
    return Loaded(config, {key: origin.get(key, "default") for key in table}, warnings, notes)


def read_layers(
    config: Path | None,
    environ: Mapping[str, str],
    folder: Path,
    table: Mapping[str, Setting],
) -> list[Layer]:
    """All layers but the flags, lowest first."""
    layers = [
        sources.read_file(folder / name, table, if_ours=name == DEFAULT_FILES[0])
        for name in reversed(DEFAULT_FILES)
        if os.path.lexists(folder / name)
    ]
    if environ.get(sources.CONFIG_CONTENT):
        content = environ[sources.CONFIG_CONTENT]
        layers.append(sources.read_document(content, sources.CONFIG_CONTENT, table))
    named = config or environ.get(sources.CONFIG_PATH)
    if named:
        layers.append(sources.read_file(folder / named, table))
    layers.append(sources.read_environment(environ, table))
    return layers


def resolve(
    layers: Sequence[Layer], table: Mapping[str, Setting]
) -> tuple[dict[str, object], dict[str, str], list[str]]:
    """Values and sources by key, the last layer winning, and the errors of all layers.

    A wrong value is an error also where a higher layer replaces it.
    """
    chosen: dict[str, object] = {}
    origin: dict[str, str] = {}
    errors: list[str] = []
    for layer in layers:
        errors += layer.errors
        for key, raw in layer.values.items():
            row = table[key]
            try:
                read = row.kind.from_text if raw.is_text else row.kind.from_toml
                chosen[key] = read(raw.value)  # type: ignore[arg-type]
            except ValueError as error:
                # The message quotes the value: a secret's must not.
                why = f"expected {row.kind.expected}" if row.secret else str(error)
                errors.append(f"{key} ({raw.source}): {why}")
            else:
                origin[key] = raw.source
    return chosen, origin, errors


def _apply_flags(flags: Flags, chosen: dict[str, object], origin: dict[str, str]) -> None:
    if flags.host is not None or flags.port is not None:
        key = "server.listen_addr"
        below = cast("Address", chosen.get(key, value_of(Config(), key)))
        chosen[key] = Address(
            below.host if flags.host is None else flags.host,
            below.port if flags.port is None else flags.port,
        )
        given = [f"--{n}" for n in ("host", "port") if getattr(flags, n) is not None]
        origin[key] = "command line " + " ".join(given)
    if flags.output is not None:
        chosen["storage.fs.path"] = flags.output
        origin["storage.fs.path"] = "command line --output"
    if flags.verbose:
        chosen["server.log_level"] = "debug"
        origin["server.log_level"] = "command line --verbose"


def _contradictions(config: Config, origin: Mapping[str, str]) -> list[str]:
    """Rules between settings, each error naming the settings and where they come from."""

    def name(key: str) -> str:
        return f"{key} ({origin.get(key, 'default')})"

    errors = []
    batch, parquet = config.batch, config.parquet
    # A compressed body is held as it was sent and as it will be, which is the limit at most.
    least = batch.max_bytes + 2 * config.request.max_payload_bytes
    if batch.memory_bytes < least:
        errors.append(
            f"{name('batch.memory_bytes')}: found {batch.memory_bytes}, expected at least {least}: "
            f"room for one batch, {name('batch.max_bytes')}, and one body, as sent and inflated, "
            f"{name('request.max_payload_bytes')}"
        )
    if parquet.level and parquet.compression in ("snappy", "none"):
        errors.append(
            f"{name('parquet.level')}: found {parquet.level}, expected 0: "
            f"{name('parquet.compression')} is {parquet.compression}, which has no levels"
        )
    if parquet.compression == "gzip" and parquet.level > _GZIP_HIGHEST_LEVEL:
        errors.append(
            f"{name('parquet.level')}: found {parquet.level}, expected 0 to 9: "
            f"{name('parquet.compression')} is gzip"
        )
    return errors + _of_tls(config, name)


def _of_tls(config: Config, name: Callable[[str], str]) -> list[str]:
    """A server must never speak HTTP, or take any client, because half of a pair is missing."""
    tls = config.server.tls
    errors = []
    if (tls.cert is None) != (tls.key is None):
        there, missing = ("cert", "key") if tls.key is None else ("key", "cert")
        errors.append(f"{name(f'server.tls.{there}')}: expected server.tls.{missing} beside it")
    if tls.client_ca is not None and tls.cert is None and tls.key is None:
        errors.append(
            f"{name('server.tls.client_ca')}: expected server.tls.cert and server.tls.key beside it"
        )
    return errors
