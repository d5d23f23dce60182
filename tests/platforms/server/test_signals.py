"""Signals as operators, shells and service managers send them; and idle connections."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import ssl
import sys
import threading
import time
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest
import trustme

from otlp2parquet.config import AuthConfig, Config, ServerConfig, TlsConfig
from otlp2parquet.errors import ConfigError
from otlp2parquet.platforms.server import run
from otlp2parquet.platforms.server.front_door import FrontDoor, front_door
from otlp2parquet.platforms.server.granian_server import GranianServer
from otlp2parquet.platforms.server.reload import Reload
from otlp2parquet.platforms.server.signals import on_signals
from tests.components.process import wait_until
from tests.support.server_process import PATIENCE_SECS, Server, ended, logs_of
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PREFIX = "OTLP2PARQUET_SERVER_"
MEMORY = {"OTLP2PARQUET_DURABILITY_MODE": "memory"}

LAUNCH = "; os.execv(sys.argv[1], sys.argv[1:])"

DETACHED = (sys.executable, "-c", f"import os, sys; os.setsid(){LAUNCH}")
"""Starts a program as service managers do: it belongs to no terminal."""

ON_A_TERMINAL = f"import os, sys; os.setsid(); os.open(sys.argv.pop(1), os.O_RDWR){LAUNCH}"
"""Starts a program on the terminal that is named first, the first one that its session opens."""

NOHUP = f"import os, sys; from signal import *; signal(SIGHUP, SIG_IGN){LAUNCH}"
"""Starts a program as nohup does."""


@pytest.fixture
def _handlers() -> Iterator[None]:
    """The process's signal handlers are afterwards what they were."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(autouse=True)
