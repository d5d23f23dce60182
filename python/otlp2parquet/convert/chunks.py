"""Requests packed into chunks: what one thread decodes and writes as one batch.

The cut depends on the requests alone, never on the machine, so that the files and the order
of their rows are the same whatever the number of cores. Knows no decode and no writer.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from otlp2parquet.batches.identity import ContentHash
from otlp2parquet.convert.frames import Frame, read_frames
from otlp2parquet.convert.inputs import InputFile
from otlp2parquet.convert.problems import Problem

CHUNK_BYTES: Final = 64 << 20
CHUNK_FRAMES: Final = 50_000  # so that a flood of tiny requests is bounded in memory too


@dataclass(slots=True)
class Chunk:
    """Some requests in a row, problems met between them, and what identifies them.

    ``content`` is the state of the ``ContentHash`` at the chunk's end. ``read_bytes`` counts
    bytes of files (compressed), for the progress; ``payload_bytes`` those of the requests.
    """

    items: list[Frame | Problem | None] = field(default_factory=list)
    payload_bytes: int = 0
    read_bytes: int = 0
    content: bytes = b""


def read_chunks(
    files: Sequence[InputFile],
    content: ContentHash,
    *,
    max_payload_bytes: int,
    chunk_bytes: int = CHUNK_BYTES,
) -> Iterator[Chunk]:
    """All requests of ``files`` in order, at most ``chunk_bytes`` (or one request) a chunk."""
    chunk = Chunk()
    for file in files:
        position = 0
        for item in read_frames(file, max_payload_bytes):
            size = len(item.payload) if isinstance(item, Frame) else 0
            full = chunk.payload_bytes + size > chunk_bytes and chunk.payload_bytes > 0
            if full or len(chunk.items) >= CHUNK_FRAMES:
                chunk.content = content.digest()
                yield chunk
                chunk = Chunk()
            chunk.items.append(item)
            if isinstance(item, Frame):
                chunk.payload_bytes += size
                chunk.read_bytes += item.position - position
                position = item.position
                content.add(item.file.signal or "json", item.payload)
        chunk.read_bytes += max(file.size - position, 0)
    if chunk.items:
        chunk.content = content.digest()
        yield chunk
