"""``python -m tests.support.fuzz_seeds FOLDER``: what the fuzzer begins with, for each target.

Requests of every signal in every spelling that the property tests know, and a dictionary of
OTLP's keys and JSON's tokens: a fuzzer finds neither ``exponentialHistogram`` nor a double's
eight bytes by chance. The same every time.
"""

from __future__ import annotations

import gzip
import random
import sys
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Final

from otlp2parquet.core.signals import SIGNALS
from tests.support.encoded import zstd
from tests.support.oracle import REQUESTS
from tests.support.strategies import Tape, wire_message
from tests.support.strategies_json import request, spelled

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.protobuf.descriptor import Descriptor

SEEDS = 300
SEPARATOR = b"\xfe\xfd\xfc"
LINES, JSON = 9, 0x81
"""What is added to a signal's number in an input's first byte; 0x81 is 3 * 43, so a document."""


ROOMY: Final = 3 * 20
"""What chooses the largest limit in an input of ``inflate``; the encoding's number is added."""
PACKS: Final[tuple[Callable[[bytes], bytes], ...]] = (
    lambda body: bytes([ROOMY]) + gzip.compress(body, mtime=0),
    lambda body: bytes([ROOMY]) + 2 * gzip.compress(body, mtime=0),
    lambda body: bytes([ROOMY + 1]) + zlib.compress(body),
    lambda body: bytes([ROOMY + 2]) + zstd(body),
)


def keys(message: Descriptor, found: set[str]) -> set[str]:
    """Every key and enum name below a message."""
    for field in message.fields:
        names = {field.json_name, field.name}
        if field.enum_type is not None:
            names |= set(field.enum_type.values_by_name)
        new = names - found
        found |= names
        if new and field.message_type is not None:
            keys(field.message_type, found)
    return found


def dictionary() -> str:
    """A quoted string a line, as libFuzzer reads it."""
    words = {word for signal in SIGNALS for word in keys(REQUESTS[signal].DESCRIPTOR, set())}
    tokens = [f'\\"{word}\\"' for word in sorted(words)]
    tokens += ["null", "true", "false", '\\"NaN\\"', "1e3", "-0.0", "\\\\ud83d", "[{", "}]", '\\":']
    tokens += ["18446744073709551616", '\\"1e3\\"', "1e400", "\\x0a", "\\xfe\\xfd\\xfc", "{},"]
    return "".join(f'"{token}"\n' for token in tokens)


def main(folder: Path) -> None:
    """Write the seeds."""
    chance = random.Random(7)
    protobuf, json = [], []
    for number in range(SEEDS):
        signal = number % len(SIGNALS)
        name = SIGNALS[signal]
        size = chance.choice((40, 100, 200, 400))
        tapes = [Tape(chance.randbytes(size)) for _ in range(3)]
        payload = wire_message(tapes[0], REQUESTS[name].DESCRIPTOR, odd=True)
        text = spelled(tapes[1], request(tapes[2], name), odd=True)
        protobuf.append(bytes([signal]) + payload)
        json.append(bytes([signal]) + text)
        if number % 5 == 0:
            lines = b"\n".join([b" ".join(text.splitlines()), b"", b"{}"])
            json.append(bytes([LINES + signal]) + lines)
    as_json = [bytes([seed[0] + JSON]) + seed[1:] for seed in json]
    both = [*protobuf, *as_json]
    chance.shuffle(both)
    sequences = [SEPARATOR.join(both[at : at + 3]) for at in range(0, len(both), 3)]
    packed = [pack(seed[1:]) for seed in both[:100] for pack in PACKS]
    targets = {
        "protobuf": protobuf,
        "json": json,
        "after_garbage": sequences,
        "cost": both,
        "inflate": packed,
    }
    for target, seeds in targets.items():
        (folder / target).mkdir(parents=True, exist_ok=True)
        for number, seed in enumerate(seeds):
            (folder / target / f"seed-{number:03}").write_bytes(seed)
    (folder / "words.dict").write_text(dictionary())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
