"""The way from a request down to its records, the same for all signals.

Knows what Resource… and Scope… messages of all signals share. Must not know records.
"""

from collections.abc import Callable

from otlp2parquet.core.pure.otlp_json.plain_text import PlainRequest
from otlp2parquet.core.pure.owner import Owner, read_resource, read_scope
from otlp2parquet.core.pure.request import Request
from otlp2parquet.core.pure.wire import Span, read_len, read_tag

_LIBRARIES = 1000 << 3 | 2
"""The tag of the list of scopes of before 2022."""

ReadScope = Callable[[Request, Owner, Owner, int, int], None]


class Beside:
    """The fields of a Resource… or Scope… message that stand beside its list.

    "Field order is free (a scope may come after its records)": one walk over the field headers
    finds what stands beside the entries, a second one reads those.
    """

    def __init__(self, request: Request, at: int, stop: int, libraries: int = 0) -> None:
        data = request.data
        self.owner: list[Span] = []
        """The resource or the scope."""
        self.schema_url = b""
        self.has_libraries = False
        entries = 0
        while at < stop:
            tag = data[at]
            if tag == 0x12 and at + 1 < stop and data[at + 1] < 0x80:
                end = at + 2 + data[at + 1]
                if end <= stop:
                    at = end
                    entries += 1
                    continue
            tag, at = read_tag(data, at, stop)
            if tag == 0x12:
                at = read_len(data, at, stop)[1]
                entries += 1
            elif tag == 0x0A:
                start, at = read_len(data, at, stop)
                if self.owner:
                    request.count_part()
                self.owner.append((start, at))
            elif tag == 0x1A:
                start, at = read_len(data, at, stop)
                self.schema_url = data[start:at]
            elif tag == libraries:
                at = read_len(data, at, stop)[1]
                entries += 1
                self.has_libraries = True
            else:
                at = request.skip_unknown(tag, at, stop)
        request.without_records += entries == 0


def walk(request: Request, read: ReadScope) -> None:
    """Walk down to the Scope… messages; ``read`` is given those, their resource and scope."""
    if isinstance(request, PlainRequest):
        request.walk(read)
        return
    data = request.data
    at, stop = 0, len(data)
    # The unknown fields of the request itself, which nobody else counts.
    while at < stop:
        tag, at = read_tag(data, at, stop)
        at = read_len(data, at, stop)[1] if tag == 0x0A else request.skip_unknown(tag, at, stop)
    for start, end in request.entries(0, stop, 0x0A):
        before = (request.rows, request.replaced)
        beside = Beside(request, start, end, _LIBRARIES)
        resource = read_resource(request, beside.owner, beside.schema_url)
        for wanted in (0x12, _LIBRARIES) if beside.has_libraries else (0x12,):
            for scope_start, scope_end in request.entries(start, end, wanted):
                within = (request.rows, request.replaced)
                scoped = Beside(request, scope_start, scope_end)
                scope = read_scope(request, scoped.owner, scoped.schema_url)
                read(request, resource, scope, scope_start, scope_end)
                forget_unstored_text(request, within)
        forget_unstored_text(request, before)


def forget_unstored_text(request: Request, before: tuple[int, int]) -> None:
    """Text that was mended in a resource, scope or metric without a row changed nothing."""
    rows, replaced = before
    if request.rows == rows:
        request.replaced = replaced
