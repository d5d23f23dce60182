"""What is refused, and what the refusal says: class, byte offset, field path.

Offsets are those of the decompressed payload, where reading stopped: the first byte of the
number, length or text that cannot be read. For a tag that is read but means nothing both its
ends are right. Paths name the innermost message that was being read there.
"""

from __future__ import annotations

import gzip
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, reject

from otlp2parquet import BatchBuilder, DecodeError, OtlpError, UnsupportedError, process_otlp
from otlp2parquet._native import process_otlp as native_process_otlp
from otlp2parquet.core.signals import SIGNALS
from tests.support import oracle, strategies
from tests.support.shapes import log
from tests.support.strategies import (
    END_GROUP,
    FIXED64,
    LENGTH,
    START_GROUP,
    VARINT,
    delimited,
    tag,
    varint,
)

if TYPE_CHECKING:
    from otlp2parquet import Signal

CUT = tag(1, LENGTH) + b"\x05"
"""A field 1 of five bytes, none of which is there: broken in every message but scalars'."""


def refusal(payload: bytes, signal: Signal, **options: Any) -> DecodeError:
    """The DecodeError of a payload that the oracle refuses too."""
    with pytest.raises(oracle.UndecodableError):
        oracle.decode(payload, signal)
    with pytest.raises(DecodeError) as caught:
        process_otlp(payload, signal, **options)
    return caught.value


# Paths -----------------------------------------------------------------------------------


def on_the_way(*steps: tuple[int, int] | int, broken: bytes = CUT) -> bytes:
    """A broken message inside fields; (number, n) goes to the n-th of a repeated field."""
    payload = broken
    for step in reversed(steps):
        number, before = step if isinstance(step, tuple) else (step, 0)
        payload = delimited(number, b"") * before + delimited(number, payload)
    return payload


RECORD = ((1, 0), (2, 2), (2, 7))
LOG = "resource_logs[0].scope_logs[2].log_records[7]"
SPAN = "resource_spans[0].scope_spans[2].spans[7]"
METRIC = "resource_metrics[0].scope_metrics[2].metrics[7]"
PATHS: list[tuple[Signal, tuple[tuple[int, int] | int, ...], str]] = [
    ("logs", (), ""),
    ("logs", ((1, 3),), "resource_logs[3]"),
    ("logs", ((1, 1), 1), "resource_logs[1].resource"),
    ("logs", ((1, 1), 1, (1, 2)), "resource_logs[1].resource.attributes[2]"),
    ("logs", ((1, 1), 1, (1, 2), 2), "resource_logs[1].resource.attributes[2].value"),
    ("logs", ((1, 0), 1, (3, 1)), "resource_logs[0].resource.entity_refs[1]"),
    ("logs", ((1, 0), (2, 2)), "resource_logs[0].scope_logs[2]"),
    ("logs", ((1, 0), (2, 2), 1), "resource_logs[0].scope_logs[2].scope"),
    ("logs", ((1, 0), (2, 2), 1, (3, 1)), "resource_logs[0].scope_logs[2].scope.attributes[1]"),
    ("logs", RECORD, LOG),
    ("logs", (*RECORD, 5), LOG + ".body"),
    ("logs", (*RECORD, (6, 4), 2), LOG + ".attributes[4].value"),
    ("logs", (*RECORD, 5, 5, (1, 2)), LOG + ".body.array_value.values[2]"),
    ("logs", (*RECORD, 5, 6), LOG + ".body.kvlist_value"),
    ("logs", (*RECORD, 5, 6, (1, 3), 2), LOG + ".body.kvlist_value.values[3].value"),
    ("traces", RECORD, SPAN),
    ("traces", (*RECORD, (9, 1)), SPAN + ".attributes[1]"),
    ("traces", (*RECORD, (11, 2)), SPAN + ".events[2]"),
    ("traces", (*RECORD, (11, 2), (3, 1), 2), SPAN + ".events[2].attributes[1].value"),
    ("traces", (*RECORD, (13, 3)), SPAN + ".links[3]"),
    ("traces", (*RECORD, (13, 3), (4, 1)), SPAN + ".links[3].attributes[1]"),
    ("traces", (*RECORD, 15), SPAN + ".status"),
    ("metrics", RECORD, METRIC),
    ("metrics", (*RECORD, (12, 1)), METRIC + ".metadata[1]"),
    ("metrics", (*RECORD, 5), METRIC + ".gauge"),
    ("metrics", (*RECORD, 5, (1, 2)), METRIC + ".gauge.data_points[2]"),
    ("metrics", (*RECORD, 5, (1, 2), (5, 1)), METRIC + ".gauge.data_points[2].exemplars[1]"),
    (
        "metrics",
        (*RECORD, 7, (1, 1), (5, 0), (7, 1)),
        METRIC + ".sum.data_points[1].exemplars[0].filtered_attributes[1]",
    ),
    ("metrics", (*RECORD, 9, (1, 1)), METRIC + ".histogram.data_points[1]"),
    (
        "metrics",
        (*RECORD, 10, (1, 1), 9),
        METRIC + ".exponential_histogram.data_points[1].negative",
    ),
    (
        "metrics",
        (*RECORD, 11, (1, 1), (6, 2)),
        METRIC + ".summary.data_points[1].quantile_values[2]",
    ),
]


