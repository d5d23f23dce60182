"""One hostile input against one server: what it answered, what it cost, and that it lives on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.hostile.inputs import MIB, ONE, SILENCE, Input
from tests.hostile.memory import Watch
from tests.hostile.wire import chunked, exchange, head, parts, request
from tests.support.encoded import ENCODERS, decoded_bytes

if TYPE_CHECKING:
    from tests.components import RunningProcess

GOOD = request("logs", ONE)

MOST_DECODED = 64 * MIB
"""What a server reads of a body by default."""

MOST_CPU_SECS = 1.5
"""What any request may cost."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an input; memory in MiB."""

    sent_bytes: int
    answer: int
    cpu_secs: float
    """Of the server, for this input and a good request behind it."""
    before: float
    grown: float
    peak_pss: float


def attempt(process: RunningProcess, port: int, hostile: Input) -> Outcome:
    """Send one input, and make sure that a good request is taken afterwards.

    Raises ``AssertionError`` when the server is gone, or does not answer as it may.
    """
    sent = hostile.make()
    with Watch(process.process.pid) as watch:
        broken = SILENCE in hostile.answers
        answers = exchange(port, sent, cut=broken, patience_secs=0.3)
        assert exchange(port, GOOD) == [200], f"{hostile.name}: a good request was refused after"
    assert process.process.poll() is None
    # What follows a request that is broken is not a second request.
    assert len(answers) <= 1, f"{hostile.name}: answered {answers}"
    answer = answers[0] if answers else SILENCE
    assert answer in hostile.answers, f"{hostile.name}: answered {answers}"
    return Outcome(len(sent), answer, watch.cpu_secs, watch.before, watch.grown, watch.peak_pss)


def most_mib(sent: bytes) -> int:
    """What any request may cost: 6 times its decoded size and 128 MiB."""
    encoding, body = parts(sent)
    return 6 * decoded_bytes(body, encoding, MOST_DECODED) // MIB + 128


def cut_everywhere(port: int, encoding: str) -> dict[int, int]:
    """A body cut at every byte, once as announced and once in chunks: how often which answer.

    On the wire the end of the body is missing, so none of them may be a 200.
    """
    body = ENCODERS[encoding](ONE)
    answers: dict[int, int] = {}
    coding = f"Content-Encoding: {encoding}\r\nConnection: close"
    announced = head("/v1/logs", coding, f"Content-Length: {len(body)}")
    in_chunks = head("/v1/logs", coding, "Transfer-Encoding: chunked")
    framed = chunked(body[:7], body[7:]) + b"0\r\n\r\n"
    for start, whole in ((announced, body), (in_chunks, framed)):
        for end in range(len(whole)):
            found = exchange(port, start + whole[:end], cut=True)
            answer = found[0] if found else SILENCE
            answers[answer] = answers.get(answer, 0) + 1
        assert exchange(port, start + whole) == [200]
    return answers
