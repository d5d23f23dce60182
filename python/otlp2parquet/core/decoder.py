"""The one door to the decoders: nothing else in the package imports the extension.

There are two, of one contract: the compiled extension ``otlp2parquet._native``, and ``core.pure``
in plain Python, which is used where the extension is not installed. ``OTLP2PARQUET_DECODER`` set
to ``native`` or ``pure`` forces one. This is the only thing that the core reads from the
environment: which decoder there is must be known when this module is imported, before any
configuration, and it changes no result, only how long one takes. Knows no other module of the
package but the twin and the errors.
"""

import os
import zlib
from typing import TYPE_CHECKING, Final

from otlp2parquet.core.pure.limits import MAX_PAYLOAD_BYTES
from otlp2parquet.errors import ConfigError

VARIABLE: Final = "OTLP2PARQUET_DECODER"

_wanted = os.environ.get(VARIABLE, "")
if _wanted not in ("", "native", "pure"):
    raise ConfigError(f"environment {VARIABLE}: found {_wanted!r}, expected native or pure")

if TYPE_CHECKING:
    from otlp2parquet._native import (
        DEBUG_BUILD,
        Appended,
        Batch,
        BatchBuilder,
        Result,
        Schema,
        crc32,
        inflates_within,
        memory_is_short,
        process_otlp,
        recognize_json,
        table_names,
        table_schema,
    )
    from otlp2parquet._native import restore_batch as _restore_batch
    from otlp2parquet._native import restore_result as _restore_result

    DECODER: str
else:
    try:
        if _wanted == "pure":
            raise ImportError("the environment asks for the other one")  # noqa: TRY301 - as if absent
        from otlp2parquet._native import (
            DEBUG_BUILD,
            Appended,
            Batch,
            BatchBuilder,
            Result,
            Schema,
            crc32,
            inflates_within,
            memory_is_short,
            process_otlp,
            recognize_json,
            table_names,
            table_schema,
        )
        from otlp2parquet._native import restore_batch as _restore_batch
        from otlp2parquet._native import restore_result as _restore_result
    except ImportError as error:
        if _wanted == "native":
            raise ImportError(
                f"environment {VARIABLE} asks for the extension otlp2parquet._native, which cannot "
                f"be imported ({error}): expected a wheel of otlp2parquet for this platform"
            ) from error
        from otlp2parquet.core.pure.batch import Batch, Schema, table_names, table_schema
        from otlp2parquet.core.pure.batch import restore as _restore_batch
        from otlp2parquet.core.pure.builder import Appended, BatchBuilder, Result, process_otlp
        from otlp2parquet.core.pure.inflate import inflates_within
        from otlp2parquet.core.pure.otlp_json.recognize import recognize_json

        def memory_is_short(is_short: bool) -> int:  # noqa: ARG001, FBT001 - as the extension's
            """As the extension's; without it there is no allocator of its own."""
            return 0

        _restore_result = Result
        crc32 = zlib.crc32
        DEBUG_BUILD = False
        DECODER = "pure"
    else:
        DECODER = "native"


def restore_batch(table: str, service: str | None, hour: int, ipc: bytes) -> Batch:
    """The batch of a pickle: pickles of the extension's batches name this function.

    ``ipc`` is an Arrow IPC stream of one record batch, with the schema of ``table``; with another
    one it is a ``RuntimeError``.
    """
    return _restore_batch(table, service, hour, ipc)


def restore_result(
    batches: list[Batch], accepted: int, rejected: int, message: str, unstored: dict[str, int]
) -> Result:
    """The result of a pickle, as ``restore_batch``."""
    return _restore_result(batches, accepted, rejected, message, unstored)


__all__ = [
    "DEBUG_BUILD",
    "DECODER",
    "MAX_PAYLOAD_BYTES",
    "VARIABLE",
    "Appended",
    "Batch",
    "BatchBuilder",
    "Result",
    "Schema",
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
