"""Outcomes as gRPC's statuses, held to the official protobuf classes."""

from __future__ import annotations

import gzip
import zlib
from typing import get_args

import grpc
import pytest
from google.rpc import code_pb2, error_details_pb2, status_pb2
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

from otlp2parquet.core.otlp_grpc import (
    CODES,
    METHODS,
    UNAUTHENTICATED,
    encoding_of,
    refuse,
    render,
)
from otlp2parquet.core.outcome import FOR_GOOD, RETRY_AFTER_SECS, TAKEN, Kind, Outcome

KINDS = get_args(Kind)


def test_methods_are_those_of_the_services() -> None:
    """Full names as the specification's own files have them."""
    named = {
        f"/{service.full_name}/{method.name}"
        for file in (logs_service_pb2, trace_service_pb2, metrics_service_pb2)
        for service in file.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    }
    assert set(METHODS) == named


def test_codes_are_those_of_grpc() -> None:
    """Their numbers, and grpcio knows their names."""
    for name, number in CODES.items():
        assert code_pb2.Code.Value(name) == number
        assert grpc.StatusCode[name].value[0] == number


@pytest.mark.parametrize("kind", KINDS)
def test_clients_keep_what_may_be_sent_again(kind: Kind) -> None:
    """RetryInfo and pushback say so, and nothing that is final has either."""
    answer = render(Outcome(kind, "why", 7, "resource_logs[0]"))
    trailers = dict(answer.trailers)
    if kind in TAKEN:
        assert answer.code == "OK"
        assert not trailers
        return
    assert answer.message == "why at byte 7 in resource_logs[0]"
    assert answer.reason == kind
    if kind in FOR_GOOD:
        assert answer.code in ("INVALID_ARGUMENT", "RESOURCE_EXHAUSTED")
        assert not trailers
        return
    assert answer.code == "UNAVAILABLE"
    assert trailers["grpc-retry-pushback-ms"] == str(1000 * RETRY_AFTER_SECS)
    details = trailers["grpc-status-details-bin"]
    assert isinstance(details, bytes)
    status = status_pb2.Status.FromString(details)
    assert (status.code, status.message) == (code_pb2.UNAVAILABLE, answer.message)
    info = error_details_pb2.RetryInfo()
    assert status.details[0].Unpack(info)
    assert info.retry_delay.ToTimedelta().total_seconds() == RETRY_AFTER_SECS


def test_who_shows_no_token_is_not_told_to_come_again() -> None:
    """Nor what is wrong with the one that was shown."""
    assert UNAUTHENTICATED.code == "UNAUTHENTICATED"
    assert not UNAUTHENTICATED.trailers


@given(st.integers(0, 2**40), st.text(max_size=50))
def test_partial_success_is_the_official_message(rejected: int, message: str) -> None:
    """As over HTTP."""
    answer = render(Outcome("partly kept", message, accepted=1, rejected=rejected))
    read = logs_service_pb2.ExportLogsServiceResponse.FromString(answer.body)
    assert read.partial_success.rejected_log_records == rejected
    assert read.partial_success.error_message == message
    assert read.HasField("partial_success") == bool(rejected or message)


@given(st.text(max_size=9000))
def test_no_answer_is_larger_than_clients_take(message: str) -> None:
    """Header fields of 8 KiB in all, in which characters may take three times their bytes."""
    answer = refuse("UNAVAILABLE", "log", message)
    assert len(answer.message) <= 1000
    details = dict(answer.trailers)["grpc-status-details-bin"]
    assert isinstance(details, bytes)
    assert answer.message.encode("utf-8", "replace") in details


@given(st.binary(max_size=3000), st.integers(0, 9))
def test_the_encoding_of_a_message_is_seen(content: bytes, level: int) -> None:
    """At every level of compression; what is not compressed begins with the requests' one field."""
    assert encoding_of(gzip.compress(content, level)) == "gzip"
    assert encoding_of(zlib.compress(content, level)) == "deflate"
    assert encoding_of(b"\x0a" + content) is None


@given(st.binary(max_size=40))
def test_an_unknown_field_is_not_taken_for_zlib(rest: bytes) -> None:
    """Field 15, a varint, has zlib's first byte; a message that begins so is read as what it is."""
    message = b"\x78\x9c\x01" + rest
    encoding = encoding_of(message)
    try:
        zlib.decompressobj().decompress(message)
    except zlib.error:
        assert encoding is None
    else:
        assert encoding == "deflate"
    assert encoding_of(b"") is None
