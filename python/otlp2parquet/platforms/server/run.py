"""The server's process: socket, Granian, signals, and the order in which it ends.

Granian runs embedded, in this one process: its network side works on threads of its own without
the GIL, so there is no supervisor to kill and no orphan that could keep the port. It must not
know requests or rows.

Ending: the first SIGTERM or SIGINT closes the listener; requests in progress are answered (bodies
that are still coming get ``DRAIN_SECS``), then every batch is stored, then the process ends with
0, or with 1 if rows had to be left. A second signal ends it at once with 1. What SIGHUP does is in
``signals`` and ``reload``.
"""

import asyncio
import contextlib
import logging
import os
import socket
import sys
from collections.abc import Callable
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Final, cast

from otlp2parquet.batches.budget import Budget
from otlp2parquet.batches.counts import Counts
from otlp2parquet.batches.ingestion import Batches
from otlp2parquet.batches.storing import Storing
from otlp2parquet.config import Address, Config, ServerConfig
from otlp2parquet.errors import ConfigError
from otlp2parquet.platforms.server import durability, logs
from otlp2parquet.platforms.server.application import STORE_SECS, Application
from otlp2parquet.platforms.server.encoding import BudgetedWriter
from otlp2parquet.platforms.server.front_door import front_door
from otlp2parquet.platforms.server.granian_server import BACKLOG, GranianServer
from otlp2parquet.platforms.server.reload import Reload
from otlp2parquet.platforms.server.signals import on_signals
from otlp2parquet.platforms.server.tls import granian_arguments
from otlp2parquet.writers import Compression, ParquetWriter
from otlp2parquet.writers.syncing import make_folder

log = logging.getLogger(__name__)

DRAIN_SECS: Final = 5.0
"""How long bodies may still be coming once the server is asked to stop."""

SWITCH_SECS: Final = 0.0005
"""How long the log's thread, back from a sync, may have to wait for a busy event loop. With
Python's 5 ms a group waits for that longer than for the disk."""

GIVE_UP_SECS: Final = 2.0
"""How long connections may then still hang. With ``STORE_SECS`` it stays below the 30 s after
which Kubernetes kills."""

END_SECS: Final = 1.0
"""How long the HTTP server may take to end, when everything is stored."""


def listen(address: Address) -> socket.socket:
    """A socket bound to ``address``, exclusively. Raises ``ConfigError`` when it cannot be."""
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        sock = socket.socket(family, kind, protocol)
        try:
            if os.name == "posix":
                # A port whose last connections are still in TIME_WAIT is free. (On Windows the
                # option would let two servers share a port, and none is needed for this.)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.bind(where)
            sock.listen(BACKLOG)
        except BaseException:
            sock.close()
            raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigError(
            f"cannot listen on {address}: {reason.lower()}, expected a free address "
            "(server.listen_addr)"
        ) from error
    return sock


def make_writer(config: Config) -> ParquetWriter:
    """The writer for the configured storage, or ``ConfigError``.

    Its folder is made now, so that no row is taken for a place that cannot be written.
    """
    path = config.storage.fs.path
    try:
        make_folder(path)
    except OSError as error:
        raise ConfigError(
            f"cannot make the folder {path}: {(error.strerror or '').lower()}, expected a folder "
            "that can be written (storage.fs.path)"
        ) from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise ConfigError(
            f"the folder {path} cannot be written, expected one that can (storage.fs.path)"
        )
    return parquet_writer(config, path)


def parquet_writer(config: Config, path: Path) -> ParquetWriter:
    """A writer of the configured kind of files below ``path``."""
    parquet = config.parquet
    return ParquetWriter(
        path,
        compression=cast("Compression", parquet.compression),
        level=parquet.level or None,
        row_group_rows=parquet.row_group_rows,
    )


def writer_for(config: Config, root: str) -> ParquetWriter | None:
    """The writer for the storage that an earlier plan names, None if it cannot be reached."""
    path = Path(root)
    if not path.is_dir() or not os.access(path, os.W_OK | os.X_OK):
        return None
    return parquet_writer(config, path)


