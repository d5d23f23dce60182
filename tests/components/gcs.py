"""fake-gcs-server: an emulator of Google Cloud Storage; and before it the XML interface it lacks.

Knows its options, and how the XML interface that obstore writes by is told in the JSON one. Must
not know who asks.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, unquote, urlsplit
from uuid import uuid4

from .cache import go_install
from .process import RunningProcess, free_port

if TYPE_CHECKING:
    from pathlib import Path

FAKE_GCS = ("github.com/fsouza/fake-gcs-server", "1.56.1")
BUCKET = "telemetry"


def build_fake_gcs() -> Path:
    """The program, compiled on first use."""
    return go_install(*FAKE_GCS)


class FakeGcs(RunningProcess):
    """A running emulator with an empty bucket; ``endpoint`` is that of the interface before it."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        address = f"127.0.0.1:{self.port}"
        command: list[str | Path] = [build_fake_gcs(), "-scheme", "http", "-host", "127.0.0.1"]
        command += ["-port", str(self.port), "-backend", "memory", "-public-host", address]
        super().__init__([*command, "-external-url", f"http://{address}"], folder / "gcs.log")
        self.wait_ready(self._make_bucket)
        self._xml = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self.port))
        threading.Thread(target=self._xml.serve_forever, daemon=True).start()
        self.endpoint = f"http://127.0.0.1:{self._xml.server_port}"

    def __exit__(self, *_: object) -> None:
        """End both."""
        self._xml.shutdown()
        self._xml.server_close()
        super().__exit__()

    def _make_bucket(self) -> bool:
        body = json.dumps({"name": BUCKET}).encode()
        head = {"Content-Type": "application/json"}
        try:
            return _ask(self.port, "POST", "/storage/v1/b", body, head)[0] == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False


def _ask(
    port: int, method: str, path: str, body: bytes = b"", head: dict[str, str] | None = None
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, body, head or {})
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read()
    finally:
        connection.close()


def _handler(port: int) -> type[BaseHTTPRequestHandler]:
    uploads: dict[str, dict[int, bytes]] = {}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            """It says nothing."""

        def _answer(self, status: int, body: bytes = b"", **head: str) -> None:
            self.send_response(status)
            for name, value in head.items():
                self.send_header(name.replace("_", "-"), value)
            if "Content_Length" not in head:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def _store(self, name: str, content: bytes, *, only_new: bool) -> None:
            condition = "&ifGenerationMatch=0" if only_new else ""
            path = f"/upload/storage/v1/b/{BUCKET}/o?uploadType=media&name={quote(name, '')}"
            status, _, body = _ask(port, "POST", path + condition, content)
            etag = hashlib.md5(content, usedforsecurity=False).hexdigest()
            generation = json.loads(body)["generation"] if status == http.HTTPStatus.OK else "0"
            self._answer(status, b"", ETag=f'"{etag}"', x_goog_generation=generation)

        def _asked(self) -> tuple[str, dict[str, list[str]], bytes]:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            query = parse_qs(parts.query, keep_blank_values=True)
            return unquote(parts.path).removeprefix(f"/{BUCKET}/"), query, body

        def do_PUT(self) -> None:
            name, query, body = self._asked()
            if "uploadId" in query:
                uploads[query["uploadId"][0]][int(query["partNumber"][0])] = body
                self._answer(200, b"", ETag=f'"{len(body)}"')
            else:
                only_new = self.headers.get("x-goog-if-generation-match") == "0"
                self._store(name, body, only_new=only_new)

        def do_POST(self) -> None:
            name, query, _ = self._asked()
            if "uploads" in query:
                upload = uuid4().hex
                uploads[upload] = {}
                self._answer(200, _xml("InitiateMultipartUploadResult", UploadId=upload))
            else:
                parts = uploads.pop(query["uploadId"][0])
                content = b"".join(parts[number] for number in sorted(parts))
                path = f"/upload/storage/v1/b/{BUCKET}/o?uploadType=media&name={quote(name, '')}"
                status, _, _ = _ask(port, "POST", path, content)
                etag = base64.b64encode(hashlib.sha256(content).digest()).decode()
                self._answer(status, _xml("CompleteMultipartUploadResult", ETag=etag))

        def do_DELETE(self) -> None:
            name, query, _ = self._asked()
            if "uploadId" in query:
                uploads.pop(query["uploadId"][0], None)
                self._answer(204)
                return
            path = f"/storage/v1/b/{BUCKET}/o/{quote(name, '')}"
            status, _, body = _ask(port, "DELETE", path)
            if status == http.HTTPStatus.OK:
                self._answer(204)
            else:
                self._answer(status, body)

        def do_GET(self) -> None:
            name, _, _ = self._asked()
            if urlsplit(self.path).query and not self.path.startswith(f"/{BUCKET}/"):
                status, head, body = _ask(port, "GET", self.path)
                self._answer(status, body)
                return
            head = {key: self.headers[key] for key in ("Range",) if self.headers.get(key)}
            path = f"/storage/v1/b/{BUCKET}/o/{quote(name, '')}?alt=media"
            status, found, body = _ask(port, "GET", path, head=head)
            if found.get("Content-Range", "").startswith("bytes 0--1"):
                status, body, found = 416, b"", {}  # as the service says it of an empty object
            given = {
                key.replace("-", "_"): value
                for key, value in found.items()
                if re.fullmatch(r"Content-Range|Content-Type", key, re.IGNORECASE)
            }
            if self.command == "HEAD":
                given["Content_Length"] = str(len(body))
            modified = "Mon, 01 Jan 2024 00:00:00 GMT"
            self._answer(status, body, ETag='"e"', Last_Modified=modified, **given)

        do_HEAD = do_GET  # noqa: N815 - the standard library's name

    return Handler


def _xml(name: str, **values: str) -> bytes:
    inner = "".join(f"<{key}>{value}</{key}>" for key, value in values.items())
    return f'<?xml version="1.0"?><{name}>{inner}</{name}>'.encode()
