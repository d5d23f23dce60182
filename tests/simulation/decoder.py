"""Another decoder than the one that acknowledged: it refuses some of the same requests.

A log is read by the version of the product that is installed then. What that one cannot decode
goes to quarantine, and everything else has to come through.
"""

from __future__ import annotations

from typing import Any
from zlib import crc32

from otlp2parquet.core import Appended, BatchBuilder
from otlp2parquet.errors import DecodeError


def refuses(payload: bytes, share: float) -> bool:
    """Whether a decoder that refuses this share of all requests refuses this one."""
    return share > 0 and crc32(payload) % 1000 < 1000 * share


class OtherBuilder:
    """A ``BatchBuilder`` that refuses a ``share`` of the requests."""

    def __init__(self, share: float, *, max_payload_bytes: int) -> None:
        self._share = share
        self._builder = BatchBuilder(max_payload_bytes=max_payload_bytes)

    def append(self, payload: bytes, signal: str, **names: Any) -> Appended:
        """As ``BatchBuilder.append``."""
        if refuses(payload, self._share):
            raise DecodeError("this version does not read it")
        return self._builder.append(payload, signal, **names)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._builder, name)
