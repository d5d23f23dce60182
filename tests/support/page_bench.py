"""The page in a browser, watched: what it complains of, what it runs, what it shows.

Knows the page's elements by their ids and classes, and the official classes of OTLP. It must not
know what a test expects of them.
"""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any, Literal, Self

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from playwright.sync_api import Browser, ConsoleMessage, Locator

WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation",
  (event) => window.violations.push(`${event.violatedDirective} ${event.sample}`));
"""

# Patience, no promise: machines are shared, and browsers are slow on them.
expect.set_options(timeout=60_000)

NETWORK = "Failed to load resource"
"""What the browser itself says on its console of a request that did not succeed."""


class Look:
    """Somebody looks at the page. At the end nothing may have been complained of."""

    def __init__(
        self,
        browser: Browser,
        url: str,
        *,
        size: tuple[int, int] = (1280, 800),
        scheme: Literal["light", "dark"] = "light",
        may_fail_to_load: bool = False,
    ) -> None:
        self._context = browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme=scheme,
            timezone_id="Europe/Berlin",
            locale="en-US",
        )
        self._may_fail = may_fail_to_load
        self.complaints: list[str] = []
        self._context.set_default_timeout(60_000)
        self.page = self._context.new_page()
        self.page.add_init_script(WATCH)
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        self.page.on("dialog", lambda dialog: self.complaints.append(f"dialog: {dialog.message}"))
        self.page.goto(url)

    def _on_console(self, message: ConsoleMessage) -> None:
        is_network = message.text.startswith(NETWORK)
        if message.type in ("error", "warning") and not (is_network and self._may_fail):
            self.complaints.append(f"{message.type}: {message.text}")

    @property
    def violations(self) -> list[str]:
        """What the policy has forbidden."""
        found: list[str] = self.page.evaluate("window.violations")
        return found

    def __enter__(self) -> Self:
        """Once it is connected."""
        if not self._may_fail:
            self.wait_live()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        """Nothing may have been complained of."""
        troubles = [*self.complaints, *self.violations]
        self._context.close()
        if kind is None:
            assert troubles == []

    def wait_live(self) -> None:
        """Return when it says that it is connected."""
        expect(self.page.locator("#status-text")).to_contain_text("Live")

    def go(self, where: str) -> None:
        """Show a view."""
        self.page.evaluate("where => { location.hash = where; }", where)

    def filter(self, text: str) -> None:
        """Filter by a text."""
        self.page.fill("#text", text)

    def rows(self, kind: str = "log") -> Locator:
        """The rows of a list that are in sight."""
        return self.page.locator(f".{kind}.row:visible")

    def texts(self, selector: str) -> list[str]:
        """The texts of the elements that are in sight, from the top to the bottom."""
        found: list[str] = self.page.evaluate(
            """selector => [...document.querySelectorAll(selector)]
              .filter((node) => node.checkVisibility())
              .map((node) => [node.getBoundingClientRect().top, node.textContent])
              .sort((one, other) => one[0] - other[0])
              .map(([, text]) => text)""",
            selector,
        )
        return found

    def box(self, selector: str) -> tuple[float, float]:
        """Where an element begins, and how wide it is, in pixels."""
        found = self.page.locator(selector).first.bounding_box()
        assert found is not None
        return found["x"], found["width"]

    def facts(self) -> dict[str, str]:
        """What the panel says, by name; of several with one name the first."""
        found: list[tuple[str, str]] = self.page.evaluate(
            """() => [...document.querySelectorAll("#panel-content .facts > div")]
              .map((row) => [row.children[0].textContent, row.children[1].textContent])"""
        )
        return dict(reversed(found))

    @property
    def overflow(self) -> int:
        """By how many pixels the page is wider than the screen."""
        wider: int = self.page.evaluate(
            "Math.max(document.documentElement.scrollWidth, document.body.scrollWidth) - innerWidth"
        )
        return wider


def set_attributes(where: Any, values: Mapping[str, str | int]) -> None:
    """Attributes of a protobuf message."""
    for key, value in values.items():
        pair = where.add(key=key)
        if isinstance(value, int):
            pair.value.int_value = value
        else:
            pair.value.string_value = value


def logs_of(
    service: str,
    bodies: Iterable[str],
    *,
    severity: int = 9,
    trace_id: bytes = b"",
    attributes: Mapping[str, str | int] | None = None,
) -> bytes:
    """An export of log records of one service, now."""
    request = ExportLogsServiceRequest()
    resource_logs = request.resource_logs.add()
    set_attributes(resource_logs.resource.attributes, {"service.name": service})
    records = resource_logs.scope_logs.add().log_records
    now = time.time_ns()
    for number, body in enumerate(bodies):
        record = records.add(
            time_unix_nano=now + number,
            severity_number=severity,
            trace_id=trace_id,
        )
        record.body.string_value = body
        set_attributes(record.attributes, attributes or {})
    return bytes(request.SerializeToString())


def trace_of(
    service: str,
    spans: Sequence[tuple[str, int, int, int]],
    *,
    trace_id: bytes | None = None,
) -> tuple[bytes, bytes]:
    """The id of a trace, and its export.

    A span is a name, the number of its parent (or -1), and where it begins and ends, in ms.
    """
    trace_id = trace_id or secrets.token_bytes(16)
    request = ExportTraceServiceRequest()
    resource_spans = request.resource_spans.add()
    set_attributes(resource_spans.resource.attributes, {"service.name": service})
    into = resource_spans.scope_spans.add().spans
    began = time.time_ns()
    for number, (name, parent, start, end) in enumerate(spans):
        into.add(
            trace_id=trace_id,
            span_id=(number + 1).to_bytes(8, "big"),
            parent_span_id=(parent + 1).to_bytes(8, "big") if parent >= 0 else b"",
            name=name,
            start_time_unix_nano=began + start * 1_000_000,
            end_time_unix_nano=began + end * 1_000_000,
        )
    return trace_id, bytes(request.SerializeToString())
