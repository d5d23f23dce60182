"""From sources to one checked configuration, with the source of each value.

Knows the order of the sources and the rules between settings. It never stops at the first
error: everything that is wrong is reported together, so that one correction is enough.
"""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

from otlp2parquet.config import sources
from otlp2parquet.config.row import Setting
from otlp2parquet.config.settings import Config, build, settings, value_of
from otlp2parquet.config.sources import Layer, Raw
from otlp2parquet.config.values import Address, found
from otlp2parquet.errors import ConfigError
from otlp2parquet.stores.location import backend_of, folder_of, is_url, parse_location

_GZIP_HIGHEST_LEVEL: Final = 9

_ARN: Final = re.compile(r"arn:aws[a-z-]*:s3tables:[a-z0-9-]+:\d{12}:bucket/[a-z0-9-]{3,63}")

DEFAULT_FILES: Final = ("config.toml", ".otlp2parquet.toml")
"""Looked for in the folder the process starts in; the first has precedence. Other tools have a
``config.toml``, too: it is read if it has a section of ours."""


@dataclass(frozen=True, slots=True)
class Flags:
    """What the command line may set; it precedes every other source."""

    config: Path | None = None
    host: str | None = None
    port: int | None = None
    output: str | os.PathLike[str] | None = None
    """A folder, or the URL of a storage."""
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
    defaults: Mapping[str, str] | None = None,
    defaults_source: str = "default",
) -> Loaded:
    """The effective configuration.

    Highest first: ``flags``, environment variables, the file named by ``flags.config`` or
    ``OTLP2PARQUET_CONFIG``, inline TOML in ``OTLP2PARQUET_CONFIG_CONTENT``, ``config.toml`` and
    ``.otlp2parquet.toml`` in ``folder`` (default: the working directory), the defaults. They
    merge key by key. Raises ``ConfigError`` with all errors at once, one a line.

    ``defaults`` are a platform's own, as text by dotted key; ``defaults_source`` names them.
    """
    flags = flags or Flags()
    environ = os.environ if environ is None else environ
    table = {row.key: row for row in settings()}
    layers = read_layers(flags.config, environ, Path() if folder is None else folder, table)
    own = {key: Raw(text, defaults_source, is_text=True) for key, text in (defaults or {}).items()}
    layers.insert(0, Layer(own))
    for layer in layers:
        spread_url(layer)
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
    named = config or environ.get(sources.CONFIG_PATH)
    chosen = os.path.realpath(folder / named) if named else ""
    layers = [
        sources.read_file(folder / name, table, if_ours=name == DEFAULT_FILES[0])
        for name in reversed(DEFAULT_FILES)
        if os.path.lexists(folder / name) and os.path.realpath(folder / name) != chosen
    ]
    if environ.get(sources.CONFIG_CONTENT):
        content = environ[sources.CONFIG_CONTENT]
        layers.append(sources.read_document(content, sources.CONFIG_CONTENT, table))
    if named:
        layers.append(sources.read_file(folder / named, table))
    layers.append(sources.read_environment(environ, table))
    return layers


def keys_of_url(url: str) -> dict[str, str]:
    """The settings that a storage's URL stands for; ``ValueError`` if it is none."""
    backend = backend_of(url)
    if backend == "fs":
        return {"storage.backend": backend, "storage.fs.path": folder_of(url)}
    if backend == "fsspec":
        return {"storage.backend": backend, "storage.fsspec.url": url}
    place = parse_location(url)
    container = "container" if backend == "azure" else "bucket"
    account = {"r2": "account_id", "azure": "account_name"}.get(backend, "")
    parts = {container: place.container, "prefix": place.prefix, "endpoint": place.endpoint}
    if backend == "s3":
        parts["region"] = place.region
    if account:
        parts[account] = place.account
    # A prefix counts also where the URL has none; what is behind the ? only where it is there.
    given = {key: value for key, value in parts.items() if value or key == "prefix"}
    return {"storage.backend": backend} | {
        f"storage.{backend}.{key}": value for key, value in given.items()
    }


