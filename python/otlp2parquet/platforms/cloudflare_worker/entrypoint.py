"""The class that Cloudflare's runtime makes and calls for each event.

The only module that knows the runtime: ``js`` and ``workers`` exist there alone. Translates a
request into what ``application`` takes, and its response back; all else is decided there.
"""

import asyncio
import io
import logging
from collections.abc import AsyncGenerator, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import js
from pyodide.ffi import to_js
from workers import Response as WorkerResponse
from workers import WorkerEntrypoint

from otlp2parquet.core.otlp_http import Response, unavailable
from otlp2parquet.errors import ConfigError
from otlp2parquet.platforms import health, logs
from otlp2parquet.platforms.cloudflare_worker.application import (
    Application,
    BodyCutError,
    Request,
)
from otlp2parquet.platforms.cloudflare_worker.bucket import Bucket
from otlp2parquet.platforms.cloudflare_worker.settings import (
    BINDING,
    PREFIX,
    WorkerSettings,
    read_settings,
)

if TYPE_CHECKING:
    from otlp2parquet.platforms.cloudflare_worker.catalog import WorkerCatalog

log = logging.getLogger(__name__)

Js = Any
"""An object of JavaScript, or of the SDK around one."""

_CARRIERS: Final = b"content-length"
"""The runtime counts the bytes that it sends itself."""


class Default(WorkerEntrypoint):  # type: ignore[misc]  # the SDK has no types
    """The Worker: ``fetch`` answers a request, ``scheduled`` is called by the cron trigger."""

    async def fetch(self, request: Js) -> Js:
        """The response to one request."""
        asked = _request(request.js_object)
        worker = _worker(self.env)
        binding = getattr(self.env, BINDING, None)
        if isinstance(worker, _Worker) and binding is not None:
            bucket = worker.bucket(binding)
            response = await worker.application.answer(asked, bucket, self._behind)
        else:
            response = _misconfigured(asked, worker)
        return _response(response, is_head=asked.method == "HEAD")

    async def scheduled(self, *_: object) -> None:
        """Finish what was cut off: without a catalog there is nothing that could be."""
        worker = _worker(self.env)
        binding = getattr(self.env, BINDING, None)
        if isinstance(worker, ConfigError) or binding is None:
            log.error("nothing can be reconciled: %s", _trouble(worker))
        elif worker.catalog is None:
            log.info("there is nothing to reconcile: no catalog is configured")
        else:
            report = await worker.catalog.reconcile(worker.bucket(binding))
            fields = {
                "files": report.files,
                "rows": report.rows,
                "commits": report.commits,
                "left": report.left,
                "unreadable": report.unreadable,
                "error": report.error,
            }
            level = logging.INFO if report.is_complete else logging.WARNING
            log.log(level, "reconciled", extra={"fields": fields})

    def _behind(self, doing: Coroutine[Any, Any, None]) -> None:
        """Let the runtime wait for what is done when the answer has gone."""
        self.ctx.waitUntil(asyncio.ensure_future(doing))


class _Console(io.StringIO):
    """A stream whose lines are messages of the console, which is a Worker's log."""

    def write(self, text: str, /) -> int:
        js.console.log(text.removesuffix("\n"))
        return len(text)


class _Worker:
    """What is made once, and used by all requests."""

    def __init__(self, settings: WorkerSettings) -> None:
        self.settings = settings
        self.catalog: WorkerCatalog | None = None
        if settings.catalog is not None:
            # A third of the sources, which a Worker without a catalog does not load.
            from otlp2parquet.platforms.cloudflare_worker import catalog  # noqa: PLC0415

            self.catalog = catalog.WorkerCatalog(settings.catalog, settings.prefix, _fetch)
        self.application = Application(settings, self.catalog)

    def bucket(self, binding: Js) -> Bucket:
        """The bucket behind the binding, all of it where a catalog says where tables lie."""
        return Bucket(binding, "" if self.catalog is not None else self.settings.prefix)


_made: list[_Worker | ConfigError] = []


def _worker(env: Js) -> _Worker | ConfigError:
    """The Worker of these variables, which stay the same for as long as its memory lives."""
    if not _made:
        logs.configure("info", "json", _Console())
        try:
            settings = read_settings(_variables(env))
        except ConfigError as error:
            log.error(str(error))  # noqa: TRY400 - the operator's mistake, not a place in the code
            _made.append(error)
        else:
            logs.configure(settings.log_level, "json", _Console())
            for warning in settings.warnings:
                log.warning(warning)
            if not settings.tokens:
                log.warning(
                    "the endpoint is open to everybody: no secret OTLP2PARQUET_SERVER_AUTH_TOKENS"
                )
            _made.append(_Worker(settings))
    return _made[0]


def _variables(env: Js) -> dict[str, str]:
    """Variables and secrets with the prefix. The SDK's wrapper hides which names there are."""
    names = js.Object.keys(getattr(env, "_env", env))
    return {name: str(getattr(env, name)) for name in names if name.startswith(PREFIX)}


def _misconfigured(request: Request, worker: _Worker | ConfigError) -> Response:
    """The answer while nothing can be taken: a 503, so that senders keep what they have."""
    trouble = _trouble(worker)
    if request.path == health.PATH:
        return health.json_page(503, {"status": "misconfigured", "error": trouble})
    log.error("nothing can be taken: %s", trouble)
    return unavailable("the Worker is not configured rightly, see /health", reason="configuration")


def _trouble(worker: _Worker | ConfigError) -> str:
    return str(worker) if isinstance(worker, ConfigError) else f"there is no R2 binding {BINDING}"


async def _fetch(
    method: str, url: str, headers: Mapping[str, str], body: bytes | None
) -> tuple[int, bytes]:
    """One request to a catalog, by the runtime's own ``fetch``."""
    options: dict[str, object] = {"method": method, "headers": dict(headers)}
    if body is not None:
        options["body"] = body
    answer = await js.fetch(url, to_js(options, dict_converter=js.Object.fromEntries))
    return answer.status, (await answer.arrayBuffer()).to_bytes()


def _request(request: Js) -> Request:
    fields = tuple(
        (name.lower().encode("latin-1", "replace"), value.encode("latin-1", "replace"))
        for name, value in request.headers
    )
    client = request.headers.get("cf-connecting-ip")
    chunks = _chunks(request.body)
    return Request(request.method, urlsplit(request.url).path, fields, chunks, str(client or ""))


async def _chunks(stream: Js) -> AsyncGenerator[bytes, None]:
    """The chunks of a body; who stops early lets the runtime drop the rest."""
    if not hasattr(stream, "getReader"):  # null: there is no body
        return
    reader = stream.getReader()
    is_done = False
    try:
        while True:
            try:
                read = await reader.read()
            except Exception as error:
                raise BodyCutError from error
            is_done = read.done
            if is_done:
                return
            yield read.value.to_bytes()
    finally:
        if not is_done:
            reader.cancel()


def _response(response: Response, *, is_head: bool) -> Js:
    headers = {n.decode(): v.decode() for n, v in response.headers if n != _CARRIERS}
    body = None if is_head else response.body
    return WorkerResponse(body, status=response.status, headers=headers)