@pytest.mark.parametrize(
    ("signal", "steps", "path"), PATHS, ids=[path or "top" for *_, path in PATHS]
)
def test_the_path_leads_to_the_broken_message(
    signal: Signal, steps: tuple[tuple[int, int] | int, ...], path: str
) -> None:
    """The official names of the fields on the way, with an index for repeated ones."""
    payload = on_the_way(*steps)
    error = refusal(payload, signal)
    assert error.path == path
    assert error.offset == len(payload) - 1  # the length that reaches too far
    assert str(error.offset) in str(error)
    assert path in str(error)


def test_offsets_are_of_the_decompressed_payload() -> None:
    """A gzip body is counted in inflated bytes, over its members."""
    payload = log(CUT)
    body = gzip.compress(payload[:4]) + gzip.compress(payload[4:])
    error = refusal(payload, "logs")
    with pytest.raises(DecodeError) as caught:
        process_otlp(body, "logs", content_encoding="gzip")
    assert (caught.value.offset, caught.value.path) == (error.offset, error.path)


# Offsets inside of a log record that begins at byte 10 -----------------------------------

BEFORE = delimited(3, b"INFO")
OFFSETS: dict[str, tuple[bytes, tuple[int, ...]]] = {
    "a length too long": (tag(12, LENGTH) + b"\x09", (1,)),
    "a length of an unknown field too long": (tag(99, LENGTH) + b"\x09", (2,)),
    "a length that is no length": (tag(12, LENGTH) + b"\xff" * 9 + b"\x01", (1,)),
    "a fixed64 cut": (tag(1, FIXED64) + bytes(7), (1,)),
    "a varint cut": (tag(2, VARINT) + b"\x80\x80", (1, 3)),
    "a varint too long": (tag(2, VARINT) + varint(1, pad=10), (1,)),
    "field number 0": (b"\x00\x00", (0, 1)),
    "wire type 6": (tag(4, 6), (0, 1)),
    "wire type 7": (tag(4, 7), (0, 1)),
    "a tag too long": (tag(2, VARINT, pad=5) + b"\x00", (0,)),
    "a stray end of a group": (tag(4, END_GROUP), (0, 1)),
    "a group without an end": (tag(4, START_GROUP), (1,)),
}


@pytest.mark.parametrize("case", OFFSETS)
def test_the_offset_is_where_reading_stopped(case: str) -> None:
    """The offset leads to the byte that cannot be read, not merely to its record."""
    broken, offsets = OFFSETS[case]
    payload = log(BEFORE + broken)
    error = refusal(payload, "logs")
    begin = len(payload) - len(broken)
    assert error.path == "resource_logs[0].scope_logs[0].log_records[0]"
    assert error.offset in {begin + offset for offset in offsets}


@strategies.examples(300)
@given(strategies.mutated_payloads())
def test_every_refusal_has_a_place(signal_payload: tuple[Signal, bytes]) -> None:
    """Offsets lie in the payload, paths begin at its top, messages follow the style."""
    signal, payload = signal_payload
    with suppress(oracle.UndecodableError):
        oracle.decode(payload, signal)
        reject()  # not refused
    with pytest.raises(DecodeError) as caught:
        process_otlp(payload, signal)
    offset, path = caught.value.offset, caught.value.path
    assert offset is not None
    assert 0 <= offset <= len(payload)
    assert path == "" or path.startswith("resource_")
    assert path in str(caught.value)
    assert str(caught.value)[0].islower()


# Encodings and types ---------------------------------------------------------------------

ONE = log(BEFORE)
GZIP = gzip.compress(ONE)


@pytest.mark.parametrize("encoding", [None, "identity", "gzip"])
@pytest.mark.parametrize("signal", SIGNALS)
def test_an_empty_payload_is_an_empty_request(signal: Signal, encoding: str | None) -> None:
    """Zero bytes are a success without rows, whatever the encoding says."""
    result = process_otlp(b"", signal, content_encoding=encoding)
    assert (result.batches, result.accepted, result.rejected, result.message) == ([], 0, 0, "")


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "identity", "Identity"])
def test_encodings(encoding: str) -> None:
    """Gzip and identity are read, in any case of letters."""
    body = GZIP if encoding.lower() == "gzip" else ONE
    assert process_otlp(body, "logs", content_encoding=encoding).accepted == 1


