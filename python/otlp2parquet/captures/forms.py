"""The forms that a capture can have: the one table of them, and how a file's form is told.

A form is told by the first bytes of a file when all compression is undone. A name decides only
between what bytes leave open. Knows which form is tried before which, and no form's inside.
"""

import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from io import BufferedReader, BytesIO, FileIO
from typing import BinaryIO, Final

from otlp2parquet.captures import foreign
from otlp2parquet.captures.compression import INFLATERS, compression_of
from otlp2parquet.captures.framings import length_prefixed, one_request, text, varint_delimited
from otlp2parquet.captures.input_file import Format, InputFile
from otlp2parquet.captures.problems import Problem
from otlp2parquet.captures.request import Capture, Found
from otlp2parquet.captures.source import BLOCK_BYTES, Source, TornError, blocks_of
from otlp2parquet.captures.text_encoding import BOM, encoding_of, utf_8
from otlp2parquet.durable import reason_of

_LOOKED_AT: Final = 1 << 16
_TEXT_LOOKED_AT: Final = 1 << 12
_MOST_LAYERS: Final = 4
"""Compressions within one another that are undone."""
_FIRST_TAG: Final = 8
"""The first byte of protobuf is a field's tag; below this the field number would be 0, which no
message has. The length of a request of less than 128 MiB begins with such a byte."""
_MANY_NULS: Final = 1024
"""So many zeros stand before text where a rotation truncates; in a stream of protobuf they are the
lengths of empty requests."""
_BLANK: Final = b" \t\r\n\0\x1e"


@dataclass(frozen=True, slots=True)
class Form:
    """One way in which requests follow one another: its name for ``--format``, and its reader."""

    name: Format
    begins: Callable[[bytes], bool]
    """Whether a file that begins with these bytes has this form."""
    read: Callable[[Capture], Found]


FORMS: Final = (
    Form("json", text.begins, text.read),
    Form("protobuf", one_request.begins, one_request.read),
    Form("length-prefixed", length_prefixed.begins, length_prefixed.read),
    Form("varint-delimited", varint_delimited.begins, varint_delimited.read),
)
"""All forms; their recognisers are asked in ``form_of``."""

_BY_NAME: Final = {form.name: form for form in FORMS}


def form_of(head: bytes, file: InputFile) -> Form | None:
    """The form of a file that begins with ``head``; None if it holds nothing, or nothing known."""
    json, one, prefixed, delimited = FORMS
    nuls = len(head) - len(head.lstrip(b"\0"))
    begin = head.removeprefix(BOM).lstrip(_BLANK)
    if not begin:
        # Nothing but blanks. In a stream of protobuf, zeros are the lengths of empty requests.
        is_stream = head and nuls == len(head) <= _MANY_NULS and not file.is_json
        return prefixed if is_stream else json if head or file.is_json else None
    if 0 < nuls < 4 or (0 < nuls <= _MANY_NULS and prefixed.begins(head)):  # noqa: PLR2004 - bytes
        return delimited if not prefixed.begins(head) and delimited.begins(head) else prefixed
    # A new line is also the tag with which a request begins.
    if head[:1] == b"\n" and not json.begins(head):
        return delimited if not one.begins(head) and delimited.begins(head) else one
    if json.begins(head):
        return json
    found = next((form for form in (prefixed, delimited, one) if form.begins(head)), None)
    if found is None and file.is_json:
        return json  # text with odd bytes: its lines tell
    if found is None and len(file.named) == 1:
        return prefixed if head[0] < _FIRST_TAG else one  # the decode says what is wrong
    return found


def read_requests(file: InputFile, max_payload_bytes: int) -> Found:
    """Every request of ``file`` in order, and a ``Problem`` where one cannot be had.

    A request over ``max_payload_bytes`` is a problem and skipped; a torn frame or broken
    compression is a problem and the end of the file. An empty file whose name promises protobuf is
    an empty request; any other is none. What is held in memory is at most four times
    ``max_payload_bytes`` and some blocks, whatever the file holds.
    """
    with ExitStack() as closing:
        try:
            raw = closing.enter_context(_opened(file))
        except (OSError, ValueError) as error:
            reason = reason_of(error) if isinstance(error, OSError) else str(error)
            yield Problem(str(file.path), None, f"cannot be read: {reason}")
            return
        root = Source(blocks_of(raw))
        capture = Capture(file, root, max_payload_bytes, position=lambda: root.offset)
        try:
            yield from _read(capture)
        except TornError as error:
            yield capture.torn(error)


def _read(capture: Capture) -> Found:
    file = capture.file
    head = _undo(capture)
    if name := foreign.file(head):
        yield capture.problem(0, f"is {name}; expected OTLP in JSON or protobuf")
        return
    form = _BY_NAME[file.format] if file.format else form_of(head, file)
    if form is not None:
        yield from form.read(capture)
    elif head:
        yield capture.problem(0, _unknown(head))
    elif capture.told_signal()[0] is not None and not file.is_json:
        yield capture.protobuf(0, b"")


def _undo(capture: Capture) -> bytes:
    """Undo compressions and encodings; the first bytes of what is inside."""
    names: list[str] = []
    while True:
        head = capture.source.peek(_LOOKED_AT)
        if (name := compression_of(head)) and len(names) < _MOST_LAYERS:
            capture.source = Source(INFLATERS[name](capture.source))
        elif (name := encoding_of(head)) and _is_encoded(name, head):
            capture.source = Source(utf_8(capture.source, name))
        else:
            return head
        names.append(name)
        capture.packed = " in ".join(reversed(names))


def _is_encoded(name: str, head: bytes) -> bool:
    """Whether it is text: a length of protobuf may have the bytes of a mark."""
    decoded = head[:_TEXT_LOOKED_AT].decode(name, errors="ignore").lstrip("\ufeff\0")
    return decoded[:1].isascii() and text.begins(decoded.encode("utf-8", "ignore"))


def _unknown(head: bytes) -> str:
    shown = head[:8].hex(" ")
    return (
        f"begins with the bytes {shown}, as neither JSON nor a request in protobuf does; --format "
        "says what it is, if it is one of them"
    )


def passed_over(file: InputFile) -> str | None:
    """Why a file of a folder is not read whose name does not promise OTLP; None if it is one."""
    with ExitStack() as closing:
        raw = closing.enter_context(_opened(file))
        capture = Capture(file, Source(blocks_of(raw)), _LOOKED_AT, position=lambda: 0)
        try:
            head = _undo(capture)
        except TornError:
            return "broken compression"
    if not head.strip(_BLANK):
        return "empty"
    if name := foreign.file(head):
        return name.partition(":")[0].removeprefix("a ").removeprefix("an ")
    form = form_of(head, file)
    if form is None or (form.name != "json" and not form.begins(head)):
        return "other binary content"
    if form.name == "json" and not text.holds_request(head):
        return "text without OTLP"
    return None


def _opened(file: InputFile) -> BinaryIO:
    if file.is_stdin:
        # Not ours to close: what is made here is another file of the same descriptor.
        stdin = sys.stdin.buffer
        try:
            return BufferedReader(FileIO(os.dup(stdin.fileno()), "rb"), BLOCK_BYTES)
        except (OSError, ValueError):  # there is no file behind it
            return BytesIO(stdin.read())
    return BufferedReader(file.path.open("rb", buffering=0), BLOCK_BYTES)
