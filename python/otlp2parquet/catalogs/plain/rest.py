"""Iceberg's REST catalog protocol, one request at a time, over ``fetch`` that is given.

Knows paths, tokens and answers of the specification. Must not know what tables are for. Nothing
is sent twice, except where a token that was given by this catalog has expired before a request
that changes nothing.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

from otlp2parquet.catalogs.answers import EXPIRED, error_of, words_in
from otlp2parquet.catalogs.plain.protocol import Fetch
from otlp2parquet.errors import CatalogRefusedError, CatalogUnavailableError

_SEPARATOR: Final = "\x1f"
"""Between the parts of a namespace in a path."""
_NOT_FOUND: Final = 404
_CONFLICT: Final = 409
_FORM: Final = "application/x-www-form-urlencoded"

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RestOptions:
    """How a REST catalog is reached. Secrets are not shown."""

    uri: str
    warehouse: str = ""
    token: str = ""
    credential: str = ""
    """Id and secret for OAuth2, with a colon between them; the secret alone is enough for some."""
    oauth_uri: str = ""
    """Where tokens are given; empty: at the specification's own place."""
    scope: str = "catalog"
    timeout_secs: float = 30.0

    def __repr__(self) -> str:
        """Without token and credential."""
        return f"RestOptions(uri={self.uri!r}, warehouse={self.warehouse!r})"


