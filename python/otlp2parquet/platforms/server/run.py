"""The server's process: sockets, Granian, gRPC, signals, and the order in which it ends.

Granian runs embedded, in this one process: its network side works on threads of its own without
the GIL, so there is no supervisor to kill and no orphan that could keep the port. It must not
know requests or rows.

Ending: the first SIGTERM or SIGINT closes the listener; requests in progress are answered (bodies
that are still coming get ``DRAIN_SECS``), then every batch is stored, then the process ends with
0, or with 1 if rows had to be left. A second signal ends it at once with 1. What SIGHUP and SIGUSR1
do is in ``signals``, ``reload`` and ``flushing``.
"""

import asyncio
import contextlib
import logging
import sys
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import Any, Final, Protocol

from otlp2parquet.assembly import Assembly, assemble, promise
from otlp2parquet.config import Address, Config, ServerConfig
from otlp2parquet.platforms import logs
from otlp2parquet.platforms.acknowledgements import Acknowledgements
from otlp2parquet.platforms.presence import announced, local_url, notes_folder
from otlp2parquet.platforms.server.application import STORE_SECS, Application
from otlp2parquet.platforms.server.checks import check_start
from otlp2parquet.platforms.server.front_door import FrontDoor, front_door
from otlp2parquet.platforms.server.granian_server import GranianServer
from otlp2parquet.platforms.server.grpc_front import GrpcFront
from otlp2parquet.platforms.server.listener import listen
from otlp2parquet.platforms.server.live.stream import LiveDoor
from otlp2parquet.platforms.server.reload import Door, Reload
from otlp2parquet.platforms.server.signals import on_signals
from otlp2parquet.platforms.server.tls import granian_arguments

log = logging.getLogger(__name__)

DRAIN_SECS: Final = 5.0
"""How long bodies may still be coming once the server is asked to stop."""

SWITCH_SECS: Final = 0.0005
"""How long the log's thread, back from a sync, may have to wait for a busy event loop. With
Python's 5 ms a group waits for that longer than for the disk."""

MOMENT_SECS: Final = 0.5
"""How long requests whose bodies are here already take at most, in general."""

GIVE_UP_SECS: Final = 2.0
"""How long connections may then still hang. With ``STORE_SECS`` it stays below the 30 s after
which Kubernetes kills."""

END_SECS: Final = 1.0
"""How long the HTTP server may take to end, when everything is stored."""


def make_application(config: Config) -> tuple[Application, Assembly]:
    """The application, and everything below it. Nothing runs before ``Assembly.start``.

    Raises ``ConfigError`` as ``assemble`` does.
    """
    acknowledgements = Acknowledgements()
    assembly = assemble(config, acknowledging=acknowledgements)
    application = Application(
        assembly.ingest,
        assembly.budget,
        acknowledgements,
        threads=config.server.threads,
        max_payload_bytes=config.request.max_payload_bytes,
        mode=config.durability.mode,
        storage=assembly.storage,
        path_prefix=config.server.path_prefix,
        commits=assembly.commits,
        has_page=config.server.page,
        has_tokens=bool(config.server.auth.tokens),
    )
    return application, assembly


class View(Protocol):
    """Somebody in this process who looks at what is received, and says where it listens.

    All methods but ``wait`` are called on the event loop's thread.
    """

    def begin(self, application: Application, http_url: str, grpc_address: str) -> None:
        """It listens; the address of gRPC is empty where that is not served."""

    def finish(self) -> None:
        """Everything has come, and is stored."""

    def wait(self) -> None:
        """Return when it has seen that, or does not come to it. Called on another thread."""

    def end(self) -> None:
        """It is over."""


