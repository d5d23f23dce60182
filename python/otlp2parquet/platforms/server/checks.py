"""Whether a server can start with a configuration: all that is wrong with it, at once.

One list for two callers. ``serve`` asks what is known on this machine before it opens anything,
and does not start with an error; ``otlp2parquet config --check`` asks the storage and the catalog,
too, which a server would go on without for a while. Nothing is left behind: no folder, no socket
and no lock.
"""

import importlib.util
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from otlp2parquet.batches.log.disk import SystemDisk
from otlp2parquet.batches.log.folder import check_claim, segments_in
from otlp2parquet.config import Config
from otlp2parquet.errors import ConfigError, OtlpError
from otlp2parquet.platforms.server import tls
from otlp2parquet.platforms.server.listener import listen
from otlp2parquet.storage import check_folder, open_storage, trouble_of

if TYPE_CHECKING:
    from otlp2parquet.catalogs.iceberg import IcebergCatalog

Check = Callable[[Config], None]
"""Raises ``ConfigError`` where a server would not start, or not serve what it is told to."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What is wrong, and what a server would warn of."""

    errors: tuple[str, ...]
    warnings: tuple[str, ...]


def _certificates(config: Config) -> None:
    files = config.server.tls
    if files.cert is not None and files.key is not None:
        tls.check(files, files.cert, files.key)


def _address(config: Config) -> None:
    listen(config.server.listen_addr).close()


def _storage(config: Config) -> None:
    if config.storage.backend == "fs":
        check_folder(config.storage.fs.path)
    else:
        open_storage(config.storage)  # nothing is asked of it yet


def _log(config: Config) -> None:
    if config.durability.mode == "fsync" or _has_segments(config):
        check_claim(config.log_path)


def _has_segments(config: Config) -> bool:
    try:
        return bool(segments_in(SystemDisk(), config.log_path))
    except OSError:
        return False


def _catalog(config: Config) -> None:
    if config.catalog_type != "none":
        _make_catalog(config)


def _make_catalog(config: Config) -> "tuple[str, IcebergCatalog]":
    """The catalog and its name. Nothing is asked of it yet, and nothing said of it in the log."""
    from otlp2parquet.catalogs.connection import connection_of  # noqa: PLC0415 - an extra
    from otlp2parquet.catalogs.service import make_catalog  # noqa: PLC0415 - as above

    connection = connection_of(config)
    return connection.place, make_catalog(config, connection)


ON_THIS_MACHINE: tuple[Check, ...] = (_certificates, _address, _storage, _log, _catalog)
"""What keeps a server from starting."""


def _grpc(config: Config) -> None:
    address = config.server.grpc_addr
    if address is None:
        return
    if importlib.util.find_spec("grpc") is None:
        raise ConfigError(
            "OTLP/gRPC will not be served: found no package grpcio, expected it, or "
            "server.grpc_addr = off"
        )
    if address.port and address == config.server.listen_addr:
        raise ConfigError(
            f"OTLP/gRPC will not be served: found {address} for OTLP/HTTP, too, expected another "
            "address (server.grpc_addr)"
        )
    listen(address, "server.grpc_addr").close()


def _answer_of_storage(config: Config) -> None:
    if config.storage.backend == "fs":
        return
    store = open_storage(config.storage)
    trouble = trouble_of(store)
    if trouble:
        raise ConfigError(f"the storage {store.root} does not answer as it should: {trouble}")


def _answer_of_catalog(config: Config) -> None:
    if config.catalog_type in ("none", "sql"):
        return  # an embedded one is made when it is reached
    place, catalog = _make_catalog(config)
    try:
        catalog.reach()
    except OtlpError as error:
        raise ConfigError(f"the catalog {place} does not answer as it should: {error}") from error


def _problems(checks: Iterable[Check], config: Config) -> list[str]:
    found = []
    for check in checks:
        try:
            check(config)
        except ConfigError as error:
            found.append(str(error))
    return list(dict.fromkeys(found))


def check_start(config: Config) -> None:
    """Raise ``ConfigError`` with everything that keeps a server from starting on this machine."""
    errors = _problems(ON_THIS_MACHINE, config)
    if len(errors) == 1:
        raise ConfigError(errors[0])
    if errors:
        raise ConfigError("\n  ".join([f"{len(errors)} things keep it from starting:", *errors]))


def check_all(config: Config) -> Findings:
    """Everything, also what a server would start without: it asks the storage and the catalog."""
    errors = _problems(ON_THIS_MACHINE, config)
    asked = [] if errors else _problems([_answer_of_storage], config)
    warned = [_grpc] if errors else [_grpc, _answer_of_catalog]
    return Findings((*errors, *asked), tuple(_problems(warned, config)))
