"""Bytes to a server and what comes back, by sockets: no client library would send these.

Knows HTTP/1.1 only as far as a status line. Must not know what is hostile about the bytes.
"""

from __future__ import annotations

import contextlib
import re
import select
import socket

PATIENCE_SECS = 60.0
_ENCODING = re.compile(rb"Content-Encoding: (\w+)")
_STATUS = re.compile(rb"HTTP/1\.[01] ([2-5]\d\d) ")


def head(
    path: str,
    *fields: str,
    method: str = "POST",
    content_type: str = "application/x-protobuf",
) -> bytes:
    """A request's head; ``fields`` are whole lines."""
    lines = [f"{method} {path} HTTP/1.1", "Host: x", f"Content-Type: {content_type}", *fields]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def request(
    signal: str,
    body: bytes,
    encoding: str = "identity",
    content_type: str = "application/x-protobuf",
) -> bytes:
    """A whole request as a client would send it; only its body is not what it should be."""
    fields = [f"Content-Length: {len(body)}", f"Content-Encoding: {encoding}", "Connection: close"]
    return head(f"/v1/{signal}", *fields, content_type=content_type) + body


def parts(sent: bytes) -> tuple[str, bytes]:
    """A request's content encoding and what is behind its head."""
    top, _, body = sent.partition(b"\r\n\r\n")
    found = _ENCODING.search(top)
    return found[1].decode() if found else "identity", body


def chunked(*chunks: bytes) -> bytes:
    """A body in chunks, without the last one."""
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)


def exchange(port: int, sent: bytes, *, cut: bool = False, patience_secs: float = 0.0) -> list[int]:
    """The statuses that come back until the server closes.

    ``cut`` says, after ``patience_secs`` without an answer, that no more will come, as a client
    does that is gone. (To a whole request it is not said: servers take it as a sign that nobody
    waits for the answer.)
    """
    with socket.create_connection(("127.0.0.1", port), PATIENCE_SECS) as client:
        # A server that has refused may close while we still send.
        with contextlib.suppress(OSError):
            client.sendall(sent)
            if cut:
                select.select([client], [], [], patience_secs)
                client.shutdown(socket.SHUT_WR)
        received = b""
        with contextlib.suppress(ConnectionError):
            while part := client.recv(65_536):
                received += part
    # 100 is no answer; a body never begins a line with one.
    return [int(status) for status in _STATUS.findall(received)]