def serve(
    config: Config, read_again: Callable[[], Config] | None = None, view: View | None = None
) -> int:
    """Serve until a signal; the exit code. Logging is configured by the caller.

    ``read_again`` reads the configuration from its sources once more, when SIGHUP asks for that.

    Raises ``ConfigError`` with everything that keeps it from starting (``checks``). When this
    returns, threads of Granian may still be ending: leave the process by ``os._exit`` after a
    flush, because the interpreter's own ending can abort under them.
    """
    check_start(config)
    _raise_file_limit()
    if config.durability.mode == "fsync":
        sys.setswitchinterval(SWITCH_SECS)
    tls = granian_arguments(config.server.tls)
    sock = listen(config.server.listen_addr)
    host, port = sock.getsockname()[:2]
    scheme = "https" if tls else "http"
    application, assembly = make_application(config)
    address = Address(host, port)

    def announce() -> None:
        if view is None:
            logs.announce(log, start_line(config, address, grpc_front.address, assembly.root))
            log.info("listening on %s://%s, writing to %s", scheme, address, assembly.root)
            log.info("%s", promise(config))
        else:
            view.begin(application, f"{scheme}://{address}", grpc_front.address)
        _warn_of_open_door(config.server, host)

    door = front_door(application, config.server, application.report_response)
    server = GranianServer(sock, door, tls, config.server.idle_timeout_secs)
    grpc_front = GrpcFront(config, application)

    def renew_certificates(files: Mapping[str, Any]) -> None:
        grpc_front.renew_certificates(files)  # raises before it has changed anything
        server.renew_certificates(files)
        application.tap.cut()  # or the connections that had the old ones would never end

    doors: list[Door] = [LiveDoor(application.tap), grpc_front]
    if isinstance(door, FrontDoor):
        doors.append(door)
    reload = Reload(config.server, doors, renew_certificates, read_again)
    note = announced(notes_folder(config), local_url(scheme, host, port), assembly.storage.root)
    assembly.start()
    with note:
        return asyncio.run(_serve(application, server, grpc_front, announce, reload, view=view))


def start_line(config: Config, http: Address, grpc: str, root: str) -> str:
    """The first thing that a server says: addresses, place and durability.

    With the usual ones, and the time and level before it, it fits into a terminal of 80 columns.
    ``grpc`` is the address of gRPC, empty where that is not served; on the host of HTTP its port
    is enough. ``root`` is the storage's.
    """
    name = "HTTPS" if config.server.tls.cert else "HTTP"
    host = str(http).rpartition(":")[0]
    also = "no gRPC"
    if grpc:
        is_same = grpc.rpartition(":")[0] == host
        also = f"gRPC {grpc.removeprefix(host) if is_same else grpc}"
    if config.storage.backend == "fs" and config.catalog_type == "none":
        path = config.storage.fs.path
        root = str(path) if path.is_absolute() else f"./{path}"
    return f"{name} {http}, {also}, to {root}, {config.durability.mode}"


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
    application: Application,
    server: GranianServer,
    grpc_front: GrpcFront,
    announce: Callable[[], None],
    reload: Reload,
    *,
    view: View | None,
) -> int:
    stop = asyncio.Event()
    on_signals(stop, reload.begin, application.flushing.begin, survives=application.survives)
    application.start()
    await grpc_front.start()
    application.home.grpc_address = grpc_front.address
    announce()  # whoever reads that it listens may send it a signal
    serving = asyncio.create_task(server.serve())
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if not stopping.done():
        log.error("the http server ended by itself")
    application.refuse_new()
    server.stop()
    # Neither front gives up who waits to hear that rows are kept, before the storage has its time.
    calls = asyncio.create_task(grpc_front.stop(2 * STORE_SECS))
    if not await _only_looked_at(application, serving, calls):
        await asyncio.wait({serving, calls}, timeout=DRAIN_SECS)
        if not (serving.done() and calls.done()):
            application.bodies.expire(everything=True)
            grpc_front.expire()
            # A connection that hangs must not keep us from storing what is acknowledged.
            await asyncio.wait({serving, calls}, timeout=GIVE_UP_SECS)
    await application.stop()
    await asyncio.wait({serving, calls}, timeout=END_SECS)
    await asyncio.wait({asyncio.create_task(grpc_front.stop(0))}, timeout=END_SECS)
    if view is not None:
        view.finish()
        await asyncio.to_thread(view.wait)
        view.end()
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


async def _only_looked_at(
    application: Application, serving: "asyncio.Task[None]", calls: "asyncio.Task[None]"
) -> bool:
    """Whether, a moment later, only clients of the live view are left, which do not read it.

    Nothing is to be stored for those, and nobody waits for them.
    """
    await asyncio.wait({serving, calls}, timeout=MOMENT_SECS)
    return application.tap.has_cut and calls.done() and not len(application.bodies)


def _raise_file_limit() -> None:
    """As many open files as the system allows: each connection is one."""
    if sys.platform != "win32":
        import resource  # noqa: PLC0415 - there is none on Windows

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = min(hard, 65_536) if hard != resource.RLIM_INFINITY else 65_536
        if soft < wanted:
            with contextlib.suppress(OSError, ValueError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
