"""What the Rust extension gives; the behaviour is documented in ``otlp2parquet.core``."""

from datetime import datetime
from typing import Any, Literal, TypeAlias, final

from otlp2parquet.core.signals import Signal

__all__ = [
    "DEBUG_BUILD",
    "Appended",
    "Batch",
    "BatchBuilder",
    "Result",
    "Schema",
    "__version__",
    "crc32",
    "inflates_within",
    "memory_is_short",
    "process_otlp",
    "recognize_json",
    "restore_batch",
    "restore_result",
    "table_names",
    "table_schema",
]

_Payload: TypeAlias = bytes | bytearray | memoryview | str
"""A request's body; text is taken for JSON that is not compressed."""

__version__: str
DEBUG_BUILD: bool

def table_names() -> list[str]: ...
def table_schema(table: str) -> Schema: ...
def recognize_json(text: bytes) -> tuple[Literal["whole", "cut", "broken"], list[Signal]]: ...
def crc32(data: bytes, value: int = 0, /) -> int: ...
def memory_is_short(is_short: bool) -> int: ...
def inflates_within(payload: bytes, content_encoding: str | None, limit: int) -> bool: ...
def process_otlp(
    payload: _Payload,
    signal: str,
    *,
    content_type: str = "application/x-protobuf",
    content_encoding: str | None = None,
    received_at: int | None = None,
    max_payload_bytes: int = 67108864,
    max_memory_bytes: int | None = None,
) -> Result: ...

@final
class Schema:
    def __arrow_c_schema__(self) -> object: ...

@final
class Batch:
    @property
    def table(self) -> str: ...
    @property
    def service(self) -> str | None: ...
    @property
    def hour(self) -> datetime: ...
    @property
    def num_rows(self) -> int: ...
    def __arrow_c_schema__(self) -> object: ...
    def __arrow_c_array__(
        self, requested_schema: object | None = None
    ) -> tuple[object, object]: ...
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

@final
class Appended:
    @property
    def accepted(self) -> int: ...
    @property
    def rejected(self) -> int: ...
    @property
    def message(self) -> str: ...
    @property
    def undated(self) -> int: ...
    @property
    def unstored(self) -> dict[str, int]: ...

@final
class Result:
    @property
    def batches(self) -> list[Batch]: ...
    @property
    def accepted(self) -> int: ...
    @property
    def rejected(self) -> int: ...
    @property
    def message(self) -> str: ...
    @property
    def unstored(self) -> dict[str, int]: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

@final
class BatchBuilder:
    def __new__(cls, *, max_payload_bytes: int = 67108864) -> BatchBuilder: ...
    def append(
        self,
        payload: _Payload,
        signal: str,
        *,
        content_type: str = "application/x-protobuf",
        content_encoding: str | None = None,
        received_at: int | None = None,
    ) -> Appended: ...
    def finish(self, *, dictionaries: bool = False) -> list[Batch]: ...
    @property
    def num_rows(self) -> int: ...
    @property
    def num_bytes(self) -> int: ...
    @property
    def num_memory_bytes(self) -> int: ...
    @property
    def num_groups(self) -> int: ...

def restore_batch(table: str, service: str | None, hour: int, ipc: bytes) -> Batch:
    """The batch of a pickle."""

def restore_result(
    batches: list[Batch], accepted: int, rejected: int, message: str, unstored: dict[str, int]
) -> Result:
    """The result of a pickle."""
