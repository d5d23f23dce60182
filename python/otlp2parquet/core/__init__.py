"""The essence: OTLP bytes in, Arrow record batches out, and where each batch belongs.

Knows OTLP and the tables. Must not know sockets, files, clocks, environment variables or
pyarrow: the same bytes give the same batches, everywhere (a test holds the imports to that).

The decoder comes by ``core.decoder``, which is the only module that knows the extension, and the
only one that asks the environment something: which of two decoders is wanted. This is the reference
of what they give. ``DECODER`` names the one in use: ``native``, the extension, or ``pure``, plain
Python with the same results (``core.pure`` says what differs). ``MAX_PAYLOAD_BYTES`` is the bound
for one request.

``Result``, from ``process_otlp``:
    ``batches``   one ``Batch`` per (table, service, hour) met, in the order of the tables and
                  then of first appearance
    ``accepted``  rows made, over all batches
    ``rejected``  records left out because they cannot be stored unchanged
    ``message``   why records were rejected, or a warning when ``rejected`` is 0 (replaced
                  invalid UTF-8, values and members that nobody knows in a request without any
                  record); empty when there is nothing to say
    ``unstored``  how often something was met that the tables do not store: ``unknown_fields``,
                  ``entity_refs``, ``string_indices``, and resources, scopes and metrics
                  ``without_records``

``Batch``, the rows of one table, service and UTC hour, in wire order:
    ``table``     ``otel_logs``, ``otel_traces`` or one of the five ``otel_metrics_*``
    ``service``   ``service.name`` of the resource, ``None`` when there is none
    ``hour``      the UTC ``datetime`` at which the hour of every row's Timestamp begins
    ``num_rows``  at least 1
    Arrow: ``__arrow_c_schema__``, ``__arrow_c_array__`` and ``__arrow_c_stream__`` (PyCapsule
    interface), so ``pyarrow.record_batch(batch)``, ``polars.DataFrame(batch)`` and DuckDB take
    it without a copy.

``BatchBuilder(*, max_payload_bytes=67108864)``, open batches that many requests append to:
    ``append(payload, signal, *, content_type, content_encoding, received_at)`` is all or
    nothing: it returns ``Appended`` (``accepted``, ``rejected``, ``message``, ``unstored`` as
    in ``Result``, and ``undated``, the accepted rows whose Timestamp is ``received_at`` because
    OTLP gave no time), or raises and leaves the builder as it was. The GIL is released
    meanwhile.
    ``finish(*, dictionaries=False)`` empties the builder and returns its batches; with
    ``dictionaries`` low-cardinality columns are dictionary arrays (for the Parquet writer),
    without it the types are exactly the tables' types.
    ``num_rows``, ``num_bytes`` (Arrow buffers), ``num_memory_bytes`` (the same with the room
    that they have made for rows to come, of which some stays after a finish), ``num_groups``
    say what it holds now.

``recognize_json(text)``, for captures that nobody labelled, returns ``(end, signals)``:
    ``end``       ``"whole"`` if the text is one JSON document, ``"cut"`` if more text may make
                  it one, ``"broken"`` if none can
    ``signals``   those whose resources the object at its top holds, as far as the text goes

A payload is bytes, a bytearray or a memoryview; JSON that is not compressed may be a str. Threads
that use one ``BatchBuilder`` at the same time wait for each other.

A request may take six times its decompressed size and 128 MiB of memory; what would take more is a
``TooLargeError``. ``finish`` without ``dictionaries`` writes the values of resources, scopes and
metrics into every row: where that would take more than the requests were allowed together it is a
``TooLargeError`` too, and the builder keeps its rows.

``content_encoding`` is everywhere ``None``, ``"identity"``, ``"gzip"``, ``"zstd"`` or
``"deflate"`` (which is zlib), in any case; ``"x-gzip"``, ``"zlib"`` and ``"none"`` are other names
of those, and in a list ``identity`` counts for nothing. A body is whole gzip members, whole zstd
frames or one zlib stream, with nothing behind them; anything else is a ``DecodeError``. What it
inflates to is bounded by ``max_payload_bytes``, whatever it says of itself, and so is the memory
for it.

``inflates_within(payload, content_encoding, limit)`` is whether a body can be inflated and gives
at most ``limit`` bytes. It does the work to find out: for small limits.
"""

from otlp2parquet.core.decoder import (
    DECODER,
    MAX_PAYLOAD_BYTES,
    Appended,
    Batch,
    BatchBuilder,
    Result,
    inflates_within,
    recognize_json,
)
from otlp2parquet.core.decoder import process_otlp as _process_otlp
from otlp2parquet.core.signals import SIGNALS, Signal

__all__ = [
    "DECODER",
    "MAX_PAYLOAD_BYTES",
    "SIGNALS",
    "Appended",
    "Batch",
    "BatchBuilder",
    "Result",
    "Signal",
    "inflates_within",
    "process_otlp",
    "recognize_json",
]


def process_otlp(
    payload: bytes | bytearray | memoryview | str,
    signal: Signal,
    *,
    content_type: str = "application/x-protobuf",
    content_encoding: str | None = None,
    received_at: int | None = None,
    max_memory_bytes: int | None = None,
) -> Result:
    """Decode one OTLP export request into Arrow record batches.

    ``payload`` is the body of an Export<Signal>ServiceRequest as sent, ``signal`` is
    ``"logs"``, ``"traces"`` or ``"metrics"``. ``content_type`` says how it is written:
    ``application/x-protobuf``, ``application/json``, or ``application/x-ndjson`` and
    ``application/jsonl``, one request a line, all of them or none. ``content_encoding`` is
    ``None``, ``"identity"``, ``"gzip"``, ``"zstd"`` or ``"deflate"``. ``received_at``,
    nanoseconds since the epoch, becomes the Timestamp of records for which OTLP gives no time;
    without it that is the epoch. ``max_memory_bytes`` bounds the memory that the request may
    take; without it that is six times its decompressed size and 128 MiB, which large resources
    above very many records can pass, because every row has its own copy of their values.

    An empty payload is an empty request: no batches, nothing accepted. It is no JSON document,
    though; in JSON the empty request is ``{}``.

    Raises ``DecodeError`` (with byte offset and field path) when the payload is not OTLP,
    ``UnsupportedError`` for another content type or encoding, ``TooLargeError`` over 64 MiB
    decompressed, 1,000,000 records, 10,000 (table, service, hour) groups or that memory, and
    ``ValueError`` for an unknown signal.
    """
    return _process_otlp(
        payload,
        signal,
        content_type=content_type,
        content_encoding=content_encoding,
        received_at=received_at,
        max_memory_bytes=max_memory_bytes,
    )
