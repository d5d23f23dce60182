"""A server that runs: where it is reached by the settings of here, and requests to it.

Knows HTTP as a client, TLS and tokens. It must not know what is asked for. The first token of the
settings is shown to the server, and the server's own certificate is trusted where the settings
name one, so whoever starts a command beside a server need not say anything twice.
"""

import http.client
import json
import ssl
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from otlp2parquet.config import Config
from otlp2parquet.errors import OtlpError
from otlp2parquet.printable import printable

_ANY_ADDRESS: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - to go there from here
"""Addresses to listen on that nobody can be sent to, and where such a server is reached."""


_FLUSH_SECS: Final = 30
_SPARE_SECS: Final = 10.0
"""How long storing may take, and how much longer the answer is waited for."""
_OK: Final = 200
_ANSWER: Final = {"root": str, "files": int, "rows": dict}
"""What is in an answer to a flush, at least."""


class NoServerError(OtlpError):
    """Nobody answers there, or not as a server of ours does."""


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server at a URL."""

    url: str
    """Without a trailing slash."""
    token: str = ""
    trusted: str = ""
    """A file of certificates that are trusted besides the system's; empty for none."""

    def request(
        self, method: str, path: str, timeout_secs: float, body: bytes = b"", media_type: str = ""
    ) -> tuple[int, bytes]:
        """Status and body of the answer to one request; ``NoServerError`` where there is none."""
        parts = urlsplit(self.url)
        headers = {"authorization": f"Bearer {self.token}"} if self.token else {}
        if media_type:
            headers["content-type"] = media_type
        connection = self._connection(parts.scheme, parts.hostname or "", parts.port, timeout_secs)
        try:
            connection.request(method, parts.path + path, body, headers)
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise NoServerError(
                f"no server answers at {self.url}: {reason.lower()}, expected a running "
                "otlp2parquet (--url)"
            ) from error
        finally:
            connection.close()

    def flush(self) -> dict[str, Any]:
        """Have it store what it has received; what it says of that.

        Raises ``NoServerError`` where not everything is stored, too.
        """
        path = f"/flush?timeout={_FLUSH_SECS}"
        status, body = self.request("POST", path, _FLUSH_SECS + _SPARE_SECS)
        try:
            page = json.loads(body)
        except ValueError:
            page = None
        if not isinstance(page, dict):
            page = {"message": "expected an otlp2parquet that knows flush"}
        is_ours = all(isinstance(page.get(name), kind) for name, kind in _ANSWER.items())
        if status != _OK or not is_ours:
            message = printable(str(page.get("message", "")))
            raise NoServerError(f"{self.url} answered {status}: {message}")
        return page

    def _connection(
        self, scheme: str, host: str, port: int | None, timeout_secs: float
    ) -> http.client.HTTPConnection:
        if scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=timeout_secs)
        context = trusting(self.trusted)
        return http.client.HTTPSConnection(host, port, timeout=timeout_secs, context=context)


def trusting(trusted: str) -> ssl.SSLContext:
    """TLS for a server, with the certificates in the file ``trusted`` besides the system's."""
    context = ssl.create_default_context()
    # The server's own certificate is enough, whoever has signed it. (From Python 3.13 on it is.)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if trusted:
        try:
            context.load_verify_locations(trusted)
        except (OSError, ssl.SSLError) as error:
            raise NoServerError(
                f"cannot read the certificates in {trusted} (server.tls.cert)"
            ) from error
    return context


def server_at(url: str | None, config: Config, *, shows_token: bool = True) -> RunningServer:
    """The server at ``url``, or the one that these settings start. ``NoServerError`` for no URL.

    ``shows_token`` is for a URL that nobody has named who may know the token.
    """
    tokens, cert = config.server.auth.tokens, config.server.tls.cert
    if url is None:
        address = config.server.listen_addr
        if not address.port:
            raise NoServerError(
                "server.listen_addr: found port 0, which a server chooses, expected --url"
            )
        host = _ANY_ADDRESS.get(address.host, address.host)
        url = f"{'https' if cert else 'http'}://{address._replace(host=host)}"
    try:
        parts = urlsplit(url)
        is_one = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        is_one = False
    if not is_one:
        raise NoServerError(f"--url: found {url!r}, expected a URL such as http://127.0.0.1:4318")
    token = tokens[0] if tokens and shows_token else ""
    return RunningServer(url.rstrip("/"), token, "" if cert is None else str(cert))
