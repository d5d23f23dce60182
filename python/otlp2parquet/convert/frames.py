"""A file as export requests, one after another, whatever its compression and framing.

Knows the framings of protobuf: one request a file, or the Collector file exporter's stream, in
which each request follows its length in 4 big-endian bytes and, with the exporter's
``compression: zstd``, is a zstd frame of its own. Must not know what a request holds. Never
allocates what a length merely claims.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import BinaryIO, Final, cast

import pyarrow as pa

from otlp2parquet.convert.inputs import InputFile
from otlp2parquet.convert.json_lines import read_json
from otlp2parquet.convert.problems import Problem
from otlp2parquet.convert.reading import Frame, Input, TornError, read_up_to
from otlp2parquet.durable import reason_of

__all__ = ["Frame", "read_frames"]

# The first byte of protobuf is a field's tag; below 8 the field number would be 0, which no
# message has. The length of a request of less than 128 MiB begins with such a byte.
_FIRST_TAG: Final = 8
_LENGTH_BYTES: Final = 4
# As the beginning of a request this would be field 5, which no export request has.
_ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"


def read_frames(file: InputFile, max_payload_bytes: int) -> Iterator[Frame | Problem]:
    """Every request of ``file`` in order, and a ``Problem`` where one cannot be had.

    A request over ``max_payload_bytes`` is a problem and skipped; a torn frame or broken
    compression is a problem and the end of the file. An empty file is one empty request; in
    JSON it is none.
    """
    with ExitStack() as closing:
        try:
            stream = Input(file, closing)
        except OSError as error:
            yield Problem(str(file.path), None, f"cannot be read: {reason_of(error)}")
            return
        if file.format != "protobuf":
            yield from read_json(file, stream, max_payload_bytes)
            return
        start = 0
        try:
            first = stream.read(1)
            if not first or first[0] >= _FIRST_TAG:
                yield _whole(file, stream, first, max_payload_bytes)
                return
            prefix = stream.read(_LENGTH_BYTES - 1, first)
            while prefix:
                if len(prefix) < _LENGTH_BYTES:
                    yield Problem(
                        str(file.path),
                        start,
                        f"the file ends after {len(prefix)} of 4 length bytes",
                    )
                    return
                length = int.from_bytes(prefix, "big")
                one = _framed(file, stream, length, max_payload_bytes)
                yield one
                if isinstance(one, Problem) and stream.offset < start + _LENGTH_BYTES + length:
                    return
                start = stream.offset
                prefix = stream.read(_LENGTH_BYTES)
        except TornError as error:
            yield Problem(
                str(file.path),
                start,
                f"the {file.compression or 'file'} data breaks in the frame here: {error}",
            )


def _whole(file: InputFile, stream: Input, first: bytes, limit: int) -> Frame | Problem:
    payload = stream.read(limit, first)
    if len(payload) > limit:
        return Problem(
            str(file.path), 0, f"request over {limit} bytes, the most that is taken: skipped"
        )
    return Frame(file, 0, payload, stream.position)


def _framed(file: InputFile, stream: Input, length: int, limit: int) -> Frame | Problem:
    start = stream.offset
    if length > limit:
        there = stream.skip(length)
        reason = f"frame of {length} bytes, expected at most {limit}: skipped"
    else:
        payload = stream.read(length)
        if len(payload) == length:
            if payload.startswith(_ZSTD_MAGIC):
                return _inflated(file, stream, start, payload, limit)
            return Frame(file, start, payload, stream.position)
        there = len(payload)
        reason = f"frame of {length} bytes"
    if there < length:
        reason += f"; the file ends after {there} of them"
    return Problem(str(file.path), start - _LENGTH_BYTES, reason)


def _inflated(
    file: InputFile, stream: Input, start: int, packed: bytes, limit: int
) -> Frame | Problem:
    with pa.CompressedInputStream(pa.BufferReader(packed), "zstd") as inner:
        try:
            payload = read_up_to(cast("BinaryIO", inner), limit + 1)
        except TornError as error:
            reason = f"the zstd data of this frame breaks: {error}"
            return Problem(str(file.path), start - _LENGTH_BYTES, reason)
    if len(payload) > limit:
        reason = f"frame of more than {limit} bytes when decompressed: skipped"
        return Problem(str(file.path), start - _LENGTH_BYTES, reason)
    return Frame(file, start, payload, stream.position)
