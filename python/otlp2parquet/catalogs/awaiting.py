"""One text of the committer for clients that block and for clients that are awaited.

Knows coroutines, and no event loop. What a committer does is written once, as coroutines that take
each answer through ``settled``. A client that blocks gives the answer itself, so nothing is ever
waited for and ``run_now`` ends at once, on the thread that called it. A client that cannot block,
because its only way out is an event loop (a Worker), gives awaitables, and the same coroutines run
in that loop. A second copy of the committer would have to be proven a second time,
and an event loop below each server's commit would be one more part that can hang.
"""

from collections.abc import Awaitable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def settled(answer: Awaitable[T] | T) -> T:
    """The answer of a client, awaited where it is one to wait for."""
    if isinstance(answer, Awaitable):
        awaited: T = await answer
        return awaited
    return answer


def run_now(steps: Coroutine[Any, Any, T]) -> T:
    """What ``steps`` return, for clients that block: nothing in them waits for an event loop.

    Raises ``RuntimeError`` where something does.
    """
    try:
        steps.send(None)
    except StopIteration as end:
        returned: T = end.value
        return returned
    steps.close()
    raise RuntimeError("a client gave something to wait for; expected one that answers at once")
