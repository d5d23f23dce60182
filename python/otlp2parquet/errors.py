"""Every error that a caller of otlp2parquet may get, in one tree, named by whose fault it is.

``DecodeError``, ``UnsupportedError`` and ``TooLargeError`` are the sender's (HTTP 400, 415,
413); ``ConfigError`` is the operator's; ``StorageError`` and ``CatalogError`` are the
environment's (HTTP 503). The native module raises these same classes. Messages are lower
case and say what was found, where, and what was expected.
"""

from __future__ import annotations


class OtlpError(Exception):
    """The root: catch this to catch everything that otlp2parquet raises on purpose."""


class DecodeError(OtlpError):
    """The payload is not what it claims to be; sending it again cannot help.

    ``offset`` is the byte offset in the decompressed payload at which reading stopped
    (``None`` when the trouble is not at a place, such as a broken gzip header), ``path`` the
    dotted OTLP field path there, for example ``resource_logs[0].scope_logs[2].log_records[7].body``
    (empty at the top level).
    """

    def __init__(self, message: str, offset: int | None = None, path: str = "") -> None:
        super().__init__(message)
        self.offset = offset
        self.path = path


class UnsupportedError(OtlpError):
    """A content type or content encoding that is not read here."""


class TooLargeError(OtlpError):
    """A payload over one of the limits: bytes, records or groups."""


class ConfigError(OtlpError):
    """A setting that is unknown, of the wrong type or in contradiction to another."""


class QueryError(OtlpError):
    """A question in SQL that cannot be asked or answered: the asker's matter."""


class StorageError(OtlpError):
    """The place for the files cannot be written or read now."""


class LogError(StorageError):
    """The log cannot keep what a request brought; the storage may be well."""


class StoppingError(StorageError):
    """The process is on its way out, and takes no more rows."""


class StorageUnavailableError(StorageError):
    """A transient trouble of the storage: the same call may succeed later."""


class StorageRefusedError(StorageError):
    """The storage refuses for good: no call like this succeeds until somebody changes something."""


class NameTakenError(StorageError):
    """The name is taken, and a file is never overwritten. ``path`` is the name below the root."""

    def __init__(self, path: str, message: str | None = None) -> None:
        super().__init__(message or f"{path} already exists; expected a free name")
        self.path = path


class CatalogError(OtlpError):
    """The Iceberg catalog cannot be reached or refused a commit."""


class CatalogConflictError(CatalogError):
    """Somebody else was faster: nothing was committed, and what is to be done is looked at anew."""


class CatalogUnavailableError(CatalogError):
    """A transient trouble, or a commit of which nobody knows what became: to be looked up."""


class CatalogRefusedError(CatalogError):
    """The catalog refuses for good: nothing helps until somebody changes something."""
