"""The receipts in a bucket: as ``receipt_folder``, where every call is awaited.

Knows receipts, and objects by their protocol. ``prefix`` is where the storage begins in the
bucket, so that a server and ``otlp2parquet reconcile`` find the same receipts there.
"""

from collections.abc import Iterable

from otlp2parquet.catalogs.plain.protocol import Objects
from otlp2parquet.catalogs.receipts import (
    FOLDER,
    SUFFIX,
    Receipt,
    ReceiptError,
    pack_receipt,
    read_receipt,
)


class ObjectReceipts:
    """The committer's ``Receipts``. All calls raise the storage's errors."""

    def __init__(self, objects: Objects, prefix: str = "") -> None:
        self._objects = objects
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""

    async def create(self, receipt: Receipt) -> None:
        """Keep a receipt. It may be there from a call whose answer was lost."""
        body = pack_receipt(receipt)
        key = self._prefix + receipt.path
        if not await self._objects.create(key, body) and await self._objects.read(key) != body:
            raise ReceiptError(f"{receipt.path}: found another receipt, expected none of its name")

    async def read(self, path: str) -> Receipt | None:
        """See ``Receipts.read``."""
        body = await self._objects.read(self._prefix + path)
        return None if body is None else read_receipt(body, path)

    async def exists(self, path: str) -> bool:
        """See ``Receipts.exists``."""
        return await self._objects.read(self._prefix + path) is not None

    async def list(self, node: str = "", table: str = "") -> Iterable[str]:
        """See ``Receipts.list``."""
        folder = "/".join(part for part in (FOLDER, node, table) if part)
        keys = await self._objects.list(f"{self._prefix}{folder}/")
        paths = [key.removeprefix(self._prefix) for key in keys]
        names = {path: path.rpartition("/")[2] for path in paths}
        return [
            path
            for path, name in names.items()
            if name.endswith(SUFFIX) and not name.startswith(".")
        ]

    async def delete(self, receipt: Receipt) -> None:
        """See ``Receipts.delete``."""
        await self._objects.delete(self._prefix + receipt.path)
