"""UTF-16 and UTF-32, which some systems write by themselves, as UTF-8.

PowerShell's ``>`` writes UTF-16 with a byte order mark. Knows encodings and no JSON. Offsets behind
this are those of the text in UTF-8.
"""

import codecs
from collections.abc import Iterator
from typing import Final

from otlp2parquet.captures.source import Source, TornError

BOM: Final = codecs.BOM_UTF8

_WITH_MARK: Final = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Without a mark: the first character of JSON, before or behind a zero.
_WITHOUT_MARK: Final = (
    (b"{\0\0\0", "utf-32-le"),
    (b"[\0\0\0", "utf-32-le"),
    (b"{\0", "utf-16-le"),
    (b"[\0", "utf-16-le"),
    (b"\0{\0", "utf-16-be"),
    (b"\0[\0", "utf-16-be"),
)


def encoding_of(head: bytes) -> str | None:
    """The encoding of text that begins with ``head`` where it is not UTF-8."""
    for mark, encoding in (*_WITH_MARK, *_WITHOUT_MARK):
        if head.startswith(mark):
            return encoding
    return None


def utf_8(source: Source, encoding: str) -> Iterator[bytes]:
    """The text of ``source`` in UTF-8; ``TornError`` where it is none."""
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        while block := source.some():
            if text := decoder.decode(block):
                yield text.encode()
        decoder.decode(b"", final=True)
    except UnicodeError as error:
        raise TornError(f"it is not all {encoding.upper()}: {error}") from error
