"""One environment's function: each event is answered by the use case that it stands for.

Knows the events' translations, the use case ``platforms.export``, conversions and reconciling.
An environment has one event at a time and is frozen between two, so nothing is left to be done
behind an answer: what is acknowledged is stored, and its commit was tried.
"""

import asyncio
import logging
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from otlp2parquet.assembly import Assembly, assemble
from otlp2parquet.catalogs.running import commit_within
from otlp2parquet.catalogs.shared_node import SharedNode
from otlp2parquet.convert import ConvertOptions
from otlp2parquet.core import outcome
from otlp2parquet.core.auth import Tokens
from otlp2parquet.core.otlp_http import (
    ExportHead,
    Response,
    format_of,
    read_head,
    render,
    unauthenticated,
    unavailable,
)
from otlp2parquet.core.outcome import Outcome, RefusedError
from otlp2parquet.errors import ConfigError, OtlpError
from otlp2parquet.platforms import health, logs
from otlp2parquet.platforms.acknowledgements import Acknowledgements
from otlp2parquet.platforms.aws_lambda.claims import is_retired
from otlp2parquet.platforms.aws_lambda.events import Event, EventError
from otlp2parquet.platforms.aws_lambda.http_events import (
    Form,
    HttpRequest,
    Result,
    form_of,
    make_result,
    read_request,
)
from otlp2parquet.platforms.aws_lambda.metrics import Metrics
from otlp2parquet.platforms.aws_lambda.object_events import (
    ObjectReference,
    event_in,
    messages_in,
    objects_in,
)
from otlp2parquet.platforms.aws_lambda.objects import ObjectConversions, Receipts
from otlp2parquet.platforms.aws_lambda.settings import (
    FOLDER,
    FunctionSettings,
    function_settings,
)
from otlp2parquet.platforms.export import Admission, Exports
from otlp2parquet.platforms.refusals import Refusals
from otlp2parquet.storage import store_at
from otlp2parquet.stores import Store

if TYPE_CHECKING:
    from otlp2parquet.stores.obstore import ObstoreStore

log = logging.getLogger(__name__)

COMMIT_SECS: Final = 2.0
"""How long a request waits for its commit where receipts are kept: what is late is reconciled."""
ONLY_COMMIT_SECS: Final = 6.0
"""As before, where only the commit keeps its rows."""
SETTLE_SECS: Final = 1.0
"""How long is waited until what a refused request has stored is taken back."""
TICK_SECS: Final = 0.1
LEFT_SECS: Final = 1.0
"""What is left of an invocation's time when its answer is due at the latest."""
_NO_CONTEXT_SECS: Final = 30.0
_SCHEDULES: Final = ("aws.events", "aws.scheduler")
"""Rules of EventBridge, and its scheduler."""

_NOT_COMMITTED: Final = "the catalog has not taken the rows, send them again"
_TOO_LATE: Final = "the storage has not answered in time, send it again"
_BROKEN: Final = (
    "the body did not come through as bytes: the API in front of the function has to take all "
    "media types as binary"
)


def start(environ: Mapping[str, str] | None = None) -> "Function":
    """Put the function together from the environment. Raises ``ConfigError``."""
    environ = os.environ if environ is None else environ
    settings = function_settings(environ)
    server = settings.config.server
    logs.configure(server.log_level, server.log_format)
    for warning in settings.warnings:
        log.warning(warning)
    return Function(settings, Metrics(environ.get("AWS_LAMBDA_FUNCTION_NAME", "otlp2parquet")))


