"""A scripted Iceberg REST catalog: real metadata, and answers that go wrong on demand.

Knows the REST specification as far as pyiceberg speaks it, and applies updates with pyiceberg's own
code. ``script`` is asked before each request and says what becomes of it.
"""

from __future__ import annotations

import json
import threading
import uuid
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qsl

from pyiceberg.catalog import MetastoreCatalog
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.partitioning import PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table import CommitTableRequest
from pyiceberg.table.metadata import TableMetadata, new_table_metadata
from pyiceberg.table.sorting import UNSORTED_SORT_ORDER
from pyiceberg.table.update import AssertCreate, AssertRefSnapshotId, update_table_metadata

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True)
class Fault:
    """What becomes of a request: an answer in place of the right one, or none at all."""

    status: int = 0
    words: str = ""
    applies: bool = False
    """Whether the request has its effect all the same."""
    waits_for: threading.Event | None = None
    """Nothing is answered before."""


LOST = Fault(applies=True)
"""The request arrives, its answer does not."""
CUT = Fault()
"""Neither arrives."""


@dataclass
class State:
    """The tables, by namespace and name."""

    tables: dict[tuple[str, str], TableMetadata] = field(default_factory=dict)
    namespaces: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)
    versions: int = 0


class RestCatalogServer:
    """A running catalog; a context manager. ``nessie``: with Nessie's peculiarities.

    ``location`` is where its tables lie, if not in ``folder``.
    """

    def __init__(self, folder: Path, *, nessie: bool = False, location: str = "") -> None:
        self.folder = folder
        self.nessie = nessie
        self.location = location or f"file://{folder}"
        self.state = State()
        self.script: Callable[[str, str], Fault | None] = lambda _method, _path: None
        self.requests: list[tuple[str, str]] = []
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.queries: list[str] = []
        """What stood behind the ? of each request."""
        self.prefix = ""
        """What clients have to put into paths, as the configuration tells them."""
        self.table_config: dict[str, str] = {}
        """What is handed out with a table: credentials for its files, say."""
        self.credential = ""
        """Id and secret by which tokens are given, with a colon; empty: none is asked for."""
        self.tokens: set[str] = set()
        """Those that are good now."""
        self.tokens_given = 0
        catalog = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                """Say nothing."""

            def _any(self) -> None:
                catalog.answer(self)

            do_GET = do_POST = do_HEAD = _any  # noqa: N815 - http.server's names

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        self.uri = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> Self:
        """Begin to serve."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    # -- requests ---------------------------------------------------------------------------

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answer one request, as the script has it."""
        length = int(request.headers.get("Content-Length") or 0)
        data = request.rfile.read(length)
        is_form = "form" in request.headers.get("Content-Type", "")
        body = {"form": dict(parse_qsl(data.decode()))} if is_form else json.loads(data or b"{}")
        method, (path, _, query) = request.command, request.path.partition("?")
        self.queries.append(query)
        self.requests.append((method, path))
        self.headers.append(dict(request.headers.items()))
        if body:
            self.bodies.append(body)
        fault = self.script(method, path)
        if fault is not None and fault.waits_for is not None:
            fault.waits_for.wait(60)
        status = 0
        answer: dict[str, Any] = {}
        if fault is None or fault.applies or fault.waits_for is not None:
            status, answer = self._let_in(request) or self._handle(method, path, body)
        if fault is not None and fault.waits_for is None:
            if not fault.status:
                request.close_connection = True
                return
            status, answer = fault.status, _error(fault.status, fault.words)
        data = json.dumps(answer).encode() if status != 204 else b""
        try:
            request.send_response(status)
            request.send_header("Content-Type", "application/json")
            request.send_header("Content-Length", str(len(data)))
            request.end_headers()
            if method != "HEAD":
                request.wfile.write(data)
        except OSError:
            request.close_connection = True  # who asked has gone

    def ask(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """The answer to a request that comes by no connection: no script and no token count."""
        return self._handle(method, path, body)

    def _let_in(self, request: BaseHTTPRequestHandler) -> tuple[int, dict[str, Any]] | None:
        """The answer to who has no good token, None for others."""
        if not self.credential or request.path.endswith("/oauth/tokens"):
            return None
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        return None if token in self.tokens else (401, _error(401, "no good token"))

    def _give_token(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        if f"{form.get('client_id')}:{form.get('client_secret')}" != self.credential:
            return 401, {"error": "invalid_client", "error_description": "who is that"}
        self.tokens_given += 1
        token = f"token-{self.tokens_given}"
        self.tokens.add(token)
        return 200, {"access_token": token, "token_type": "bearer", "expires_in": 3600}

    def _handle(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        parts = path.removeprefix("/iceberg").strip("/").split("/")[1:]
        if parts == ["config"]:
            return 200, {
                "defaults": {},
                "overrides": {"prefix": self.prefix} if self.prefix else {},
            }
        if parts == ["oauth", "tokens"]:
            return self._give_token(body["form"])
        if self.prefix:
            if parts[0] != self.prefix:
                return 404, _error(404, f"nothing at {path}")
            parts = parts[1:]
        with self.state.lock:
            if parts == ["namespaces"] and method == "POST":
                return self._make_namespace(body)
            if len(parts) == 3 and method == "POST":
                return self._create(parts[1], body)
            if len(parts) == 4:
                key = (parts[1], parts[3])
                if method == "POST":
                    return self._commit(key, body)
                if key in self.state.tables:
                    return 200, self._loaded(self.state.tables[key])
                return 404, _error(404, "no such table", "NoSuchTableException")
        return 404, _error(404, f"nothing at {path}")

    def _make_namespace(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        name = "\x1f".join(body["namespace"])
        if name in self.state.namespaces:
            return 409, _error(409, "there is one")
        self.state.namespaces.add(name)
        return 200, {"namespace": body["namespace"], "properties": {}}

    def _create(self, namespace: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        key = (namespace, body["name"])
        if key in self.state.tables:
            return 409, _error(409, "there is one")
        schema = Schema.model_validate(body["schema"])
        spec = PartitionSpec.model_validate(body["partition-spec"])
        suffix = f"_{uuid.uuid4()}" if self.nessie else ""
        properties = dict(body.get("properties") or {})
        if self.nessie:
            properties["gc.enabled"] = "false"
        made = new_table_metadata(
            schema,
            spec,
            UNSORTED_SORT_ORDER,
            body.get("location") or f"{self.location}/{body['name']}{suffix}",
            properties,
        )
        if not body.get("stage-create"):
            self.state.tables[key] = made
        return 200, self._loaded(made)

    def _commit(self, key: tuple[str, str], body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        for update in body["updates"]:
            if self.nessie and update["action"] == "add-schema" and "last-column-id" not in update:
                return 500, _error(500, "WebApplicationException: HTTP 400 Bad Request")
        request = CommitTableRequest.model_validate(body)
        there = self.state.tables.get(key)
        creates = any(isinstance(one, AssertCreate) for one in request.requirements)
        if there is None and not creates:
            return 404, _error(404, "no such table", "NoSuchTableException")
        try:
            for requirement in request.requirements:
                is_first = isinstance(requirement, AssertRefSnapshotId) and (
                    requirement.snapshot_id is None
                )
                if self.nessie and is_first:
                    continue  # it is not enforced there
                requirement.validate(there)
        except CommitFailedException as error:
            return 409, _error(409, str(error))
        base = there
        if base is None:
            base = MetastoreCatalog._empty_table_metadata()  # noqa: SLF001 - as its own catalogs do
        updated = update_table_metadata(base, request.updates)
        self.state.tables[key] = updated
        return 200, self._loaded(updated)

    def _loaded(self, metadata: TableMetadata) -> dict[str, Any]:
        self.state.versions += 1
        packed = json.loads(metadata.model_dump_json())
        if self.nessie and packed.get("current-snapshot-id") not in (None, -1):
            packed["snapshots"] = [
                one for one in packed["snapshots"]
                if one["snapshot-id"] == packed["current-snapshot-id"]
            ]  # fmt: skip
            packed["snapshot-log"] = packed["snapshot-log"][-1:]
        location = f"{metadata.location}/metadata/{self.state.versions:05}.metadata.json"
        return {"metadata-location": location, "metadata": packed, "config": self.table_config}


def _error(status: int, words: str, kind: str = "") -> dict[str, Any]:
    return {"error": {"message": words, "type": kind or f"Status{status}", "code": status}}
