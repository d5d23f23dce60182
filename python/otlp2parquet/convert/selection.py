"""Which requests are new, and in which chunks they are converted.

Each request is named in the order of the input, then it is one of three: converted before, part of
a batch that an earlier run began and did not finish, or new. New ones are packed into chunks; the
cut depends on the requests alone, never on the machine, so that the files and the order of their
rows are the same whatever the number of cores. A batch that was begun is put together again in its
own order, wherever its requests lie now. Knows no decode and no writer.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from otlp2parquet.captures import InputFile, Problem, Request, read_requests
from otlp2parquet.convert.journal import ConversionPlan, Journal
from otlp2parquet.convert.naming import Name, Occurrences, digest, name_of, unmarked

CHUNK_BYTES: Final = 64 << 20
CHUNK_ITEMS: Final = 50_000  # so that a flood of tiny requests is bounded in memory too
_TOLD_EVERY: Final = 16 << 20  # bytes of files that bring nothing new


@dataclass(slots=True)
class Chunk:
    """Some requests in a row, and problems met between them.

    ``names`` has for each item the name of the new request, or ``None``: for a problem, and for a
    request that was converted before and is looked at again for what is to be told of it.
    ``plan`` is the batch that the chunk completes, if it does. ``read_bytes`` counts bytes of files
    (compressed), for the progress; ``payload_bytes`` those of the requests.
    """

    items: list[Request | Problem | None] = field(default_factory=list)
    names: list[Name | None] = field(default_factory=list)
    also: list[Name | None] = field(default_factory=list)
    """Further names, as ``names``; empty if there are none."""
    plan: ConversionPlan | None = None
    converted_before: int = 0
    payload_bytes: int = 0
    read_bytes: int = 0

    def add(self, item: Request | Problem, name: Name | None, also: Name | None = None) -> None:
        """Append a problem or a request."""
        self.items.append(item)
        self.names.append(name)
        if also is not None or self.also:
            self.also += [None] * (len(self.items) - len(self.also) - 1)
            self.also.append(also)


def read_chunks(
    files: Sequence[InputFile],
    journal: Journal,
    *,
    max_payload_bytes: int,
    chunk_bytes: int = CHUNK_BYTES,
) -> Iterator[Chunk]:
    """All that is to be done for ``files``, at most ``chunk_bytes`` (or one request) a chunk."""
    selection = _Selection(journal, chunk_bytes)
    for file in files:
        position = 0
        for item in read_requests(file, max_payload_bytes):
            if isinstance(item, Request):
                chunk = selection.request(item, item.position - position)
                position = item.position
            else:
                chunk = selection.problem(item)
            if chunk is not None:
                yield chunk
        selection.passed.read_bytes += max(file.size - position, 0)
    yield from selection.rest()


class _Selection:
    """The state of the packing; ``passed`` counts what brings nothing new."""

    def __init__(self, journal: Journal, chunk_bytes: int) -> None:
        self._journal = journal
        self._chunk_bytes = chunk_bytes
        self._chunk = Chunk()
        self.passed = Chunk()
        self._occurrences = Occurrences()
        self._begun = [_Begun(plan) for plan in journal.unfinished]
        self._places = {
            unmarked(name): (begun, place)
            for begun in self._begun
            for place, name in enumerate(begun.plan.names)
        }
        self._conversions = {plan.again for plan in journal.unfinished} | {journal.again}
        self._again = journal.again
        self._knows_any = not journal.is_empty

    def problem(self, problem: Problem) -> Chunk | None:
        """Take in what is wrong; the chunk that is full now, if one is."""
        full = self._full() if len(self._chunk.items) >= CHUNK_ITEMS else None
        self._chunk.add(problem, None)
        return full

    def request(self, request: Request, read_bytes: int) -> Chunk | None:
        """Take in a request; the chunk that is complete now, if one is."""
        content = digest(request)
        occurrence = self._occurrences.count(content)
        if self._places and (found := self._begun_with(content, occurrence)) is not None:
            begun, place = found
            self.passed.read_bytes += read_bytes
            begun.requests[place] = request
            if not begun.is_complete:
                return None
            self._begun.remove(begun)
            return begun.chunk()
        name = name_of(content, occurrence, self._again)
        mark = self._journal.mark_of(name) if self._knows_any else None
        if mark is None:
            also = name_of(content, occurrence) if self._again else None
            full = self._pack(request, name, also)
            self._chunk.read_bytes += read_bytes
            return full
        passed = self.passed
        passed.converted_before += 1
        passed.read_bytes += read_bytes
        if mark:
            return self._pack(request, None)
        return self._passed() if passed.read_bytes >= _TOLD_EVERY else None

    def rest(self) -> Iterator[Chunk]:
        """What is left when the inputs are at their end."""
        for begun in self._begun:
            plan = begun.plan
            there = self._journal.files_there(plan)
            if there or plan.again != self._again:
                full = self.problem(begun.told(self._journal.root, there))
                if full is not None:
                    yield full
                continue
            # Nothing of it was written: what is here of its requests is new.
            self._journal.forget(plan)
            for place, request in sorted(begun.requests.items()):
                full = self._pack(request, *begun.names(place))
                if full is not None:
                    yield full
        if self._chunk.items:
            yield self._full()
        yield self._passed()

    def _begun_with(self, content: bytes, occurrence: int) -> "tuple[_Begun, int] | None":
        """The unfinished batch that a request belongs to, and its place there."""
        for again in self._conversions:
            found = self._places.pop(name_of(content, occurrence, again), None)
            if found is not None:
                return found
        return None

    def _pack(self, request: Request, name: Name | None, also: Name | None = None) -> Chunk | None:
        chunk, size = self._chunk, len(request.payload)
        full = None
        too_large = 0 < chunk.payload_bytes > self._chunk_bytes - size
        if too_large or len(chunk.items) >= CHUNK_ITEMS:
            full = self._full()
            chunk = self._chunk
        chunk.payload_bytes += size
        if also is None and not chunk.also:
            chunk.items.append(request)
            chunk.names.append(name)
        else:
            chunk.add(request, name, also)
        return full

    def _full(self) -> Chunk:
        full, self._chunk = self._chunk, Chunk()
        return full

    def _passed(self) -> Chunk:
        passed, self.passed = self.passed, Chunk()
        return passed


class _Begun:
    """A batch that an earlier run did not finish, and what of its requests was found."""

    def __init__(self, plan: ConversionPlan) -> None:
        self.plan = plan
        self.requests: dict[int, Request] = {}

    @property
    def is_complete(self) -> bool:
        return len(self.requests) == len(self.plan.names)

    def chunk(self) -> Chunk:
        """All of its requests, in its order."""
        chunk = Chunk(plan=self.plan)
        for place in range(len(self.plan.names)):
            chunk.add(self.requests[place], *self.names(place))
            chunk.payload_bytes += len(self.requests[place].payload)
        return chunk

    def names(self, place: int) -> tuple[Name, Name | None]:
        """The names of one of its requests."""
        plan = self.plan
        return unmarked(plan.names[place]), unmarked(plan.also[place]) if plan.also else None

    def told(self, root: str, there: int) -> Problem:
        """What is said of a batch that cannot be completed."""
        missing = len(self.plan.names) - len(self.requests)
        reason = (
            f"an earlier conversion was cut off when {there} of {len(self.plan.files)} files of a "
            f"batch were written, and {missing} of its {len(self.plan.names)} requests are not in "
            "these inputs: left as it is; all of its inputs again complete it"
        )
        return Problem(f"{root}/{self.plan.path}", None, reason, left_out=bool(self.requests))
