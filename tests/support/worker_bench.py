"""An application of a Worker in this process, over a bucket in memory that fails as a test says."""

from __future__ import annotations

import asyncio
import io
import weakref
from dataclasses import replace
from hashlib import md5
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from otlp2parquet.core.pure.builder import process_otlp
from otlp2parquet.platforms.cloudflare_worker import application
from otlp2parquet.platforms.cloudflare_worker.application import (
    Application,
    BodyCutError,
    Request,
)
from otlp2parquet.platforms.cloudflare_worker.bucket import Bucket
from otlp2parquet.platforms.cloudflare_worker.settings import WorkerSettings

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Mapping

    import pytest

    from otlp2parquet.core.otlp_http import Response
    from otlp2parquet.core.pure.builder import Result
    from otlp2parquet.platforms.cloudflare_worker.catalog import WorkerCatalog

PROTOBUF = (b"content-type", b"application/x-protobuf")


LISTED = 3


class _Body:
    def __init__(self, value: bytes) -> None:
        self._value = value

    async def arrayBuffer(self) -> memoryview:  # noqa: N802 - R2's name
        """The content, as the SDK gives it."""
        return memoryview(self._value)


class MemoryR2:
    """What is asked of an R2 binding, in memory. ``faults`` befall the next calls, in order.

    They are those of the harness: ``put fails``, ``put lost``, ``put hangs``, and so for others.
    """

    def __init__(self, *faults: str) -> None:
        self.objects: dict[str, bytes] = {}
        self.faults = list(faults)
        self.calls: list[str] = []
        self.options: list[Mapping[str, Any]] = []
        self.on_call: Callable[[], object] = lambda: None

    async def put(self, key: str, value: bytes, options: Mapping[str, Any], /) -> Any:
        """Store an object if there is none."""
        self.options.append(options)
        lost = await self._call("put")
        assert options["onlyIf"] == {"etagDoesNotMatch": "*"}
        assert options["md5"] == md5(value, usedforsecurity=False).hexdigest()
        if key in self.objects:
            return None
        self.objects[key] = value
        if lost:
            raise OSError("Network connection lost.")
        return SimpleNamespace(size=len(value))

    async def head(self, key: str, /) -> Any:
        """What there is of an object."""
        await self._call("head")
        value = self.objects.get(key)
        if value is None:
            return None
        return SimpleNamespace(size=len(value), etag=md5(value, usedforsecurity=False).hexdigest())

    async def get(self, key: str, /) -> Any:
        """An object with its content."""
        await self._call("get")
        value = self.objects.get(key)
        return None if value is None else _Body(value)

    async def delete(self, keys: list[str], /) -> None:
        """Remove objects."""
        lost = await self._call("delete")
        for key in keys:
            self.objects.pop(key, None)
        if lost:
            raise OSError("Network connection lost.")

    async def list(self, options: Mapping[str, Any], /) -> Any:
        """Some objects: few at a time, so that whoever forgets the cursor misses most."""
        await self._call("list")
        behind = options.get("cursor", "")
        keys = sorted(
            key for key in self.objects if key.startswith(options["prefix"]) and key > behind
        )
        objects = [SimpleNamespace(key=key) for key in keys[:LISTED]]
        is_truncated = len(keys) > LISTED
        cursor = {"cursor": keys[LISTED - 1]} if is_truncated else {}
        return SimpleNamespace(objects=objects, truncated=is_truncated, **cursor)

    async def _call(self, name: str) -> bool:
        """Whether the answer of this call is lost."""
        self.calls.append(name)
        self.on_call()
        fault = self.faults.pop(0) if self.faults and self.faults[0].startswith(name) else ""
        if fault.endswith("fails"):
            raise OSError(f"{name}: Internal Error (10001)")
        if fault.endswith("hangs"):
            await asyncio.get_running_loop().create_future()
        return fault.endswith("lost")


class Rows(list[Any]):
    """The columns of a batch, which can be seen to go."""


class WatchedRows:
    """How many batches of rows are in memory, at moments that a test chooses."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._columns: list[weakref.ref[Rows]] = []
        self._process_otlp = process_otlp
        self.seen: list[int] = []
        """What each look has found."""
        monkeypatch.setattr(application, "process_otlp", self._decode)

    def _decode(self, *args: Any, **options: Any) -> Result:
        decoded = self._process_otlp(*args, **options)
        kept = [replace(one, columns=Rows(one.columns)) for one in decoded.batches]
        self._columns += [weakref.ref(one.columns) for one in kept]  # type: ignore[arg-type]
        return replace(decoded, batches=kept)

    @property
    def decoded(self) -> int:
        """How many batches there have been."""
        return len(self._columns)

    def look(self) -> None:
        """Count those that are there."""
        self.seen.append(sum(one() is not None for one in self._columns))


async def no_pause(_secs: float) -> None:
    """Wait for nothing."""


async def chunked(*chunks: bytes, cut: bool = False) -> AsyncGenerator[bytes, None]:
    """A body in chunks; ``cut`` before it is complete."""
    for chunk in chunks:
        yield chunk
    if cut:
        raise BodyCutError


class WorkerBench:
    """An application, and what it has stored."""

    def __init__(self, *faults: str, catalog: WorkerCatalog | None = None, **settings: Any) -> None:
        self.r2 = MemoryR2(*faults)
        self.settings = WorkerSettings(**settings)
        self.application = Application(self.settings, catalog)
        prefix = "" if catalog else self.settings.prefix
        self.bucket = Bucket(self.r2, prefix, sleep=no_pause)
        self.behind: list[Coroutine[Any, Any, None]] = []
        """What is to be done behind answers; ``ask`` does it."""

    def ask(
        self,
        method: str = "POST",
        path: str = "/v1/logs",
        headers: Iterable[tuple[bytes, bytes]] = (PROTOBUF,),
        body: bytes | AsyncGenerator[bytes, None] = b"",
    ) -> Response:
        """The answer to a request."""

        async def ask_and_finish() -> Response:
            response = await self.answer(method, path, headers, body)
            while self.behind:
                await self.behind.pop(0)
            return response

        return asyncio.run(ask_and_finish())

    async def answer(
        self,
        method: str = "POST",
        path: str = "/v1/logs",
        headers: Iterable[tuple[bytes, bytes]] = (PROTOBUF,),
        body: bytes | AsyncGenerator[bytes, None] = b"",
    ) -> Response:
        """As ``ask``, in a loop that runs."""
        chunks = chunked(*[body] if body else []) if isinstance(body, bytes) else body
        request = Request(method, path, tuple(headers), chunks)
        return await self.application.answer(request, self.bucket, self.behind.append)

    @property
    def rows(self) -> int:
        """Rows in the bucket's files."""
        return sum(pq.read_metadata(io.BytesIO(one)).num_rows for one in self.r2.objects.values())

    def table(self, key: str) -> pa.Table:
        """The rows of a file."""
        return pq.read_table(io.BytesIO(self.r2.objects[key]))