def _hangups_are_not_ignored() -> Iterator[None]:
    """Whoever runs the tests under nohup has all programs ignore them from their start."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("_handlers")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_not_lost_on_a_busy_loop(number: signal.Signals) -> None:
    """It comes by the pipe that wakes the loop, and under load that is full."""

    async def busy() -> None:
        stop = asyncio.Event()
        on_signals(stop, lambda: None, lambda: None, survives=True)
        loop = asyncio.get_running_loop()
        for _ in range(20_000):
            loop.call_soon_threadsafe(lambda: None)
        signal.raise_signal(number)
        await asyncio.wait_for(stop.wait(), PATIENCE_SECS)

    asyncio.run(busy())


@pytest.mark.usefixtures("_handlers")
def test_what_else_is_asked_for_after_a_stop_changes_nothing() -> None:
    """All is being stored then, and neither a flush nor new secrets are for anybody."""

    async def asked() -> list[str]:
        stop, called = asyncio.Event(), list[str]()
        on_signals(
            stop, lambda: called.append("reload"), lambda: called.append("flush"), survives=True
        )
        for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGUSR1):
            signal.raise_signal(number)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        assert stop.is_set()
        return called

    assert asyncio.run(asked()) == ["flush"]


def test_a_closed_terminal_is_a_stop(tmp_path: Path) -> None:
    """Rows that only memory holds are stored, however often the shell says it, too."""
    master, slave = os.openpty()
    try:
        launcher = (sys.executable, "-c", ON_A_TERMINAL, os.ttyname(slave))
        with Server(tmp_path, settings=MEMORY, launcher=launcher) as server:
            assert server.post(logs_of("a")) == (200, b"")
            os.close(master)  # the last one who holds it: the terminal is gone
            master = -1
            server.process.send_signal(signal.SIGHUP)
            assert ended(server.process) == 0
            assert server.bodies() == ["a"]
            assert "everything acknowledged is stored" in server.log
    finally:
        os.close(slave)
        if master >= 0:
            os.close(master)


def test_what_ignores_hangups_goes_on_doing_so(tmp_path: Path) -> None:
    """Nohup means that a closed terminal is to change nothing."""
    with Server(tmp_path, launcher=(sys.executable, "-c", NOHUP)) as server:
        server.process.send_signal(signal.SIGHUP)
        assert server.post(logs_of("a")) == (200, b"")
        assert "SIGHUP" not in server.log
        assert "stopping" not in server.log
        assert server.stop() == 0


def hang_up(server: Server, said: str) -> None:
    """Send SIGHUP, and wait until the log says what came of it once more."""
    before = server.log.count(said)
    server.process.send_signal(signal.SIGHUP)
    wait_until(lambda: server.log.count(said) > before, PATIENCE_SECS, lambda: server.log)


READ_AGAIN = "tokens and certificates were read again"
STAYS = "the old tokens and certificates stay in effect"


def test_without_a_terminal_tokens_are_read_again(tmp_path: Path) -> None:
    """A rotated secret is known, the old one not any more; a mistake changes nothing."""
    tokens = tmp_path / "tokens"
    tokens.write_text("old-secret\n")
    settings = MEMORY | {f"{PREFIX}AUTH_TOKENS_FILE": str(tokens)}
    with Server(tmp_path, settings=settings, launcher=DETACHED) as server:

        def status(token: str) -> int:
            return server.post(logs_of(token), X_API_Key=token)[0]

        assert (status("old-secret"), status("new-secret")) == (200, 401)
        tokens.write_text("new-secret\n")
        hang_up(server, READ_AGAIN)
        assert (status("old-secret"), status("new-secret")) == (401, 200)
        for mistake in ("", "\n \n"):
            tokens.write_text(mistake)
            hang_up(server, STAYS)
            assert (status(""), status("new-secret")) == (401, 200)
        tokens.unlink()
        hang_up(server, STAYS)
        assert (status("old-secret"), status("new-secret")) == (401, 200)
        assert server.stop() == 0
        assert len(server.bodies()) == 5
        assert "secret" not in server.log


class TlsServer(Server):
    """A server that says that it speaks HTTPS."""

    def address(self) -> tuple[str, int] | None:
        """Where it listens."""
        _, found, after = self.log.partition("listening on https://127.0.0.1:")
        return ("127.0.0.1", int(after.partition(",")[0])) if found else None


def test_without_a_terminal_certificates_are_read_again(tmp_path: Path) -> None:
    """New connections get the new certificate, requests in progress are answered."""
    authorities = [trustme.CA() for _ in range(3)]

    def write(ca: trustme.CA) -> None:
        cert = ca.issue_cert("127.0.0.1")
        cert.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
        for number, blob in enumerate(cert.cert_chain_pems):
            blob.write_to_path(str(tmp_path / "cert.pem"), append=number > 0)

    def connect(ca: trustme.CA) -> ssl.SSLSocket:
        context = ssl.create_default_context()
        ca.configure_trust(context)
        plain = socket.create_connection(("127.0.0.1", server.port), PATIENCE_SECS)
        try:
            return context.wrap_socket(plain, server_hostname="127.0.0.1")
        except BaseException:
            plain.close()
            raise

    def is_served(ca: trustme.CA) -> bool:
        try:
            connect(ca).close()
        except (ssl.SSLError, OSError):
            return False
        return True

    def head(payload: bytes) -> bytes:
        return (
            b"POST /v1/logs HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n"
            b"Content-Length: %d\r\n\r\n" % len(payload)
        )

    write(authorities[0])
    settings = {
        f"{PREFIX}TLS_{name.upper()}": str(tmp_path / f"{name}.pem") for name in ("cert", "key")
    }
    with TlsServer(tmp_path, settings=settings, launcher=DETACHED) as server:
        payload = logs_of("begun before")
        with connect(authorities[0]) as begun:
            begun.sendall(head(payload) + payload[:5])
            with connect(authorities[0]) as other:  # answered behind it: the first one has begun
                other.sendall(head(logs_of("other")) + logs_of("other"))
                assert other.recv(100).startswith(b"HTTP/1.1 200 ")
            # Twice, though the first worker of all is still busy.
            for authority in authorities[1:]:
                write(authority)
                hang_up(server, READ_AGAIN)
                wait_until(partial(is_served, authority), PATIENCE_SECS, lambda: server.log)
            begun.sendall(payload[5:])
            assert begun.recv(100).startswith(b"HTTP/1.1 200 ")
        for authority in authorities[:2]:
            with pytest.raises(ssl.SSLError):
                connect(authority)
        (tmp_path / "key.pem").write_text("broken")
        hang_up(server, STAYS)
        with connect(authorities[2]) as client:
            client.sendall(head(logs_of("after")) + logs_of("after"))
            assert client.recv(100).startswith(b"HTTP/1.1 200 ")
        assert server.stop() == 0
        assert sorted(server.bodies()) == ["after", "begun before", "other"]


async def _inside(_scope: object, _receive: object, _send: object) -> None:
    """An application that nobody asks."""


@pytest.mark.parametrize(
    ("before", "after", "key"),
    [
        (ServerConfig(), ServerConfig(auth=AuthConfig(("new",))), "server.auth.tokens"),
        (ServerConfig(auth=AuthConfig(("old",))), ServerConfig(), "server.auth.tokens"),
    ],
)
def test_what_only_a_start_can_change_is_said(
    before: ServerConfig, after: ServerConfig, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A door that was not there is not put in, one that is there is not taken out."""

    def never(_: object) -> None:
        pytest.fail("nothing is to be renewed")

    door = front_door(_inside, before)
    tokens = door.tokens if isinstance(door, FrontDoor) else None
    doors = [door] if isinstance(door, FrontDoor) else []
    reload = Reload(before, doors, never, lambda: Config(server=after))
    asyncio.run(reload.reload())
    (record,) = caplog.records
    assert record.levelname == "ERROR"
    assert key in record.message
    assert "restart" in record.message
    assert (door.tokens if isinstance(door, FrontDoor) else None) is tokens


