"""Resources and scopes: read and rendered once, repeated by every record below them."""

from typing import Any, Final

from otlp2parquet.core.pure.error import Reject, RejectError
from otlp2parquet.core.pure.reading import Attributes, Reading
from otlp2parquet.core.pure.request import Request
from otlp2parquet.core.pure.text import utf8_bytes
from otlp2parquet.core.pure.value import render_attributes
from otlp2parquet.core.pure.wire import Span

RESOURCE: Final = Reading("Resource", "attributes dropped_attributes_count entity_refs")
SCOPE: Final = Reading("Scope", "name version attributes dropped_attributes_count")

SERVICE_KEYS: Final = (b"service.name", b"service.namespace", b"service.instance.id")

KEYS_BYTES: Final = 56
"""What values take where they are stored, beside their text."""


class Owner:
    """A resource or scope: its columns' values in the order of the tables."""

    def __init__(self, request: Request) -> None:
        request.stamp += 1
        self.stamp = request.stamp
        """Names these values among all that a builder has read."""
        self.values: tuple[Any, ...] = ()
        self.text_bytes = 0
        """What the values take in a row."""
        self.reject: Reject | None = None
        """Why the records below are rejected."""

    def hold(self, values: tuple[Any, ...]) -> None:
        """Take the values: texts that are empty are null, but those of attributes are not."""
        self.values = values
        self.text_bytes = sum(utf8_bytes(value) for value in values if isinstance(value, str))

    def render(self, request: Request, parts: list[Span], attributes: Attributes) -> str:
        """Render the attributes; what does not fit is the reason to reject the records."""
        try:
            return render_attributes(request, parts[-1][0] if parts else 0, attributes)
        except RejectError as error:
            self.reject = error.reject
            # Not rendered to the end, so not read to the end.
            request.is_doubtful = True
            return ""


def read_resource(request: Request, parts: list[Span], schema_url: Any) -> Owner:
    """The values from ServiceName to ResourceSchemaUrl."""
    owner = Owner(request)
    attributes, dropped, _ = request.read(RESOURCE, parts)
    url = request.text(schema_url)
    text = owner.render(request, parts, attributes)
    names = [""] * 3 if owner.reject else _read_service(request, attributes.spans)
    owner.hold((*(name or None for name in names), text, dropped, url or None))
    return owner


def read_scope(request: Request, parts: list[Span], schema_url: Any) -> Owner:
    """The values from ScopeName to ScopeSchemaUrl."""
    owner = Owner(request)
    name, version, attributes, dropped = request.read(SCOPE, parts)
    texts = [request.text(raw) or None for raw in (name, version, schema_url)]
    text = owner.render(request, parts, attributes)
    owner.hold((texts[0], texts[1], text, dropped, texts[2]))
    return owner


def _read_service(request: Request, attributes: list[Span]) -> list[str]:
    """The service: "the first resource attribute with the key, null when not a string"."""
    notes = request.notes()
    names: list[str | None] = [None] * 3
    for at, stop in attributes:
        key, value = request.read_key_value(at, stop)
        if key not in SERVICE_KEYS:
            continue
        which = SERVICE_KEYS.index(key)
        if names[which] is None:
            kind, content = request.read_any_value(value)
            names[which] = request.text(content) if kind == "string" else ""
    # A second reading of the same attributes: what it met has been counted.
    request.take_back(notes)
    return [name or "" for name in names]
