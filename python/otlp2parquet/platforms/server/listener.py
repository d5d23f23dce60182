"""The socket on which a server listens, bound exclusively: a second server on it is an error.

Knows sockets and addresses. It must not know who serves on it.
"""

import os
import socket

from otlp2parquet.config import Address
from otlp2parquet.errors import ConfigError
from otlp2parquet.platforms.server.granian_server import BACKLOG


def listen(address: Address, key: str = "server.listen_addr") -> socket.socket:
    """A socket bound to ``address``, exclusively. Raises ``ConfigError`` when it cannot be.

    ``key`` is the setting that the address comes from.
    """
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
            f"cannot listen on {address}: {reason.lower()}, expected a free address ({key})"
        ) from error
    return sock