def test_a_reload_that_fails_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Neither a mistake nor a defect ends the server."""

    def renew(_: object) -> None:
        pytest.fail("nothing is to be renewed")

    for error in (ConfigError("batch.max_rows: found 0"), ZeroDivisionError("once")):

        def read_again(error: Exception = error) -> Config:
            raise error

        asyncio.run(Reload(ServerConfig(), [], renew, read_again).reload())
    asyncio.run(Reload(ServerConfig(), [], renew, None).reload())
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR", "WARNING"]


def test_who_asks_during_a_reload_is_heard() -> None:
    """What changed behind the first reading is read by a second one; many askers share it."""
    reads = []
    gate = threading.Event()

    def read_again() -> Config:
        reads.append(1)
        assert gate.wait(PATIENCE_SECS)
        return Config()

    async def scenario() -> None:
        reload = Reload(ServerConfig(), [], lambda _: None, read_again)
        reload.begin()
        await asyncio.to_thread(wait_for, lambda: bool(reads))
        for _ in range(3):
            reload.begin()
        gate.set()
        assert reload._running is not None  # noqa: SLF001 - to see its end
        await reload._running  # noqa: SLF001 - as above

    asyncio.run(scenario())
    assert len(reads) == 2


def test_certificates_that_cannot_be_taken_change_no_tokens() -> None:
    """What the log says is so: all of the old stays in effect, and the next reload is tried."""

    def renew(_: object) -> None:
        raise OSError("gone since it was checked")

    before = ServerConfig(auth=AuthConfig(("old",)))
    after = ServerConfig(auth=AuthConfig(("new",)))
    door = front_door(_inside, before)
    assert isinstance(door, FrontDoor)
    tokens = door.tokens
    reload = Reload(before, [door], renew, lambda: Config(server=after))
    with patch("otlp2parquet.platforms.server.reload.granian_arguments", lambda _: {"ssl": 1}):
        asyncio.run(reload.reload())
    assert door.tokens is tokens


def test_tls_is_never_left(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Settings that vanish are no reason to speak HTTP."""

    def renew(_: object) -> None:
        pytest.fail("nothing is to be renewed")

    before = ServerConfig(tls=TlsConfig(tmp_path / "cert", tmp_path / "key"))
    asyncio.run(Reload(before, [], renew, Config).reload())
    assert "server.tls.cert" in caplog.text


# -- the end --------------------------------------------------------------------------------


