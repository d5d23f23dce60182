"""Requests to a running server, by the standard library.

Knows HTTP, tokens and how a server says no. Must not know what is sent.
"""

import http.client
import json
import ssl
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from otlp2parquet.config import Config
from otlp2parquet.errors import ConfigError, ServerError

FLUSH_SECS: Final = 30
"""How long a server may take to store what it has."""

_ANSWER_SECS: Final = 10.0
"""How long a server may take to answer what it answers at once."""

_MOST_BYTES: Final = 1 << 20
_OK: Final = 200


class ServerClient:
    """Asks one server. ``cert`` is a certificate that is trusted beside the system's.

    Raises ``ConfigError`` for a URL that is none.
    """

    def __init__(self, url: str, token: str = "", cert: Path | None = None) -> None:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        try:
            port = parts.port
        except ValueError:
            port = -1
        if parts.scheme not in {"http", "https"} or not parts.hostname or port == -1:
            raise ConfigError(
                f"found the URL {url}, expected one of a server, such as http://127.0.0.1:4318"
            )
        self.is_secure = parts.scheme == "https"
        self.host, self.path = parts.hostname, parts.path.rstrip("/")
        self.port = port or (4318 if not self.is_secure else 443)
        self.token = token
        self._cert = cert

    @property
    def url(self) -> str:
        """The server's address as a URL, without a ``/`` at the end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http{'s' if self.is_secure else ''}://{host}:{self.port}{self.path}"

    def post(
        self, path: str, body: bytes, media_type: str, timeout_secs: float = _ANSWER_SECS
    ) -> bytes:
        """The body of the answer to one request.

        Raises ``ServerError`` for a server that does not answer, or answers with anything but 200;
        the message has what it says.
        """
        headers = {"Content-Type": media_type}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        connection = self._connection(timeout_secs)
        try:
            connection.request("POST", self.path + path, body, headers)
            response = connection.getresponse()
            answer = response.read(_MOST_BYTES)
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise ServerError(f"{self.url} does not answer: {reason.lower()}") from error
        finally:
            connection.close()
        if response.status != _OK:
            raise ServerError(f"{self.url} answers {response.status}: {_message(answer)}")
        return answer

    def flush(self) -> dict[str, Any]:
        """Have the server store what it has, and return what it says of that.

        Raises ``ServerError`` as ``post`` does.
        """
        path = f"/flush?timeout={FLUSH_SECS}"
        answer = self.post(path, b"", "application/json", FLUSH_SECS + _ANSWER_SECS)
        try:
            told = json.loads(answer)
        except ValueError:
            told = None
        if not isinstance(told, dict):
            raise ServerError(f"{self.url} answers something else than a flush does")
        return told

    def _connection(self, timeout_secs: float) -> http.client.HTTPConnection:
        if not self.is_secure:
            return http.client.HTTPConnection(self.host, self.port, timeout=timeout_secs)
        context = ssl.create_default_context()
        if self._cert is not None:
            try:
                context.load_verify_locations(self._cert)
            except OSError as error:
                raise ServerError(f"{self._cert} cannot be read: {error}") from error
            # The server's own certificate need not be its authority's.
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        return http.client.HTTPSConnection(
            self.host, self.port, timeout=timeout_secs, context=context
        )


def client_of(config: Config, url: str) -> ServerClient:
    """A client for a server of this configuration: with its token and its certificate."""
    server = config.server
    token = server.auth.tokens[0] if server.auth.tokens else ""
    return ServerClient(url, token, server.tls.cert)


def _message(body: bytes) -> str:
    """What a refusal says, which is a google.rpc.Status in JSON."""
    try:
        return str(json.loads(body)["message"])
    except (ValueError, LookupError, TypeError):
        return "without a message"
