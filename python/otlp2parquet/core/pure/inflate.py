"""Content encodings undone, with a hard bound on the output.

A body must be whole streams of its encoding from the first byte to the last; it is never half read.
Knows neither OTLP nor tables.
"""

import zlib
from typing import Final

from otlp2parquet.errors import DecodeError, TooLargeError, UnsupportedError

IDENTITY: Final = "identity"
_NAMES: Final = {
    "gzip": "gzip",
    # RFC 9110, 8.4.1.3: x-gzip is "equivalent to gzip".
    "x-gzip": "gzip",
    # The coding deflate is the zlib format, and some call it by that name.
    "deflate": "deflate",
    "zlib": "deflate",
    "zstd": "zstd",
}


def encoding_of(value: str | None) -> str:
    """The coding of a Content-Encoding header's value: a list in which identity is nothing."""
    name = (value or "").strip()
    codings = [lower_ascii(coding.strip()) for coding in name.split(",")]
    codings = [coding for coding in codings if coding not in ("", IDENTITY, "none")]
    if not codings:
        return IDENTITY
    if len(codings) > 1 or codings[0] not in _NAMES:
        raise UnsupportedError(
            f"found content encoding {in_quotes(lower_ascii(name[:64]))}, expected gzip, zstd, "
            "deflate or identity"
        )
    return _NAMES[codings[0]]


def lower_ascii(text: str) -> str:
    """The letters of ASCII in lower case, and no others."""
    return text.encode("utf-8", "surrogatepass").lower().decode("utf-8", "surrogatepass")


def in_quotes(text: str) -> str:
    """A short argument for a message, in double quotes, one line whatever it holds."""
    escapes = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\0": "\\0"}
    shown = (escapes.get(c) or (c if c.isprintable() else f"\\u{{{ord(c):x}}}") for c in text)
    return f'"{"".join(shown)}"'


def inflate(payload: bytes, encoding: str, limit: int) -> bytes:
    """The payload without its content encoding: at most ``limit`` bytes, whatever it claims."""
    # "A 0-byte body is empty whatever its Content-Encoding".
    if not payload or encoding == IDENTITY:
        return payload
    if encoding == "zstd":
        raise UnsupportedError(
            'found content encoding "zstd", which the decoder in plain Python does not read, '
            "expected gzip, deflate or identity"
        )
    return _gunzip(payload, limit) if encoding == "gzip" else _unzlib(payload, limit)


def inflates_within(payload: bytes, content_encoding: str | None, limit: int) -> bool:
    """Whether a body can be inflated to at most ``limit`` bytes; as ``otlp2parquet.core`` says."""
    encoding = encoding_of(content_encoding)
    try:
        return len(inflate(payload, encoding, limit)) <= limit
    except (DecodeError, TooLargeError, UnsupportedError):
        return False


def _too_large(limit: int) -> TooLargeError:
    return TooLargeError(
        f"found a payload that inflates to more than {limit} bytes, expected at most that"
    )


def _stream(payload: bytes, at: int, wbits: int, limit: int) -> tuple[bytes, int] | None:
    """The content of one stream, and where it ends; None if it is broken or cut short.

    Of more than ``limit`` bytes of content one byte too many is given. What is read at once grows
    with the stream, because what stands behind it is copied: a body may be a million streams.
    """
    stream = zlib.decompressobj(wbits)
    parts, size, step, view = [], 0, 512, memoryview(payload)
    while not stream.eof:
        if at == len(payload):
            return None
        piece = view[at : at + step]
        try:
            part = stream.decompress(piece, limit - size + 1)
        except zlib.error:
            return None
        at += len(piece)
        step = min(2 * step, 1 << 20)
        parts.append(part)
        size += len(part)
        if size > limit:
            break
    return parts[0] if len(parts) == 1 else b"".join(parts), at - len(stream.unused_data)


def _gunzip(payload: bytes, limit: int) -> bytes:
    """Gzip members one after another (RFC 1952, 2.2)."""
    members, size, at = [], 0, 0
    while at < len(payload):
        read = _stream(payload, at, 31, limit - size)
        if read is None:
            raise DecodeError(
                f"found a gzip body that cannot be inflated (the member at byte {at} is not gzip, "
                "is cut short or does not match its checksum), expected whole gzip members and "
                "nothing else"
            )
        member, at = read
        size += len(member)
        if size > limit:
            raise _too_large(limit)
        if member:
            members.append(member)
    return members[0] if len(members) == 1 else b"".join(members)


def _unzlib(payload: bytes, limit: int) -> bytes:
    """One zlib stream: RFC 9110, 8.4.1.2."""
    read = _stream(payload, 0, 15, limit)
    if read is None:
        raise DecodeError(
            "found a deflate body that cannot be inflated (it is not zlib, is cut short or does "
            "not match its checksum), expected one whole zlib stream"
        )
    content, at = read
    if len(content) > limit:
        raise _too_large(limit)
    if at < len(payload):
        raise DecodeError(
            f"found {len(payload) - at} bytes behind the zlib stream of a deflate body, "
            "expected none"
        )
    return content
