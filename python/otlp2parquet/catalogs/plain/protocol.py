"""What the plain client is given: how to send a request, and where objects lie.

Everything else is the standard library. Both are awaited; in a Worker the one is ``fetch`` and the
other is a bucket's binding.
"""

from collections.abc import Iterable, Mapping
from typing import Protocol


class Fetch(Protocol):
    """Sends one HTTP request, once."""

    async def __call__(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, /
    ) -> tuple[int, bytes]:
        """The status and the body of the answer; any exception where there is none.

        Redirects are followed or not, as it likes; nothing is sent again.
        """
        ...


class Objects(Protocol):
    """A bucket. Keys are those of the bucket itself; what a call raises is the storage's error."""

    async def create(self, key: str, content: bytes) -> bool:
        """Make an object, whole and durable; False if there is one of this name already."""
        ...

    async def read(self, key: str) -> bytes | None:
        """The content of an object, None if there is none."""
        ...

    async def list(self, prefix: str) -> Iterable[str]:
        """The keys that begin with ``prefix``, all of them."""
        ...

    async def delete(self, key: str) -> None:
        """Remove an object; one that is not there is removed already."""
        ...