def spread_url(layer: Layer) -> None:
    """Put what ``storage.url`` stands for beside it, into the layer that has it."""
    raw = layer.values.get("storage.url")
    if raw is None or not isinstance(raw.value, str) or not raw.value.strip():
        return
    try:
        keys = keys_of_url(raw.value.strip())
    except ValueError:
        return  # the setting's own kind tells it
    for key, value in keys.items():
        there = layer.values.get(key)
        if there is not None and there.value != value:
            layer.errors.append(
                f"{key} ({there.source}): found {found(there.value)}, expected {found(value)}, "
                f"which is what storage.url ({raw.source}) says"
            )
        layer.values[key] = Raw(value, raw.source)


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
            below.host if flags.host is None else _without_brackets(flags.host),
            below.port if flags.port is None else flags.port,
        )
        given = [f"--{n}" for n in ("host", "port") if getattr(flags, n) is not None]
        origin[key] = "command line " + " ".join(given)
    if flags.output is not None:
        settings_of_it = _settings_of_output(os.fspath(flags.output))
        chosen.update(settings_of_it)
        origin.update(dict.fromkeys(settings_of_it, "command line --output"))
    if flags.verbose:
        chosen["server.log_level"] = "debug"
        origin["server.log_level"] = "command line --verbose"


def _without_brackets(host: str) -> str:
    """An IPv6 address as it is written in URLs is meant without the brackets."""
    is_bracketed = host.startswith("[") and host.endswith("]")
    return host[1:-1] if is_bracketed else host


def _settings_of_output(text: str) -> dict[str, object]:
    """What ``--output`` stands for; ``ConfigError`` for a URL that is none."""
    if not is_url(text):
        # A path is one also where a URL is configured.
        return {"storage.backend": "fs", "storage.url": "", "storage.fs.path": Path(text)}
    try:
        keys = keys_of_url(text)
    except ValueError as error:
        raise ConfigError(f"--output: {error}") from error
    settings_of_it: dict[str, object] = {"storage.url": text, **keys}
    if "storage.fs.path" in keys:
        settings_of_it["storage.fs.path"] = Path(keys["storage.fs.path"])
    return settings_of_it


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
    return (
        errors
        + _of_tls(config, name)
        + _of_storage(config, origin, name)
        + _of_catalog(config, name)
    )


_NEEDED: Final = {
    "s3": ("bucket",),
    "r2": ("bucket", "access_key_id", "secret_access_key"),
    "gcs": ("bucket",),
    "azure": ("container",),
    "fsspec": ("url",),
}
"""What each backend cannot be without."""


def _of_storage(config: Config, origin: Mapping[str, str], name: Callable[[str], str]) -> list[str]:
    """Whoever names a bucket must not find the rows elsewhere."""
    storage = config.storage
    if storage.backend == "fs":
        named = [f"storage.{one}.{keys[0]}" for one, keys in _NEEDED.items()]
        return [
            f"{name(key)}: storage.backend is not set, so files would go to a local folder; "
            f"expected storage.backend = {key.split('.')[1]} beside it"
            for key in named
            if value_of(config, key) and "storage.backend" not in origin
        ]
    section = f"storage.{storage.backend}"
    errors = [
        f"{section}.{key} (default): found none, expected one, because "
        f"{name('storage.backend')} is {storage.backend}"
        for key in _NEEDED[storage.backend]
        if not value_of(config, f"{section}.{key}")
    ]
    if storage.backend == "r2" and not storage.r2.account_id and not storage.r2.endpoint:
        errors.append(
            f"{section}.account_id (default): found none, expected it or {section}.endpoint, "
            f"because {name('storage.backend')} is r2"
        )
    return errors


def _of_catalog(config: Config, name: Callable[[str], str]) -> list[str]:
    """Who names a catalog must not find tables elsewhere, or nowhere."""
    kind, iceberg = config.catalog_type, config.iceberg
    if kind == "none":
        given = [key for key in ("warehouse", "token", "credential") if getattr(iceberg, key)]
        if config.catalog.type == "none":
            return []
        return [
            f"{name(f'iceberg.{key}')}: it does not say which catalog; expected iceberg.rest_uri, "
            "iceberg.bucket_arn or catalog.type beside it"
            for key in given
        ]
    errors = []
    if kind in ("rest", "nessie") and not iceberg.rest_uri:
        errors.append(
            f"iceberg.rest_uri (default): found none, expected one, because "
            f"{name('catalog.type')} is {kind}"
        )
    if kind == "s3tables" and _ARN.fullmatch(iceberg.bucket_arn) is None:
        errors.append(
            f"{name('iceberg.bucket_arn')}: found {found(iceberg.bucket_arn)}, expected "
            "arn:aws:s3tables:REGION:ACCOUNT:bucket/NAME"
        )
    r2 = config.storage.r2
    if kind == "r2" and not iceberg.rest_uri and not (r2.account_id and r2.bucket):
        errors.append(
            f"iceberg.rest_uri (default): found none, expected it and iceberg.warehouse, or "
            f"storage.r2.account_id and storage.r2.bucket, because {name('catalog.type')} is r2"
        )
    return errors


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
