"""The one door to the decoder: nothing else in the package imports the extension.

The decoder is a compiled extension, ``otlp2parquet._native``. Where it is not installed, this
module still imports, and with it the whole core: schemas, paths and answers need no decoder. What
needs one then raises ``ImportError`` when it is used, and says what is missing. Knows no other
module of the package but the names of the signals.
"""

import zlib
from typing import TYPE_CHECKING, Final, NoReturn

MAX_PAYLOAD_BYTES: Final = 192 << 20
"""The largest request, decompressed, that the decoder takes whatever its caller allows. A column
then stays within Arrow's 32-bit offsets, because rendering grows a request at most eightfold."""

if TYPE_CHECKING:
    from otlp2parquet._native import (
        DEBUG_BUILD,
        Appended,
        Batch,
        BatchBuilder,
        Result,
        Schema,
        crc32,
        give_pages_back,
        inflates_within,
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
        from otlp2parquet._native import (
            DEBUG_BUILD,
            Appended,
            Batch,
            BatchBuilder,
            Result,
            Schema,
            crc32,
            give_pages_back,
            inflates_within,
            process_otlp,
            recognize_json,
            table_names,
            table_schema,
        )
        from otlp2parquet._native import restore_batch as _restore_batch
        from otlp2parquet._native import restore_result as _restore_result
    except ImportError as error:
        _why = str(error)

        def _missing(name: str) -> NoReturn:
            raise ImportError(
                f"{name} needs the decoder, the extension otlp2parquet._native, which cannot be "
                f"imported ({_why}): expected a wheel of otlp2parquet for this platform"
            )

        class _Missing:
            """Stands for a class of the decoder: it can be named, but not made."""

            def __new__(cls, *_: object, **__: object) -> NoReturn:
                _missing(cls.__name__)

        class Appended(_Missing):
            """What an append gives."""

        class Batch(_Missing):
            """The rows of one table, service and hour."""

        class BatchBuilder(_Missing):
            """Open batches that many requests append to."""

        class Result(_Missing):
            """What ``process_otlp`` gives."""

        class Schema(_Missing):
            """The Arrow schema of a table."""

        def inflates_within(*_: object, **__: object) -> NoReturn:
            """As the decoder's; here it raises ``ImportError``."""
            _missing("inflates_within")

        def process_otlp(*_: object, **__: object) -> NoReturn:
            """As the decoder's; here it raises ``ImportError``."""
            _missing("process_otlp")

        def recognize_json(*_: object, **__: object) -> NoReturn:
            """As the decoder's; here it raises ``ImportError``."""
            _missing("recognize_json")

        def table_names() -> NoReturn:
            """As the decoder's; here it raises ``ImportError``."""
            _missing("table_names")

        def table_schema(*_: object, **__: object) -> NoReturn:
            """As the decoder's; here it raises ``ImportError``."""
            _missing("table_schema")

        def _restore_batch(*_: object) -> NoReturn:
            _missing("restore_batch")

        def _restore_result(*_: object) -> NoReturn:
            _missing("restore_result")

        def give_pages_back() -> int:
            """As the decoder's; without it there is no allocator of its own."""
            return 0

        crc32 = zlib.crc32
        DEBUG_BUILD = False
        DECODER = "none"
    else:
        DECODER = "native"


def restore_batch(table: str, service: str | None, hour: int, ipc: bytes) -> Batch:
    """The batch of a pickle: pickles name this function, wherever the decoder comes from.

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
    "Appended",
    "Batch",
    "BatchBuilder",
    "Result",
    "Schema",
    "crc32",
    "give_pages_back",
    "inflates_within",
    "process_otlp",
    "recognize_json",
    "restore_batch",
    "restore_result",
    "table_names",
    "table_schema",
]
