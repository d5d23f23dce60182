"""Edits of JSON texts by their tokens: what is nearly right, where a decoder may take it for right.

Beside ``strategies_json``, whose texts are spelled by somebody who knows OTLP. Here values are put
where others belong, members given twice under both names, brackets added and left out, and numbers
spelled as some library would take them and JSON or OTLP does not. Knows JSON's tokens and no
message.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from tests.support.strategies import Tape, tapes
from tests.support.strategies_json import plain_texts

if TYPE_CHECKING:
    from otlp2parquet import Signal

_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{},:]|[^\s\[\]{},:"]+|\s+')

NUMBERS = (
    "0", "-0", "-0.0", "0.0", "1", "-1", "1.0", "1e5", "1E+05", "1e-0", "1.5", "01", "+1", "1.",
    "-.5", ".5", "1e", "1e+", "0e0", "-0e0", "0E-99999999999999999999", "1e99999999999999999999",
    "1.7976931348623157e308", "1.7976931348623159e308", "1e309", "5e-324", "2e-324", "1e-400",
    "2.4703282292062328e-324", "9007199254740993", "9007199254740993.0", "0.30000000000000004",
    "9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809",
    "18446744073709551615", "18446744073709551616", "99999999999999999999", "4294967295",
    "4294967296", "2147483647", "2147483648", "-2147483648", "-2147483649",
    "922337203685477580.7e1", "0.00018446744073709551615e23", "18446744073709551615000e-3",
    "1_000", "1 000", " 5 ", "5 ", "\\u0035", "0x10", "1e1_0", "NaN", "Infinity", "-Infinity",
    "nan", "inf", "+Infinity", "\\t1", "\u0663", "\uff11", "1\\u0000", "25e-1", "1e16", "1e-5",
    "1" * 400, "1" * 4301, f"0.{'0' * 400}1",
)  # fmt: skip
"""Bare and in quotes: JSON's, and those that Python, JavaScript or C take."""
TEXTS = (
    "", "\\u0000", "\\ud800", "\\ude00\\ud83d", "\\ud83d\\ude00", "\ufeff", "\uffff", "\ufffd",
    "\U0010ffff", "\\/", "\\'", "\\x41", "\\u12", "\\U0041", "\\u+041", "\\u 041", "\n", "\x7f",
    "\x85", "a" * 100, "a" * 101, "a" * 117, "a" * 127, "a" * 128, "a" * 16_384, "\u00e9" * 64,
    "SPAN_KIND_SERVER", "span_kind_server", "SPAN_KIND_SERVER ", "STATUS_CODE_ERROR",
    "SEVERITY_NUMBER_\\u0049NFO", "AGGREGATION_TEMPORALITY_DELTA", "AAAA", "AA==", "AA=", "A",
    "====", "AA==AA==", "A A A A", "AAAA\\n", "-_+/", "AR==", "AAAA=", "AAA\\u003d", "\u00e9===",
    "0af7651916cd43dd8448eb211c80319c", "0AF7651916CD43DD 8448EB211C80319C", "0a f7", " 0af7651",
    "0x0af7651916cd43", "0" * 32, "0" * 16, "AQIDBAUGBwg=", "AQIDBAUGBwg", "\u0661" * 16,
    "service.name",
)  # fmt: skip
WORDS = (
    "true", "false", "null", "True", "nul", "undefined", "{}", "[]", "[[]]", "[{}]", '{"":1}',
    "[null]", '{"key":null}', '{"values":[]}', '{"values":{}}', '[{"key":"a"}]',
    '[{"key":"a","value":null}]', '[{"value":{"intValue":1},"key":"z"}]',
    '[{"key":"a","value":{"x":1}}]', '{"x":null}', '{"intValue":1,"stringValue":"x"}',
    '{"intValue":true}', '{"stringValueStrindex":3}', '[["key","a"],["value",null]]',
)  # fmt: skip
SPACES = (" ", "\n", "\t", "\r\n", "\f", "\v", "\u00a0", "\ufeff", "/**/", "\0")


def _value(tape: Tape) -> str:
    way = tape.below(7)
    if way < 2:
        return tape.pick(NUMBERS)
    if way < 4:
        return f'"{tape.pick(NUMBERS)}"'
    return f'"{tape.pick(TEXTS)}"' if way < 6 else tape.pick(WORDS)


def _snake(key: str) -> str:
    return re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", key)


def _end_of(tokens: list[str], at: int) -> int:
    """Where the value that begins at a token ends."""
    depth = 0
    for end in range(at, len(tokens)):
        depth += (tokens[end] in "[{") - (tokens[end] in "]}")
        if depth <= 0:
            return end + 1
    return len(tokens)


def _edit(tokens: list[str], tape: Tape) -> None:
    keys = [at for at in range(len(tokens) - 2) if tokens[at + 1] == ":"]
    are_keys = set(keys)
    values = [
        at
        for at, one in enumerate(tokens)
        if one.strip() and one not in ",:]}" and at not in are_keys
    ]
    if not values:
        return
    at = values[tape.below(len(values))]
    end = _end_of(tokens, at)
    way = tape.below(10)
    if way < 3:
        scalars = [one for one in values if tokens[one] not in "[{"] or values
        at = scalars[tape.below(len(scalars))]
        tokens[at : _end_of(tokens, at)] = [_value(tape)]
    elif way == 3:
        other = values[tape.below(len(values))]
        tokens[at:end] = tokens[other : _end_of(tokens, other)]
    elif way == 4:
        tokens[at:end] = ["[", *tokens[at:end], "]"]
    elif way == 5:
        tokens.insert(tape.below(len(tokens) + 1), tape.pick((*SPACES, ",", "]", "}", "[", ":")))
    elif way == 6:
        del tokens[tape.below(len(tokens))]
    elif keys:
        at = keys[tape.below(len(keys))]
        key, end = tokens[at], _end_of(tokens, at + 2)
        renamed = tape.pick((_snake(key), key, f'"\\u{ord(key[1:2] or "a"):04x}{key[2:]}'))
        if way == 7:
            tokens[at] = tape.pick((renamed, tokens[keys[tape.below(len(keys))]]))
        else:
            again = tape.pick((tokens[at + 2 : end], ["null"], [_value(tape)]))
            member = [renamed, ":", *again]
            tokens[at:at] = [*member, ","] if way == 8 else []
            tokens[end:end] = [",", *member] if way == 9 else []


def edited(tape: Tape, text: bytes) -> bytes:
    """A text with a few edits; most are JSON yet."""
    tokens = _TOKEN.findall(text.decode())
    for _ in range(1 + tape.below(4)):
        if len(tokens) > 2:
            _edit(tokens, tape)
    return "".join(tokens).encode("utf-8", "surrogatepass")


@st.composite
def edited_texts(draw: st.DrawFn) -> tuple[Signal, bytes]:
    """(signal, text): nearly right."""
    signal, text = draw(plain_texts)
    return signal, edited(draw(tapes(40)), text)