class RestClient:
    """Requests of one catalog. Every call raises the three errors of a catalog."""

    def __init__(self, options: RestOptions, fetch: Fetch) -> None:
        self.options = options
        self._fetch = fetch
        self._token = options.token
        self._base: str | None = None

    async def load_table(self, identifier: Sequence[str]) -> Json | None:
        """A table's metadata, None if there is no such table or namespace."""
        what = f"load {'.'.join(identifier)}"
        status, body = await self._ask("GET", _path_of(identifier))
        if status == _NOT_FOUND:
            return None
        return _metadata_in(_read(status, body, what), what)

    async def create_namespace(self, namespace: Sequence[str]) -> None:
        """Make a namespace; one that is there is no trouble."""
        what = f"make the namespace {'.'.join(namespace)}"
        status, body = await self._ask(
            "POST", "namespaces", {"namespace": list(namespace), "properties": {}}
        )
        if status != _CONFLICT:
            _read(status, body, what)

    async def create_table(self, identifier: Sequence[str], request: Json) -> Json:
        """Make a table, or only its metadata where ``request`` says so; the metadata."""
        *namespace, name = identifier
        what = f"make {'.'.join(identifier)}"
        status, body = await self._ask(
            "POST", f"{_namespace_of(namespace)}/tables", {"name": name, **request}
        )
        return _metadata_in(_read(status, body, what), what)

    async def commit(
        self, identifier: Sequence[str], requirements: Sequence[Json], updates: Sequence[Json]
    ) -> None:
        """One attempt to change a table."""
        *namespace, name = identifier
        request = {
            "identifier": {"namespace": list(namespace), "name": name},
            "requirements": list(requirements),
            "updates": list(updates),
        }
        what = f"commit to {'.'.join(identifier)}"
        base = await self._reached()
        sent = self._token
        status, body = await self._send("POST", f"{base}/{_path_of(identifier)}", request)
        if status in EXPIRED:
            # The same token was good for loading the table. It is not sent again from here.
            self._forget(sent)
            raise CatalogUnavailableError(f"{what}: the token has expired: {words_in(body)}")
        _read(status, body, what)

    async def _reached(self) -> str:
        """Where paths begin, as the catalog's configuration has it."""
        if self._base is None:
            uri = self.options.uri.rstrip("/")
            query = {"warehouse": self.options.warehouse} if self.options.warehouse else {}
            url = f"{uri}/v1/config{'?' if query else ''}{urlencode(query)}"
            what = "ask for the configuration"
            status, body = await self._with_token("GET", url, None)
            if status == _NOT_FOUND:  # no table is missing, the whole catalog is
                raise CatalogRefusedError(f"{what}: nothing is found at {url}")
            config = _read(status, body, what)
            said = {**(config.get("defaults") or {}), **(config.get("overrides") or {})}
            prefix = str(said.get("prefix") or "").strip("/")
            uri = str(said.get("uri") or uri).rstrip("/")
            self._base = f"{uri}/v1/{quote(prefix, safe='/')}".rstrip("/")
        return self._base

    async def _ask(self, method: str, path: str, request: Json | None = None) -> tuple[int, bytes]:
        base = await self._reached()
        return await self._with_token(method, f"{base}/{path}", request)

    async def _with_token(self, method: str, url: str, request: Json | None) -> tuple[int, bytes]:
        """Send a request, with a new token if the old one has expired: it was not let in then."""
        if self.options.credential and not self._token:
            await self._get_token()
        sent = self._token
        status, body = await self._send(method, url, request)
        if status in EXPIRED and self.options.credential:
            self._forget(sent)
            if not self._token:
                await self._get_token()
            status, body = await self._send(method, url, request)
        return status, body

    def _forget(self, token: str) -> None:
        """A token is not good any more, unless somebody has got another one meanwhile."""
        if self.options.credential and self._token == token:
            self._token = ""

    async def _get_token(self) -> None:
        client_id, sign, secret = self.options.credential.partition(":")
        form = {"grant_type": "client_credentials", "scope": self.options.scope}
        form |= (
            {"client_id": client_id, "client_secret": secret}
            if sign
            else {"client_secret": client_id}
        )
        place = self.options.oauth_uri or f"{self.options.uri.rstrip('/')}/v1/oauth/tokens"
        status, body = await self._exchange(
            "POST", place, {"Content-Type": _FORM}, urlencode(form).encode()
        )
        answer = _read(status, body, "ask for a token")
        token = answer.get("access_token")
        if not isinstance(token, str) or not token:
            raise CatalogRefusedError("ask for a token: found none in the answer")
        self._token = token

    async def _send(self, method: str, url: str, request: Json | None) -> tuple[int, bytes]:
        headers = {"Accept": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        body = None
        if request is not None:
            headers["Content-Type"] = "application/json"
            body = json.dumps(request, separators=(",", ":")).encode()
        return await self._exchange(method, url, headers, body)

    async def _exchange(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> tuple[int, bytes]:
        try:
            async with asyncio.timeout(self.options.timeout_secs):
                return await self._fetch(method, url, headers, body)
        except TimeoutError as error:
            raise CatalogUnavailableError(
                f"{method} {url}: no answer within {self.options.timeout_secs:g} s"
            ) from error
        except Exception as error:
            raise CatalogUnavailableError(
                f"{method} {url}: no answer: {type(error).__name__}: {str(error)[:300]}"
            ) from error


def _namespace_of(namespace: Sequence[str]) -> str:
    return f"namespaces/{quote(_SEPARATOR.join(namespace), safe='')}"


def _path_of(identifier: Sequence[str]) -> str:
    *namespace, name = identifier
    return f"{_namespace_of(namespace)}/tables/{quote(name, safe='')}"


def _read(status: int, body: bytes, what: str) -> Json:
    """The JSON of an answer that is a success."""
    if not 200 <= status < 300:  # noqa: PLR2004 - of HTTP
        raise error_of(status, body, what)
    try:
        answer: Json = json.loads(body) if body else {}
    except ValueError as error:
        raise CatalogUnavailableError(f"{what}: found an answer that is no JSON") from error
    if not isinstance(answer, dict):
        raise CatalogUnavailableError(f"{what}: found an answer that is no object of JSON")
    return answer


def _metadata_in(answer: Json, what: str) -> Json:
    metadata: Json | None = answer.get("metadata")
    if not isinstance(metadata, dict):
        raise CatalogUnavailableError(f"{what}: found an answer without metadata")
    return metadata
