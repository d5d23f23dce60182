"""Whose request a JSON document is, by the keys at its top; and whether it is all there.

For captures, which nobody labels. A request that is received names its signal in its path.
"""

from typing import Final, Literal

from otlp2parquet.core.pure.otlp_json.fault import JsonMalformedError
from otlp2parquet.core.pure.otlp_json.reader import COMMA, END_OBJECT, OBJECT, QUOTE, Reader
from otlp2parquet.core.signals import Signal

_SIGNALS: Final[dict[bytes, Signal]] = {
    b"resourceLogs": "logs",
    b"resource_logs": "logs",
    b"resourceSpans": "traces",
    b"resource_spans": "traces",
    b"resourceMetrics": "metrics",
    b"resource_metrics": "metrics",
}


def recognize_json(text: bytes) -> tuple[Literal["whole", "cut", "broken"], list[Signal]]:
    """How ``text`` ends, and the signals whose resources the object at its top holds."""
    signals: list[Signal] = []
    try:
        _read_keys(Reader(text), signals)
    except JsonMalformedError as error:
        # White space at the end belongs to no token.
        is_cut = error.finding.at >= len(text.rstrip(b" \t\n\r\f"))
        return ("cut" if is_cut else "broken"), signals
    return "whole", signals


def _read_keys(reader: Reader, signals: list[Signal]) -> None:
    if not reader.take(OBJECT):
        reader.skip_value()
    elif not reader.take(END_OBJECT):
        while True:
            if reader.peek() != QUOTE:
                raise reader.unexpected("a key in quotes")
            key = reader.read_string()
            reader.read_colon()
            signal = _SIGNALS.get(key)
            if signal is not None and signal not in signals:
                signals.append(signal)
            reader.skip_value()
            if reader.take(END_OBJECT):
                break
            if not reader.take(COMMA):
                raise reader.unexpected("a comma or a closing brace")
    reader.peek()
    if reader.at < reader.end:
        raise reader.unexpected("the end of the text")
