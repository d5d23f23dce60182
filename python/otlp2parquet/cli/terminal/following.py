"""The live view of a server elsewhere: connected, and connected again.

Knows HTTP and what may be wrong. A thread reads, and leaves events, messages for people, and at the
end the error in a queue: whoever prints waits for nothing else. A server that cannot be reached at
the first try is an error; later it may be on its way back.
"""

import http.client
import json
import queue
import threading
from collections.abc import Sequence
from typing import Final, NamedTuple
from urllib.parse import urlencode, urlsplit

from otlp2parquet.cli.running_server import NoServerError, trusting
from otlp2parquet.cli.terminal.sse import Event, Parser
from otlp2parquet.cli.terminal.text import safe
from otlp2parquet.errors import OtlpError

PATH: Final = "/live"

SILENCE_SECS: Final = 20.0
"""The server says something every second: a connection without a word is none."""

LONGEST_PAUSE_SECS: Final = 5.0

MAX_WAITING: Final = 16
"""Lists of events that wait to be printed; behind them nothing is read, and the server counts what
it left out."""

CHUNK_BYTES: Final = 256 << 10


class CannotLookError(OtlpError):
    """The server does not show anything, or there is none; the message says what to do."""


class Place(NamedTuple):
    """Where the live view of a server is, and what opens it."""

    scheme: str
    netloc: str
    path: str
    token: str
    trusted: str = ""
    """A file of certificates that are trusted besides the system's; empty for none."""

    @property
    def url(self) -> str:
        """The server, for people."""
        return f"{self.scheme}://{self.netloc}{self.path.removesuffix(PATH)}"


def read_place(url: str, token: str, trusted: str = "") -> Place:
    """The place that a URL names; ``trusted`` as in ``Place``. Raises ``ValueError``."""
    parts = urlsplit(url if "://" in url else f"http://{url}")
    expected = "expected one such as http://localhost:4318"
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"found the URL {safe(url)!r}, {expected}")
    try:
        port = parts.port or (443 if parts.scheme == "https" and "://" in url else 4318)
    except ValueError as error:
        raise ValueError(f"found the URL {safe(url)!r} with a bad port, {expected}") from error
    if not token.isascii() or not token.isprintable():
        raise ValueError("the token has characters that no header field takes")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    path = parts.path.rstrip("/").removesuffix(PATH) + PATH
    return Place(parts.scheme, f"{host}:{port}", path, token, trusted)


class Following:
    """Follows one place; ``wanted`` is the query, ``recent`` what comes first."""

    def __init__(self, place: Place, wanted: Sequence[tuple[str, str]], recent: int) -> None:
        self._place = place
        self._wanted = wanted
        self._recent = recent
        self._stopped = threading.Event()
        self.items: queue.Queue[list[Event] | str | Exception] = queue.Queue(MAX_WAITING)
        """Events; texts for people; an error, which is the end."""
        self._last_id = ""
        self._has_been_connected = False

    def start(self) -> None:
        """Begin."""
        threading.Thread(target=self._run, name="otlp2parquet-tail", daemon=True).start()

    def stop(self) -> None:
        """End; the thread goes with its connection or with the process."""
        self._stopped.set()

    def _run(self) -> None:
        pause = 0.5
        while not self._stopped.is_set():
            try:
                self._read()
                pause, trouble = 0.5, "the server has ended the connection"
            except CannotLookError as error:
                self.items.put(error)
                return
            except (OSError, http.client.HTTPException) as error:
                trouble = str(error) or type(error).__name__
                if not self._has_been_connected:
                    self.items.put(CannotLookError(self._nobody(trouble)))
                    return
            if pause == 0.5 and not self._stopped.is_set():  # noqa: PLR2004 - the first of several
                self.items.put(f"{safe(trouble)}; waiting for {self._place.url}")
            self._stopped.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECS)

    def _nobody(self, trouble: str) -> str:
        if "SSL" in trouble or "CERTIFICATE" in trouble:
            return f"cannot speak TLS with {self._place.url}: {safe(trouble)}"
        return (
            f"nobody answers at {self._place.url} ({safe(trouble)}): start otlp2parquet dev, or "
            "name the server with --url"
        )

    def _read(self) -> None:
        """One connection, to its end."""
        place = self._place
        if place.scheme == "https":
            try:
                context = trusting(place.trusted)
            except NoServerError as error:
                raise CannotLookError(str(error)) from error
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                place.netloc, timeout=SILENCE_SECS, context=context
            )
        else:
            connection = http.client.HTTPConnection(place.netloc, timeout=SILENCE_SECS)
        try:
            connection.request("GET", self._target(), headers=self._headers())
            answer = connection.getresponse()
            if answer.status != 200 or not _is_stream(answer):  # noqa: PLR2004
                raise CannotLookError(self._reason(answer))
            if self._has_been_connected:
                self.items.put(f"connected to {place.url} again")
            self._has_been_connected = True
            parser = Parser()
            while not self._stopped.is_set():
                chunk = answer.read1(CHUNK_BYTES)
                if not chunk:
                    return
                self.items.put(list(parser.feed(chunk)))
                self._last_id = parser.last_id or self._last_id
        finally:
            connection.close()

    def _target(self) -> str:
        recent = 0 if self._has_been_connected and not self._last_id else self._recent
        return f"{self._place.path}?{urlencode([*self._wanted, ('recent', str(recent))])}"

    def _headers(self) -> dict[str, str]:
        headers = {"Accept": "text/event-stream"}
        if self._place.token:
            headers["Authorization"] = f"Bearer {self._place.token}"
        if self._last_id:
            headers["Last-Event-ID"] = self._last_id
        return headers

    def _reason(self, answer: http.client.HTTPResponse) -> str:
        url, status = self._place.url, answer.status
        told = _told(answer)
        if status == 401:  # noqa: PLR2004 - HTTP's numbers, here and below
            which = "another token" if self._place.token else "a token"
            return f"{url} wants {which}: --token, OTLP2PARQUET_TOKEN or server.auth.tokens"
        if status == 404 and told.get("setting"):  # noqa: PLR2004
            return (
                f"the live view of {url} is off: start it as otlp2parquet dev, or serve with "
                f"server.page = true (OTLP2PARQUET_SERVER_PAGE=true)"
            )
        if status in (200, 404):
            return f"what answers at {url} has no live view: expected otlp2parquet dev or serve"
        return f"{url} answers {status}: {safe(str(told.get('error') or answer.reason))}"


def _is_stream(answer: http.client.HTTPResponse) -> bool:
    return answer.headers.get_content_type() == "text/event-stream"


def _told(answer: http.client.HTTPResponse) -> dict[str, object]:
    try:
        told = json.loads(answer.read(64 << 10))
    except (ValueError, OSError, http.client.HTTPException):
        return {}
    return told if isinstance(told, dict) else {}
