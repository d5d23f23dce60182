"""A proxy before an S3 server that makes trouble by script.

Knows HTTP/1.1 as far as clients of storages speak it. Must not know what is stored. The request's
head is passed on as it came, so that its signature stays good.
"""

from __future__ import annotations

import re
import socket
import socketserver
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: its method, its path with the query, and how many there were before it."""

    method: str
    path: str
    number: int


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is done instead of passing a request on."""

    status: int = 0
    """Answer with this, and pass nothing on."""
    code: str = ""
    """S3's word for it."""
    retry_after: int = 0
    then: Callable[[], None] | None = None
    """Pass it on, and call this before the answer is given."""
    seen: Callable[[int], None] | None = None
    """Pass it on, and call this with the status of the answer before it is given."""
    lose_answer: bool = False
    """Pass it on, and cut the connection in place of the answer."""
    cut_after: int = -1
    """Cut the connection after so many bytes of the body."""
    hang: bool = False
    """Take it, and never say anything."""
    wait_secs: float = 0.0
    """Pass it on after so long."""
    drip_secs: float = 0.0
    """Give the answer a byte at a time, so far apart."""


class Proxy:
    """A running proxy; ``script`` is asked what to do with each request, None for nothing."""

    def __init__(
        self, port: int, script: Callable[[Asked], Trouble | None] = lambda _: None
    ) -> None:
        self.script = script
        self.asked: list[Asked] = []
        self._upstream = ("127.0.0.1", port)
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        proxy = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                proxy._serve(self.request)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        """Begin to answer."""
        threading.Thread(target=self._server.serve_forever, args=[0.05], daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """End, and let go of everybody who hangs."""
        self._stopped.set()
        self._server.shutdown()
        self._server.server_close()

    def count(self, method: str) -> int:
        """How many requests there were with this method."""
        with self._lock:
            return sum(one.method == method for one in self.asked)

    def _serve(self, client: socket.socket) -> None:
        with client:
            try:
                while self._one(client):
                    pass
            except OSError:
                pass  # who is cut off may be faster than we are

    def _one(self, client: socket.socket) -> bool:
        """One request; whether another may come on the same connection."""
        head = _head(client)
        if not head:
            return False
        method, path, _ = head.split(b" ", 2)
        with self._lock:
            asked = Asked(method.decode(), path.decode(), len(self.asked))
            self.asked.append(asked)
        trouble = self.script(asked) or Trouble()
        if _field(head, b"expect") is not None:
            client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            head = re.sub(rb"(?i)\r\nexpect:[^\r]*", b"", head)  # which nobody signs
        if trouble.cut_after >= 0:
            _read(client, min(trouble.cut_after, _length(head)))
            return False
        is_chunked = _field(head, b"transfer-encoding") == b"chunked"
        body = _read_chunks(client) if is_chunked else _read(client, _length(head))
        if trouble.hang:
            self._stopped.wait()
            return False
        if trouble.status:
            client.sendall(_answer(trouble))
            return True
        self._stopped.wait(trouble.wait_secs)
        with socket.create_connection(self._upstream, timeout=30) as server:
            server.sendall(head + body)
            answer = _head(server)
            # An answer to HEAD says how long the body of GET would be, and has none.
            if method != b"HEAD":
                answer += _read_answer(server, answer)
        if trouble.seen is not None:
            trouble.seen(int(answer.split(b" ", 2)[1]))
        if trouble.then is not None:
            trouble.then()
        if trouble.lose_answer:
            return False
        if trouble.drip_secs:
            for place in range(len(answer)):
                client.sendall(answer[place : place + 1])
                if self._stopped.wait(trouble.drip_secs):
                    return False
        else:
            client.sendall(answer)
        return True


def _head(source: socket.socket) -> bytes:
    """Up to and with the empty line; empty at the end of the connection."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        # No more than the head is taken: what follows is the body.
        coming = source.recv(1 << 14, socket.MSG_PEEK)
        if not coming:
            return b""
        end = (head + coming).find(b"\r\n\r\n")
        taken = len(coming) if end < 0 else end + 4 - len(head)
        head += source.recv(taken)
    return head


def _read(source: socket.socket, count: int) -> bytes:
    pieces = []
    while count > 0:
        piece = source.recv(min(count, 1 << 20))
        if not piece:
            break
        pieces.append(piece)
        count -= len(piece)
    return b"".join(pieces)


def _read_chunks(source: socket.socket) -> bytes:
    """A body in chunks, as it came."""
    body = b""
    while True:
        size = _line(source)
        count = int(size.partition(b";")[0], 16)
        body += size
        if not count:
            break
        body += _read(source, count + 2)
    while (line := _line(source)) != b"\r\n":
        body += line  # a trailer
    return body + line


def _line(source: socket.socket) -> bytes:
    """Up to and with the end of a line."""
    line = b""
    while not line.endswith(b"\r\n"):
        piece = source.recv(1)
        if not piece:
            raise OSError("cut off within a line")
        line += piece
    return line


def _field(head: bytes, name: bytes) -> bytes | None:
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.strip().lower() == name:
            return value.strip()
    return None


def _length(head: bytes) -> int:
    return int(_field(head, b"content-length") or 0)


def _read_answer(server: socket.socket, head: bytes) -> bytes:
    if _field(head, b"transfer-encoding") != b"chunked":
        return _read(server, _length(head))
    body = b""
    while not body.endswith(b"0\r\n\r\n"):
        piece = server.recv(1 << 16)
        if not piece:
            break
        body += piece
    return body


def _answer(trouble: Trouble) -> bytes:
    code = trouble.code or "InternalError"
    body = f"<Error><Code>{code}</Code><Message>as the script says</Message></Error>".encode()
    head = f"HTTP/1.1 {trouble.status} Trouble\r\nContent-Length: {len(body)}\r\n"
    if trouble.retry_after:
        head += f"Retry-After: {trouble.retry_after}\r\n"
    return f"{head}Content-Type: application/xml\r\n\r\n".encode() + body
