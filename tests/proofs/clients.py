"""Clients of a load: those that wait for every answer, and those that leave in the middle.

Knows HTTP/1.1 on a socket and the ledger. Must not know the server's insides. A client is a
thread that ends when it is told to, or when nobody listens any more.
"""

from __future__ import annotations

import contextlib
import gzip
import http.client
import itertools
import random
import socket
import struct
import threading
import time
from typing import TYPE_CHECKING

from tests.proofs.stamped import Template, template

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.proofs.ledger import Account, Answer, Ledger

TIMEOUT_SECS = 60.0
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER that makes a close a reset."""

FORMS = ("plain", "gzip", "chunked")


class Client(threading.Thread):
    """What all clients share: an account, numbers, an end."""

    def __init__(self, port: int, ledger: Ledger, service: str, *, pause_secs: float) -> None:
        """``pause_secs`` is the time between two requests; 0 is full speed."""
        super().__init__(name=service, daemon=True)
        self.port, self.service, self.pause_secs = port, service, pause_secs
        self.account: Account = ledger.open(service)
        self.numbers = itertools.count()
        self.leave = threading.Event()
        self.trouble: BaseException | None = None

    def run(self) -> None:
        """Turns until told to leave, or until nobody listens."""
        try:
            while not self.leave.is_set() and self.turn():
                if self.pause_secs:
                    self.leave.wait(self.pause_secs)
        except BaseException as error:
            self.trouble = error
            raise

    def turn(self) -> bool:
        """One request; whether the server is still there."""
        raise NotImplementedError


class Steady(Client):
    """Waits for every answer; sends each of its shapes in each form in turn."""

    def __init__(
        self,
        port: int,
        ledger: Ledger,
        service: str,
        shapes: Sequence[tuple[str, int]],
        *,
        forms: Sequence[str] = FORMS,
        pause_secs: float = 0.0,
        patient: bool = False,
    ) -> None:
        """``shapes`` are (signal, records); ``patient`` waits after a 503 as it is told to."""
        super().__init__(port, ledger, service, pause_secs=pause_secs)
        templates = [template(signal, service, count) for signal, count in shapes]
        self.choices = itertools.cycle(list(itertools.product(templates, forms)))
        self.patient = patient
        self.connection: http.client.HTTPConnection | None = None

    def run(self) -> None:
        """As every client; the connection is closed at the end."""
        try:
            super().run()
        finally:
            if self.connection is not None:
                self.connection.close()

    def turn(self) -> bool:
        """One request on the kept-alive connection; a new one where it was closed."""
        if self.connection is None:
            self.connection = http.client.HTTPConnection(
                "127.0.0.1", self.port, timeout=TIMEOUT_SECS
            )
            try:
                self.connection.connect()
            except OSError:
                return False
        chosen, form = next(self.choices)
        number = next(self.numbers)
        answer, retry_after = self.send(chosen, form, number)
        self.account.note(number, chosen, answer)
        if retry_after and self.patient:
            self.leave.wait(retry_after)
        return True

    def send(self, chosen: Template, form: str, number: int) -> tuple[Answer, float]:
        """Send and wait for the answer: the status, and the seconds of a Retry-After."""
        assert self.connection is not None
        headers = {"Content-Type": "application/x-protobuf"}
        body = chosen.stamped(number)
        if form == "gzip":
            body, headers["Content-Encoding"] = gzip.compress(body, 1), "gzip"
        try:
            if form == "chunked":
                parts = (body[at : at + 50_000] for at in range(0, len(body), 50_000))
                self.connection.request(
                    "POST", f"/v1/{chosen.signal}", parts, headers, encode_chunked=True
                )
            else:
                self.connection.request("POST", f"/v1/{chosen.signal}", body, headers)
            response = self.connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException):
            self.connection.close()
            self.connection = None
            return None, 0.0
        if response.will_close:
            self.connection.close()
            self.connection = None
        return response.status, float(response.headers.get("Retry-After", 0))


class Leaver(Client):
    """Leaves in the middle: before the body, within it, or before the answer is read."""

    WAYS = ("head", "body", "chunk", "reset", "no answer")

    def __init__(
        self, port: int, ledger: Ledger, service: str, *, pause_secs: float = 0.01
    ) -> None:
        """Each turn is a connection of its own."""
        super().__init__(port, ledger, service, pause_secs=pause_secs)
        self.random = random.Random(service)
        self.templates = [
            template("logs", service, 1),
            template("logs", service, 500),
            template("metrics", service, 50),
        ]
        self.left: int = 0

    def turn(self) -> bool:
        """One connection, one way to leave."""
        way, chosen = self.random.choice(self.WAYS), self.random.choice(self.templates)
        number = next(self.numbers)
        body = chosen.stamped(number)
        cut = self.random.randrange(1, len(body))
        head = f"POST /v1/{chosen.signal} HTTP/1.1\r\nHost: x\r\n".encode()
        head += b"Content-Type: application/x-protobuf\r\n"
        known = head + b"Content-Length: %d\r\n\r\n" % len(body)
        sent = {
            "head": known,
            "body": known + body[:cut],
            "reset": known + body[:cut],
            "chunk": head
            + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % cut
            + body[:cut]
            + b"\r\n",
            "no answer": known + body,
        }[way]
        if way == "no answer":
            self.account.note(number, chosen, None)
        try:
            connection = socket.create_connection(("127.0.0.1", self.port), TIMEOUT_SECS)
        except OSError:
            return False
        with connection, contextlib.suppress(OSError):  # the server may have closed first
            connection.sendall(sent)
            if way == "reset":
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.left += 1
        return True


def finish(clients: Sequence[Client]) -> None:
    """Tell all to leave, wait for each, and raise what went wrong in one."""
    for client in clients:
        client.leave.set()
    deadline = time.monotonic() + TIMEOUT_SECS + 30
    for client in clients:
        client.join(max(0.0, deadline - time.monotonic()))
        assert not client.is_alive(), f"{client.service} does not end"
        if client.trouble is not None:
            raise client.trouble