class _Connections:
    """An HTTP server that does not end before its last connection is gone."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()
        self.is_stopped = False

    async def serve(self) -> None:
        await self.gone.wait()

    def stop(self) -> None:
        self.is_stopped = True


class _Bodies:
    def expire(self, *, everything: bool) -> None:
        assert everything


class _Application:
    """An application whose storage comes back while it is being stopped."""

    survives = False
    bodies = _Bodies()

    def __init__(self) -> None:
        self.flushing = _Reload()
        self.home = SimpleNamespace(grpc_address="")
        self.tap = SimpleNamespace(has_cut=False)
        self.unsaved_rows: bool | None = None
        self.is_back = threading.Event()

    def start(self) -> None:
        pass

    def refuse_new(self) -> None:
        pass

    async def stop(self) -> None:
        self.unsaved_rows = True
        await asyncio.to_thread(self.is_back.wait, PATIENCE_SECS)
        self.unsaved_rows = False


class _Front:
    """A gRPC front whose calls hang until they are given up."""

    def __init__(self) -> None:
        self.is_expired = False
        self.given_up = asyncio.Event()

    address = ""

    async def start(self) -> None:
        pass

    async def stop(self, grace_secs: float) -> None:
        if not grace_secs:
            self.given_up.set()
        await self.given_up.wait()

    def expire(self) -> None:
        self.is_expired = True


@pytest.mark.usefixtures("_handlers")
@pytest.mark.parametrize("hangs", [False, True])
def test_the_end_waits_for_the_storage(monkeypatch: pytest.MonkeyPatch, *, hangs: bool) -> None:
    """As long as was promised, not as long as connections take; a hung one is no reason to lose."""
    for name in ("DRAIN_SECS", "GIVE_UP_SECS", "END_SECS"):
        monkeypatch.setattr(run, name, 0.01)

    async def scenario() -> int:
        application, connections, front = _Application(), _Connections(), _Front()
        if not hangs:
            connections.gone.set()
            front.given_up.set()
        serving = asyncio.create_task(
            run._serve(application, connections, front, lambda: None, _Reload(), view=None)  # type: ignore[arg-type]  # noqa: SLF001
        )
        await asyncio.sleep(0)
        signal.raise_signal(signal.SIGTERM)
        while application.unsaved_rows is None and not serving.done():  # noqa: ASYNC110 - set on this loop
            await asyncio.sleep(0)
        done, _ = await asyncio.wait({serving}, timeout=0.1)
        assert not done
        # Nor are calls given up meanwhile that wait to hear that they are kept.
        assert front.is_expired == hangs
        assert front.given_up.is_set() != hangs
        application.is_back.set()
        code = await serving
        assert front.given_up.is_set()
        return code

    assert asyncio.run(scenario()) == 0


class _Reload:
    def begin(self) -> None:
        pass


# -- idle connections -----------------------------------------------------------------------

REQUEST = (
    b"POST /v1/logs HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n"
    b"Content-Length: 0\r\n\r\n"
)


def test_an_idle_connection_ends_when_it_was_told_to(tmp_path: Path) -> None:
    """The setting is the limit for the pause behind a request, and for a head that is not ended."""
    settings = {f"{PREFIX}IDLE_TIMEOUT_SECS": "1.5"}
    with Server(tmp_path, settings=settings) as server, server.raw() as used, server.raw() as half:
        started = time.monotonic()
        half.sendall(REQUEST[:-20])
        used.sendall(REQUEST)
        assert used.recv(1000).startswith(b"HTTP/1.1 200 ")
        while used.recv(1000):
            pass
        assert 1.0 < time.monotonic() - started < 20
        while half.recv(1000):
            pass
        assert time.monotonic() - started < 20


def frames(client: socket.socket) -> Iterator[tuple[int, int, bytes]]:
    """The HTTP/2 frames that come: type, flags and payload."""
    stream = client.makefile("rb")
    while head := stream.read(9):
        yield head[3], head[4], stream.read(int.from_bytes(head[:3]))


def test_an_idle_http_2_connection_is_asked_and_kept(tmp_path: Path) -> None:
    """A client that is still there answers a ping, and can go on after any pause."""
    settings = {f"{PREFIX}IDLE_TIMEOUT_SECS": "0.5"}
    ping, settings_frame, acknowledged = 6, 4, 1
    with Server(tmp_path, settings=settings) as server, server.raw() as client:
        client.sendall(
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, settings_frame, 0, 0, 0, 0, 0])
        )
        asked = 0
        for kind, flags, payload in frames(client):
            if kind == settings_frame and not flags & acknowledged:
                client.sendall(bytes([0, 0, 0, settings_frame, acknowledged, 0, 0, 0, 0]))
            if kind == ping and not flags & acknowledged:
                asked += 1
                client.sendall(bytes([0, 0, 8, ping, acknowledged, 0, 0, 0, 0]) + payload)
            if asked == 3:
                break
        assert asked == 3


def test_by_default_an_idle_connection_lives_for_five_minutes() -> None:
    """Exporters send every 5 to 60 s, and some never try again."""
    config = ServerConfig()
    assert config.idle_timeout_secs == 300
    with socket.socket() as sock:
        server = GranianServer(sock, _inside, {}, config.idle_timeout_secs)
    assert server.http1_settings is not None
    assert server.http1_settings.header_read_timeout == 300_000
    assert server.http2_settings is not None
    assert server.http2_settings.keep_alive_interval == 300_000