class Function:
    """Answers events, one at a time."""

    def __init__(
        self,
        settings: FunctionSettings,
        metrics: Metrics,
        *,
        assembly: Assembly | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        time_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._settings = settings
        self._config = config = settings.config
        self._metrics = metrics
        self._monotonic = monotonic
        waiting = Acknowledgements()
        if assembly is None:
            assembly = assemble(config, acknowledging=waiting, share=share)
        self.assembly = assembly
        self._exports = Exports(
            self.assembly.ingest,
            self.assembly.budget,
            waiting,
            threads=config.server.threads,
            max_payload_bytes=config.request.max_payload_bytes,
            time_ns=time_ns,
        )
        tokens = config.server.auth.tokens
        self._tokens = Tokens(tokens) if tokens else None
        self._refusals = Refusals(monotonic)
        self._loop = asyncio.new_event_loop()
        self.assembly.start(in_background=False)

    def close(self) -> None:
        """End the threads. AWS never does; tests do."""
        self._exports.close()
        self.assembly.ingest.drain(SETTLE_SECS)
        self._loop.close()

    def handle(self, event: Event, context: Any = None) -> Any:  # noqa: ANN401 - AWS's interface
        """The result of one event. What is no HTTP request may raise: then AWS tries it again."""
        if not isinstance(event, Mapping):
            raise EventError(f"found an event that is {type(event).__name__}, expected an object")
        end = self._monotonic() + _secs_left(context) - LEFT_SECS
        form = form_of(event)
        if form is not None:
            return self._answer_event(event, form, end)
        if event.get("source") in _SCHEDULES or event.get("otlp2parquet") == "reconcile":
            return self._reconcile(end)
        messages = list(messages_in(event))
        if messages:
            return self._convert_messages(messages, end)
        return self._convert_objects(event, end)

    # -- requests ---------------------------------------------------------------------------

    def _answer_event(self, event: Event, form: Form, end: float) -> Result:
        try:
            request = read_request(event, form)
        except EventError as error:
            # Whose mistake it is nobody knows: the data stays with its sender.
            log.error("an event cannot be read: %s", error)  # noqa: TRY400 - the words say all
            text = f"the event of this request cannot be read: {error}"
            return make_result(unavailable(text, reason="broken event"), form)
        try:
            response = self._answer(request, end)
        except Exception:
            # Some of what carries events makes a 500 of an error, for which clients throw their
            # data away.
            log.exception("a request failed for an unforeseen reason")
            response = unavailable("internal trouble, see the function's log", reason="internal")
        return make_result(response, form, head=request.method == "HEAD")

    def _answer(self, request: HttpRequest, end: float) -> Response:
        started = self._monotonic()
        self._refusals.tick()
        if request.path == health.PATH:
            return health.health(request.method)
        config, became = self._config, None
        head: ExportHead | Response
        if self._tokens is not None and not self._tokens.admit(request.headers):
            head = unauthenticated(format_of(request.headers))
        else:
            head = read_head(
                request.method,
                request.path,
                request.headers,
                max_payload_bytes=config.request.max_payload_bytes,
                path_prefix=config.server.path_prefix,
            )
        if isinstance(head, Response):
            response, signal = head, ""
        elif request.is_broken:
            response, signal = unavailable(_BROKEN, head.format, reason="broken body"), head.signal
        else:
            became = self._loop.run_until_complete(self._take(head, request, end))
            # Also when it was refused: what is stored of it is being taken back.
            self.assembly.ingest.settle(max(0.0, min(SETTLE_SECS, end - self._monotonic())))
            became = self._commit(became, end)
            response, signal = render(head, became), head.signal
        self._tell(request, response, became, signal, self._monotonic() - started)
        return response

    async def _take(self, head: ExportHead, request: HttpRequest, end: float) -> Outcome:
        clockwork = asyncio.create_task(self._tick())
        try:
            async with asyncio.timeout(max(0.0, end - self._monotonic())):
                return await self._exports.take(head, partial(self._read_body, head, request.body))
        except TimeoutError:
            return Outcome("storage", _TOO_LATE, body_bytes=len(request.body))
        finally:
            clockwork.cancel()
            with suppress(asyncio.CancelledError):
                await clockwork

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECS)
            self.assembly.ingest.tick()

    async def _read_body(self, head: ExportHead, body: bytes, admission: Admission) -> bytes:
        limit = self._config.request.max_payload_bytes
        if len(body) > limit:
            raise RefusedError(outcome.too_large(limit))
        # More than was announced is no trouble: some gateways decompress, or make other text.
        if head.content_length is not None and len(body) < head.content_length:
            raise RefusedError(outcome.CUT_BODY)
        admission.cover(len(body))
        return body

    def _commit(self, became: Outcome, end: float) -> Outcome:
        """Try to make what is stored part of its tables; what became of the request then."""
        commits = self.assembly.commits
        if commits is None or not commits.status().receipts:
            return became
        keeps = self._settings.keeps_receipts
        secs = min(COMMIT_SECS if keeps else ONLY_COMMIT_SECS, end - self._monotonic())
        started = self._monotonic()
        files = commits.committer.counts.files
        is_done = commit_within(commits.committer, max(0.0, secs), self._monotonic)
        self._metrics.tell(
            {
                "commit_secs": round(self._monotonic() - started, 4),
                "committed_files": commits.committer.counts.files - files,
                "uncommitted_receipts": commits.status().receipts,
            }
        )
        if is_done or keeps or not became.is_taken:
            return became
        commits.committer.withdraw()
        return Outcome("storage", _NOT_COMMITTED, body_bytes=became.body_bytes)

    def _tell(
        self,
        request: HttpRequest,
        response: Response,
        became: Outcome | None,
        signal: str,
        secs: float,
    ) -> None:
        taken = became if became is not None and became.is_taken else Outcome("kept")
        values = {
            "requests": 1,
            "refused_requests": int(response.status >= 400),  # noqa: PLR2004 - of HTTP
            "accepted_records": taken.accepted,
            "rejected_records": taken.rejected,
            "received_bytes": len(request.body),
            "request_secs": round(secs, 4),
        }
        self._metrics.tell(values, signal=signal or "none")
        if response.message:
            self._refusals.report(
                response, became, client=request.client, path=request.path, headers=request.headers
            )

    # -- what nobody waits for --------------------------------------------------------------

    def _reconcile(self, end: float) -> Result:
        config = self._config
        if config.catalog_type == "none" or not self._settings.keeps_receipts:
            log.info("there is nothing to reconcile: no receipts are kept")
            return {"is_complete": True}
        from otlp2parquet.reconciling import reconcile  # noqa: PLC0415 - only where it is asked for

        secs = max(0.0, end - self._monotonic())
        report = reconcile(config, secs, self._monotonic, share=share)
        values = {"uncommitted_receipts": report.left, "committed_files": report.files}
        self._metrics.tell(values)
        level = logging.INFO if report.is_complete else logging.WARNING
        log.log(level, "reconciled", extra={"fields": asdict(report)})
        return {**asdict(report), "is_complete": report.is_complete}

    def _convert_messages(self, messages: list[tuple[str, object]], end: float) -> Result:
        """Convert what messages of SQS tell of; those that failed come again, each for itself."""
        failed = []
        for message_id, text in messages:
            try:
                _, errors = self._convert_each(event_in(text), end)
            except EventError as error:
                errors = [error]
            if errors:
                reason = _reason(errors[0])
                fields = {"message": message_id, "error": reason}
                log.warning("a message has to come again: %s", reason, extra={"fields": fields})
                failed.append({"itemIdentifier": message_id})
        return {"batchItemFailures": failed}

    def _convert_objects(self, event: Event, end: float) -> Result:
        """Convert what one event tells of. After an error of one object AWS sends it again."""
        count, errors = self._convert_each(event, end)
        if errors:
            raise errors[0]
        return {"objects": count}

    def _convert_each(self, event: Event, end: float) -> tuple[int, list[Exception]]:
        """Convert what one event tells of, none waiting for another: how many, and all errors."""
        count, errors = 0, list[Exception]()
        try:
            for reference in objects_in(event):
                count += 1
                try:
                    self._convert(reference, end)
                except Exception as error:  # noqa: BLE001 - whatever it is, it comes again
                    log.warning("%s has to come again: %s", reference, _reason(error))
                    errors.append(error)
        except EventError as error:
            errors.append(error)
        return count, errors

    def _convert(self, reference: ObjectReference, end: float) -> None:
        if not self._settings.keeps_receipts:
            raise ConfigError(
                "storage.backend (default): found none, expected a bucket: what has been converted "
                "is remembered there"
            )
        if reference.key.endswith("/") and not reference.size:
            log.info("a folder is no capture", extra={"fields": {"object": str(reference)}})
            return
        if self._is_own(reference):
            log.info(
                "an object of our own is no capture", extra={"fields": {"object": str(reference)}}
            )
            return
        converted = self._conversions().convert(reference)
        if converted is not None:
            values = {"converted_rows": converted.rows, "left_out_parts": converted.left_out}
            self._metrics.tell({"converted_objects": 1, **values})
            self._commit(Outcome("kept"), end)

    def _is_own(self, reference: ObjectReference) -> bool:
        root = self.assembly.storage.root.partition("?")[0].rstrip("/")
        return f"{reference}/".startswith(f"{root}/")

    def _conversions(self) -> ObjectConversions:
        config, output, commits = self._config, self.assembly.output, self.assembly.commits
        assert output is not None  # noqa: S101 - assemble gives one
        receipts = None
        if commits is not None:
            receipts = Receipts(commits.committer.add, output.field_ids_of)

        def fetch_from(bucket: str) -> "ObstoreStore":
            return cast("ObstoreStore", store_at(config.storage, f"s3://{bucket}"))

        options = ConvertOptions(
            max_payload_bytes=config.request.max_payload_bytes,
            layout=output.layout,
            chunk_bytes=config.request.max_payload_bytes,
        )
        folder = Path(FOLDER) / "objects"
        return ObjectConversions(output, fetch_from, folder, options, receipts=receipts)


def share(store: Store) -> SharedNode:
    """The node of all environments that have ``store`` for their receipts."""
    return SharedNode(store.root, partial(is_retired, store))


def _reason(error: Exception) -> str:
    """An error in words; what nobody has foreseen with its kind."""
    return str(error) if isinstance(error, OtlpError | ValueError) else repr(error)


def _secs_left(context: Any) -> float:  # noqa: ANN401 - AWS's interface
    """How long the invocation may go on."""
    if context is None:
        return _NO_CONTEXT_SECS
    return float(context.get_remaining_time_in_millis()) / 1000
