"""``python -m tests.proofs.equivalence``: a million random messages, held against the oracles.

Each message follows from its number, so that a finding can be had again. What is compared, and with
what, is said by ``assert_same`` of the property tests, which try fewer messages and make them small
when they find something. Knows how messages are made at random.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import click

from otlp2parquet.core.signals import SIGNALS
from tests.proofs.results import save
from tests.support import equivalence_json, shapes
from tests.support.json_edits import edited
from tests.support.oracle import REQUESTS
from tests.support.strategies import NOW, Tape, from_object, mutated, wire_message
from tests.support.strategies_json import request, spelled

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from otlp2parquet import Signal

MILLION: Final = 1_000_000
CHUNK: Final = 1_000
"""Messages that are told of together."""
SIZES: Final = (10, 20, 40, 80, 160, 400)
"""Bytes of choices; where these end all is plain."""


@dataclass(frozen=True, slots=True)
class Message:
    """One body."""

    signal: Signal
    body: bytes
    content_type: str


def tape(chance: random.Random) -> Tape:
    """Choices at random."""
    return Tape(chance.randbytes(chance.choice(SIZES)))


def protobuf(chance: random.Random, signal: Signal) -> Message:
    """As a library writes it, in any way that the wire format allows, or damaged."""
    kind = chance.randrange(4)
    if kind == 0:
        payload = from_object(tape(chance), signal)
    else:
        payload = wire_message(tape(chance), REQUESTS[signal].DESCRIPTOR, odd=kind > 1)
    if kind == 3:
        payload = mutated(tape(chance), payload)
    return Message(signal, payload, "application/x-protobuf")


def json(chance: random.Random, signal: Signal) -> Message:
    """In any spelling, odd, nearly right, damaged, or several in lines."""
    kind = chance.randrange(5)
    text = spelled(tape(chance), request(tape(chance), signal), odd=kind > 1)
    if kind == 1:
        text = edited(tape(chance), text)
    elif kind == 3:
        text = mutated(tape(chance), text)
    elif kind == 4:
        again = spelled(tape(chance), request(tape(chance), signal), odd=False)
        lines = [text.replace(b"\r", b" ").replace(b"\n", b" "), b"", again]
        return Message(signal, b"\n".join(lines), equivalence_json.NDJSON)
    return Message(signal, text, equivalence_json.JSON)


MAKERS: Final[Mapping[str, Callable[[random.Random, Signal], Message]]] = {
    "protobuf": protobuf,
    "json": json,
}


def message(form: str, seed: int, number: int) -> Message:
    """The message of a number."""
    chance = random.Random(f"{form} {seed} {number}")
    return MAKERS[form](chance, SIGNALS[number % len(SIGNALS)])


def compare(one: Message) -> None:
    """Hold the decoders against the oracle. Raises ``AssertionError`` where they differ."""
    if one.content_type == "application/x-protobuf":
        shapes.assert_same(one.body, one.signal, NOW)
    else:
        equivalence_json.assert_same(one.body, one.signal, one.content_type)


def chunk(form: str, seed: int, first: int) -> tuple[int, list[str]]:
    """Compare ``CHUNK`` messages: how many bytes they had, and what was found."""
    size, findings = 0, []
    for number in range(first, first + CHUNK):
        one = message(form, seed, number)
        size += len(one.body)
        try:
            compare(one)
        except Exception as error:  # noqa: BLE001 - whatever a decoder does is a finding
            findings.append(f"{form} {seed} {number} {one}: {type(error).__name__}: {error}")
    return size, findings


@click.command()
@click.option("--messages", default=MILLION, show_default=True, help="How many of each format.")
@click.option("--seed", default=1, show_default=True, help="Which.")
@click.option("--form", type=click.Choice(list(MAKERS)), help="One format alone.")
@click.option("--keep/--no-keep", default=True, help="Whether the result is kept for the page.")
def main(messages: int, seed: int, form: str | None, *, keep: bool) -> None:
    """Compare, tell how far it is, and keep the result."""
    context = multiprocessing.get_context("spawn")
    findings: list[str] = []
    with ProcessPoolExecutor(os.cpu_count(), mp_context=context) as pool:
        for one in [form] if form else MAKERS:
            started, size = time.monotonic(), 0
            firsts = range(0, messages, CHUNK)
            for first, (more, found) in zip(
                firsts, pool.map(partial(chunk, one, seed), firsts), strict=True
            ):
                size += more
                findings += found
                click.echo("".join(f"{finding}\n" for finding in found), err=True, nl=False)
                if first % (50 * CHUNK) == 0:
                    click.echo(f"{one}: {first + CHUNK:,} of {messages:,}", err=True)
            if keep and not findings:
                figures = {"messages": len(firsts) * CHUNK, "bytes": size, "seed": seed}
                save(f"equivalence_{one}", {**figures, "secs": time.monotonic() - started})
    sys.exit(bool(findings))


if __name__ == "__main__":
    main()
