"""One export over OTLP/gRPC, as a client makes it.

Knows grpcio's channels, and how a token and a certificate are shown. Must not know what is sent.
"""

from pathlib import Path
from typing import Any

from otlp2parquet.core.otlp_grpc import METHODS
from otlp2parquet.core.signals import Signal
from otlp2parquet.errors import ConfigError, OtlpError

_ANSWER_SECS = 10.0


class CallError(OtlpError):
    """A call without an answer, or with a refusal."""


def export(signal: Signal, payload: bytes, url: str, token: str, trusted: str) -> bytes:
    """The message that answers one request in protobuf.

    ``url`` begins with ``http://`` or ``https://``; ``trusted`` is a file of certificates that are
    trusted instead of the usual ones, if it is not empty. Raises ``CallError``, and ``ConfigError``
    where grpcio is not there.
    """
    try:
        import grpc  # noqa: PLC0415 - takes its time
    except ImportError as error:
        raise ConfigError("grpcio is not installed, expected it for --protocol grpc") from error
    scheme, _, target = url.partition("://")
    target = target.rstrip("/")
    channel: Any
    if scheme == "https":
        roots = Path(trusted).read_bytes() if trusted else None
        channel = grpc.secure_channel(target, grpc.ssl_channel_credentials(roots))
    else:
        channel = grpc.insecure_channel(target)
    (method,) = (name for name, one in METHODS.items() if one == signal)
    metadata = [("x-api-key", token)] if token else []
    with channel:
        try:
            call = channel.unary_unary(method)
            answer: bytes = call(payload, timeout=_ANSWER_SECS, metadata=metadata)
        except grpc.RpcError as error:
            raise CallError(f"{url} answers {error.code().name}: {error.details()}") from error
    return answer
