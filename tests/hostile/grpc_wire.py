"""HTTP/2 frames to a gRPC server and the statuses that come back: no library would send these.

Knows as much of HTTP/2, HPACK and gRPC as a call needs. Must not know what is hostile about it.
"""

from __future__ import annotations

import contextlib
import re
import select
import socket
from typing import TYPE_CHECKING

from tests.hostile.wire import PATIENCE_SECS

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = (
    0,
    1,
    3,
    4,
    6,
    7,
    8,
    9,
)
END_STREAM, ACK, END_HEADERS = 1, 1, 4
LOGS = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"

# What a server says in a header block without compression of its own: the name, then the value.
_STATUS = re.compile(rb"grpc-status[\x01\x02](\d{1,2})")


def frame(kind: int, payload: bytes = b"", *, flags: int = 0, stream: int = 0) -> bytes:
    """One frame, of honest length."""
    return b"".join(
        (len(payload).to_bytes(3), bytes((kind, flags)), stream.to_bytes(4), payload),
    )


# The header table is of no size: then all names and values come as they are.
HELLO = PREFACE + frame(SETTINGS, (1).to_bytes(2) + (0).to_bytes(4))


def text(value: bytes) -> bytes:
    """A literal of HPACK, RFC 7541, 5.2: its length, and itself, not by Huffman."""
    if len(value) < 127:
        return bytes((len(value),)) + value
    rest, octets = len(value) - 127, bytearray(b"\x7f")
    while rest >= 128:
        octets.append(rest & 127 | 128)
        rest >>= 7
    octets.append(rest)
    return bytes(octets) + value


def block(fields: dict[str, str]) -> bytes:
    """A header block of literal fields that enter no table."""
    return b"".join(
        b"\0" + text(name.encode()) + text(value.encode("latin-1"))
        for name, value in fields.items()
    )


def call_fields(changed: Mapping[str, str | None] | None = None) -> dict[str, str]:
    """The fields of a call; ``changed`` are others, or None for those to be left out."""
    fields: dict[str, str | None] = {
        ":method": "POST",
        ":scheme": "http",
        ":path": LOGS,
        ":authority": "x",
        "te": "trailers",
        "content-type": "application/grpc",
    }
    fields |= changed or {}
    return {name: value for name, value in fields.items() if value is not None}


def open_call(stream: int = 1, changed: Mapping[str, str | None] | None = None) -> bytes:
    """The head of a call on a stream."""
    return frame(HEADERS, block(call_fields(changed)), flags=END_HEADERS, stream=stream)


def message(content: bytes, *, length: int | None = None, flag: int = 0) -> bytes:
    """A message with what stands before it; ``length`` is what is said there, if not the truth."""
    said = len(content) if length is None else length
    return bytes((flag,)) + said.to_bytes(4) + content


def data(content: bytes, stream: int = 1, *, end: bool = True) -> bytes:
    """``content`` in frames of at most 16 KiB, the last of which may end the stream."""
    parts = [content[at : at + 16_384] for at in range(0, len(content), 16_384)] or [b""]
    return b"".join(
        frame(DATA, part, flags=END_STREAM if end and part is parts[-1] else 0, stream=stream)
        for part in parts
    )


def call(
    content: bytes, *, length: int | None = None, flag: int = 0, encoding: str | None = None
) -> bytes:
    """A whole connection with one call of one message, which says that it is in ``encoding``."""
    head = open_call(changed={"grpc-encoding": encoding})
    return HELLO + head + data(message(content, length=length, flag=flag))


def exchange(port: int, sent: bytes, *, patience_secs: float = 0.3) -> list[int]:
    """The gRPC statuses that come back on one connection.

    Nothing is waited for once a status has come, nor where ``patience_secs`` bring nothing: then
    our side says that it sends no more, and what comes until the server's end is still read.
    """
    with socket.create_connection(("127.0.0.1", port), PATIENCE_SECS) as client:
        client.settimeout(PATIENCE_SECS)
        received = bytearray()
        rest = memoryview(sent)
        is_open = True
        with contextlib.suppress(OSError):
            while not _STATUS.search(received):
                wanted = [client] if rest else []
                readable, writable, _ = select.select([client], wanted, [], patience_secs)
                if readable:
                    part = client.recv(65_536)
                    if not part:
                        break
                    received += part
                elif writable:
                    rest = rest[client.send(rest[:65_536]) :]
                elif is_open:
                    client.shutdown(socket.SHUT_WR)
                    is_open = False
                    patience_secs = max(patience_secs, 2.0)
                else:
                    break
    return [int(status) for status in _STATUS.findall(received)]
