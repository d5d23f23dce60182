"""One call of grpcio: its message, and its answer.

Knows grpcio's context of a call and ``core.otlp_grpc``. It must not know what a call is about.
"""

from typing import Any

import grpc

from otlp2parquet.core.otlp_grpc import Answer


async def read_message(context: Any) -> bytes | None:  # noqa: ANN401 - grpcio has no types
    """The next message as it was sent; None where no whole one comes.

    That is so where the call has ended: by its client, by a lost connection, or by grpcio, which
    answers messages that are too large itself.
    """
    try:
        message = await context.read()
    except grpc.aio.BaseError:
        return None
    return None if message is grpc.aio.EOF else message


async def give(context: Any, answer: Answer) -> bytes:  # noqa: ANN401
    """Answer a call: give its handler what to return, or raise what ends it."""
    if answer.code != "OK":
        code = grpc.StatusCode[answer.code]
        await context.abort(code, answer.message, answer.trailers)  # which raises
    return answer.body
