"""The bucket of a Worker's R2 binding: an object is created whole, or it is not there.

Knows the binding's ``put``, ``head``, ``get``, ``list`` and ``delete``, as Cloudflare's SDK gives
them to Python, and no runtime: a test's object with the same five will do. Must not know Parquet or
who asks.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from hashlib import md5
from typing import Any, Final, Protocol

from otlp2parquet.errors import NameTakenError, StorageUnavailableError

log = logging.getLogger(__name__)

PAUSES_SECS: Final = (0.1, 0.5)
"""How long is waited before each further attempt."""
MOST_DELETED: Final = 1000
"""Keys that R2 takes in one ``delete``."""
PARQUET: Final = "application/vnd.apache.parquet"
_LONGEST_TROUBLE: Final = 300


class R2Binding(Protocol):
    """What is asked of the binding. Results have R2's members, or are None."""

    def put(self, key: str, value: bytes, options: Mapping[str, Any], /) -> Awaitable[Any]:
        """Store an object; None where the condition in the options does not hold."""

    def head(self, key: str, /) -> Awaitable[Any]:
        """An object's ``size`` and ``etag``; None where there is none."""

    def get(self, key: str, /) -> Awaitable[Any]:
        """An object whose ``arrayBuffer`` gives its content; None where there is none."""

    def delete(self, keys: list[str], /) -> Awaitable[Any]:
        """Remove objects; those that are not there are removed already."""

    def list(self, options: Mapping[str, Any], /) -> Awaitable[Any]:
        """Some ``objects`` by key, whether that was ``truncated``, and the next ``cursor``."""


class Bucket:
    """Objects of a bucket below a folder. Paths are relative, with ``/``."""

    def __init__(
        self,
        binding: R2Binding,
        prefix: str = "",
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._binding = binding
        self._prefix = f"{prefix}/" if prefix else ""
        self._sleep = sleep

    async def create(self, path: str, content: bytes, media_type: str = PARQUET) -> None:
        """Make the object ``path``; it is whole and durable when this returns.

        An answer that was lost is looked up, and an attempt that failed is made again. Raises
        ``NameTakenError`` when something else has the name, and ``StorageUnavailableError``: then
        it may be there or not.
        """
        key = f"{self._prefix}{path}"
        digest = md5(content, usedforsecurity=False).hexdigest()
        options = {
            # "When using etagDoesNotMatch with a wildcard, the put succeeds only if there is none."
            "onlyIf": {"etagDoesNotMatch": "*"},
            "httpMetadata": {"contentType": media_type},
            "md5": digest,  # R2 refuses what has been damaged on the way
        }
        for pause in (0.0, *PAUSES_SECS):
            if pause:
                await self._sleep(pause)
            try:
                if await self._binding.put(key, content, options) is not None:
                    return
                # Something has the name: an attempt whose answer was lost, perhaps inside of R2.
                found = await self._binding.head(key)
            except Exception as error:  # noqa: BLE001 - whatever a binding raises is R2's trouble
                _tell("put", key, error)
                try:
                    found = await self._binding.head(key)
                except Exception as again:  # noqa: BLE001 - as above
                    _tell("head", key, again)
                    continue
            if found is None:
                continue
            # "etag" is the MD5 of an object that was put in one piece.
            if (found.size, found.etag) != (len(content), digest):
                raise NameTakenError(path)
            return
        raise StorageUnavailableError("R2 did not take a file, send the request again")

    async def read(self, path: str) -> bytes | None:
        """The content of an object; None if there is none. Raises ``StorageUnavailableError``."""
        key = f"{self._prefix}{path}"
        try:
            found = await self._binding.get(key)
            return None if found is None else bytes(await found.arrayBuffer())
        except Exception as error:
            _tell("get", key, error)
            raise StorageUnavailableError("R2 did not give an object") from error

    async def delete(self, paths: Sequence[str]) -> None:
        """Remove objects. Raises ``StorageUnavailableError``."""
        keys = [f"{self._prefix}{path}" for path in paths]
        for start in range(0, len(keys), MOST_DELETED):
            try:
                await self._binding.delete(keys[start : start + MOST_DELETED])
            except Exception as error:
                _tell("delete", keys[start], error)
                raise StorageUnavailableError("R2 did not remove files") from error

    async def list(self, prefix: str) -> Sequence[str]:
        """The paths that begin with ``prefix``, all of them. Raises ``StorageUnavailableError``."""
        paths = []
        options: dict[str, Any] = {"prefix": f"{self._prefix}{prefix}"}
        while True:
            try:
                found = await self._binding.list(options)
                paths += [str(one.key).removeprefix(self._prefix) for one in found.objects]
                if not found.truncated:
                    return paths
                options = {**options, "cursor": found.cursor}
            except Exception as error:
                _tell("list", options["prefix"], error)
                raise StorageUnavailableError("R2 did not list objects") from error


def _tell(call: str, key: str, error: Exception) -> None:
    """Log what R2 said. It may hold a key, and with that what a sender wrote: no answer has it."""
    fields = {"call": call, "key": key, "trouble": str(error)[:_LONGEST_TROUBLE]}
    log.warning("R2 failed", extra={"fields": fields})