def make_application(config: Config, writer: ParquetWriter) -> Application:
    """The application with everything below it, threads and log included.

    Raises ``ConfigError`` when the log cannot be used: then nothing in it has changed.
    """
    threads = config.server.threads
    budget = Budget(config.batch.memory_bytes)
    counts = Counts()
    log_, left_over = durability.open_log(config, counts)
    storing = Storing(
        BudgetedWriter(writer, budget, config.parquet),
        # Two at least, so that one slow file does not hold up the rest, and one for others
        # besides the batch that has a slow file.
        threads=max(2, min(4, threads)) + 1,
        root=writer.root,
        writer_for=partial(writer_for, config),
        gives_up=log_.waits_for_storage,
        counts=counts,
    )
    batches = Batches(
        config.batch,
        storing,
        budget,
        shards=threads,
        max_payload_bytes=config.request.max_payload_bytes,
        log=log_,
    )
    durability.replay(batches, left_over)
    return Application(
        batches,
        budget,
        threads=threads,
        max_payload_bytes=config.request.max_payload_bytes,
        mode=config.durability.mode,
        path_prefix=config.server.path_prefix,
    )


def serve(config: Config, read_again: Callable[[], Config] | None = None) -> int:
    """Serve until a signal; the exit code. Logging is configured by the caller.

    ``read_again`` reads the configuration from its sources once more, when SIGHUP asks for that.

    Raises ``ConfigError`` when the address or the folder cannot be used. When this returns,
    threads of Granian may still be ending: leave the process by ``os._exit`` after a flush,
    because the interpreter's own ending can abort under them.
    """
    _raise_file_limit()
    if config.durability.mode == "fsync":
        sys.setswitchinterval(SWITCH_SECS)
    writer = make_writer(config)
    tls = granian_arguments(config.server.tls)
    sock = listen(config.server.listen_addr)
    host, port = sock.getsockname()[:2]
    scheme = "https" if tls else "http"
    application = make_application(config, writer)
    where = (
        f"listening on {scheme}://{Address(host, port)}, writing to {writer.root}; "
        + durability.promise(config)
    )

    def announce() -> None:
        logs.announce(log, where)
        _warn_of_open_door(config.server, host)

    door = front_door(application, config.server, application.report_response)
    server = GranianServer(sock, door, tls, config.server.idle_timeout_secs)
    reload = Reload(config.server, door, server.renew_certificates, read_again)
    return asyncio.run(_serve(application, server, announce, reload))


def _warn_of_open_door(server: ServerConfig, host: str) -> None:
    """Whoever can be reached from elsewhere, and by anybody, should have meant it."""
    address = ip_address(host.partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    if not (mapped or address).is_loopback and not server.auth.tokens and not server.tls.client_ca:
        log.warning(
            "whoever reaches this address may send: it is not only this machine's, and neither "
            "server.auth.tokens nor server.tls.client_ca is set"
        )


async def _serve(
    application: Application, server: GranianServer, announce: Callable[[], None], reload: Reload
) -> int:
    stop = asyncio.Event()
    on_signals(stop, reload.begin, survives=application.survives)
    announce()  # whoever reads that it listens may send it a signal
    application.start()
    serving = asyncio.create_task(server.serve())
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if not stopping.done():
        log.error("the http server ended by itself")
    application.refuse_new()
    server.stop()
    await asyncio.wait({serving}, timeout=DRAIN_SECS)
    if not serving.done():
        application.bodies.expire(everything=True)
        # A connection that hangs must not keep us from storing what is acknowledged.
        await asyncio.wait({serving}, timeout=GIVE_UP_SECS)
    await application.stop()
    await asyncio.wait({serving}, timeout=END_SECS)
    if application.unsaved_rows and application.survives:
        log.warning(
            "stopped; what could not be stored within %d s is in the log, and is stored after the "
            "next start",
            STORE_SECS,
        )
    elif application.unsaved_rows:
        log.error("stopped with rows that could not be stored within %d s", STORE_SECS)
        return 1
    else:
        log.info("stopped, everything acknowledged is stored")
    return 0 if stopping.done() else 1


def _raise_file_limit() -> None:
    """As many open files as the system allows: each connection is one."""
    if sys.platform != "win32":
        import resource  # noqa: PLC0415 - there is none on Windows

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = min(hard, 65_536) if hard != resource.RLIM_INFINITY else 65_536
        if soft < wanted:
            with contextlib.suppress(OSError, ValueError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