def test_gzip_of_several_members() -> None:
    """Members one after another are one body, also when a member is empty."""
    third = gzip.compress(ONE[:5]) + gzip.compress(b"") + gzip.compress(ONE[5:])
    assert process_otlp(GZIP + third, "logs", content_encoding="gzip").accepted == 2


def test_gzip_of_nothing() -> None:
    """A gzip body that inflates to zero bytes is an empty request."""
    assert process_otlp(gzip.compress(b""), "logs", content_encoding="gzip").batches == []


BAD_GZIP = {
    "wrong crc": GZIP[:-8] + bytes(4) + GZIP[-4:],
    "wrong size": GZIP[:-4] + bytes(4),
    "no gzip": b"hello, world, this is not gzip at all",
    "protobuf": ONE,
    "zlib": zlib.compress(ONE),
    "junk after it": GZIP + b"junk",
    "broken deflate": GZIP[:10] + b"\xff" * 12 + GZIP[-8:],
    "second member with a wrong crc": GZIP + GZIP[:-8] + bytes(8),
}


@pytest.mark.parametrize("case", BAD_GZIP)
def test_bad_gzip_is_the_senders_error(case: str) -> None:
    """A body that is not whole gzip members is refused, never half read."""
    with pytest.raises(DecodeError, match="gzip") as caught:
        process_otlp(BAD_GZIP[case], "logs", content_encoding="gzip")
    assert (caught.value.offset, caught.value.path) == (None, "")


def test_every_cut_of_a_gzip_body_is_an_error() -> None:
    """A cut body is never a success, for an empty request would be one; nor in a later member."""
    whole = GZIP + gzip.compress(b"\x0a\x00")
    for end in range(1, len(whole)):
        if end == len(GZIP):
            continue  # a whole member
        with pytest.raises(DecodeError):
            process_otlp(whole[:end], "logs", content_encoding="gzip")


@pytest.mark.parametrize("encoding", ["br", "zstd2", "gzip, gzip", "x-gzip, zlib", "snappy"])
def test_unsupported_encodings(encoding: str) -> None:
    """Another encoding, or a stack of them, is named and refused before anything is read."""
    with pytest.raises(UnsupportedError, match=encoding.split(",", maxsplit=1)[0]):
        process_otlp(ONE, "logs", content_encoding=encoding)


@pytest.mark.parametrize(
    "content_type",
    [
        "application/x-protobuf",
        "application/protobuf",
        "Application/X-Protobuf",
        "application/x-protobuf; charset=utf-8",
    ],
)
def test_content_types(content_type: str) -> None:
    """The type is compared without case, and its parameters are ignored."""
    assert process_otlp(ONE, "logs", content_type=content_type).accepted == 1


@pytest.mark.parametrize("content_type", ["text/plain", "", "application/protobuf2", "application"])
def test_unsupported_content_types(content_type: str) -> None:
    """Another content type is named and refused."""
    with pytest.raises(UnsupportedError) as caught:
        process_otlp(ONE, "logs", content_type=content_type)
    assert f'"{content_type}"' in str(caught.value)


@pytest.mark.parametrize("signal", ["", "log", "LOGS", "profiles"])
def test_unknown_signal(signal: Any) -> None:
    """A signal that does not exist is the caller's mistake, not the sender's."""
    with pytest.raises(ValueError, match="logs, traces or metrics"):
        process_otlp(ONE, signal)
    builder = BatchBuilder()
    with pytest.raises(ValueError, match="logs, traces or metrics"):
        builder.append(ONE, signal)


@pytest.mark.parametrize("payload", ["text", None, 7])
def test_a_payload_that_is_not_bytes(payload: Any) -> None:
    """Text is not taken for bytes."""
    with pytest.raises(TypeError):
        native_process_otlp(payload, "logs")


def test_refusals_are_otlp_errors() -> None:
    """One except clause catches everything that is raised on purpose."""
    for error in (DecodeError, UnsupportedError):
        assert issubclass(error, OtlpError)
    with pytest.raises(OtlpError):
        process_otlp(b"\xff", "logs")


def test_deep_groups_end_in_an_answer() -> None:
    """Unknown groups are skipped without recursion: a million of them cannot hurt."""
    for payload in (b"\x0b" * 1_000_000, b"\x0b" * 1_000_000 + b"\x0c" * 1_000_000):
        with pytest.raises(DecodeError):
            process_otlp(payload, "logs")
    assert process_otlp(log(b"\x9b\x06" * 50 + b"\x9c\x06" * 50), "logs").accepted == 1
