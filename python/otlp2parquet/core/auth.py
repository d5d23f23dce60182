"""Who may enter: a request's header fields against the secrets that open the door.

Knows the two places where OTLP exporters can put a secret, ``Authorization: Bearer`` and
``x-api-key``. It must not know where secrets are kept, keeps none itself, and takes the same time
whatever is wrong with the one that it is shown.
"""

import hashlib
import hmac
from collections.abc import Iterable

_BEARER = b"bearer"


class Tokens:
    """The secrets that are accepted, as SHA-256 digests."""

    __slots__ = ("_digests",)

    def __init__(self, tokens: Iterable[str]) -> None:
        self._digests = [_digest(token.encode()) for token in tokens]

    def admit(self, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        """Whether a request with these header fields (lower-case names) may enter.

        One of the secrets in one of the places suffices. Digests are of equal length, and each is
        compared whole with every one: neither how much of a guess is right nor which secret it is
        like can be told from the time.
        """
        admitted = False
        for shown in _shown(headers):
            digest = _digest(shown)
            for known in self._digests:
                admitted |= hmac.compare_digest(digest, known)
        return admitted


def _digest(secret: bytes) -> bytes:
    return hashlib.sha256(secret).digest()


def _shown(headers: Iterable[tuple[bytes, bytes]]) -> Iterable[bytes]:
    for name, value in headers:
        if name == b"authorization":
            # RFC 9110, 11.1: the scheme is case-insensitive.
            scheme, _, credentials = value.strip().partition(b" ")
            if scheme.lower() == _BEARER:
                yield credentials.strip()
        elif name == b"x-api-key":
            yield value.strip()
