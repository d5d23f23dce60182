"""The page in Chromium, with the real server, the SDK sending, and senders that mean ill."""

from __future__ import annotations

import re
import time
import urllib.request
from typing import TYPE_CHECKING

import pytest
from opentelemetry._logs import SeverityNumber
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import StatusCode, format_trace_id
from playwright.sync_api import expect

from tests.components.chromium import chromium
from tests.components.sdk import Sent, send_logs, send_metrics, send_spans
from tests.components.sdk_rows import expected_tables
from tests.support.page_bench import Look, logs_of, trace_of
from tests.support.server_process import Server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

PAGE = {"OTLP2PARQUET_SERVER_PAGE": "true"}
TALL = (1280, 2600)
"""A screen on which every row of a test is in sight."""
PHONE = (390, 844)
KEPT = 5000
"""Log records that the page keeps."""

HOSTILE = {
    "<img src=x onerror=alert(1)>": None,
    "</script><script>alert(2)</script>": None,
    "<!--<script>": None,
    "\x1b[31mred\x1b[0m\x07": "\u241b[31mred\u241b[0m\u2407",
    "abc\u202etxt.exe\u2066": "abc\u27e8U+202E\u27e9txt.exe\u27e8U+2066\u27e9",
    "null \x00 and C1 \x9b": "null \u2400 and C1 \u27e8U+009B\u27e9",
    "first\nsecond\r\nthird": "first \u21b5 second \u21b5 third",
    "👩‍👩‍👧‍👦 🏳️‍🌈 ☕ é": None,
    "${alert(3)} {{7*7}} javascript:alert(4)": None,
    "event: rows\ndata: {}": "event: rows \u21b5 data: {}",
    "' \" & &amp; &lt;b&gt; %3Cb%3E": None,
}
"""Texts of senders, and how they are shown; None: as they are."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all tests; each has a profile of its own in it."""
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the page. What one test sends others may see: they ask for their own."""
    with Server(tmp_path_factory.mktemp("page"), settings=PAGE) as running:
        yield running


def url_of(server: Server) -> str:
    """Where the page is."""
    return f"http://{server.host}:{server.port}/"


def send(server: Server, payload: bytes, signal: str = "logs") -> None:
    """An export that is taken."""
    assert server.post(payload, signal)[0] == 200


def test_what_the_sdk_logs_is_there_exactly(browser: Browser, server: Server) -> None:
    """Every record that the SDK sent, in its order, and all that a record says."""
    sent = Sent()
    with Look(browser, url_of(server), size=TALL) as look:
        send_logs(url_of(server).rstrip("/"), Compression.Gzip, sent, 60)
        rows = expected_tables(sent)["otel_logs"]
        look.page.select_option("#service", "shop ☕/cart")
        expect(look.page.locator("#told")).to_have_text("60 of 60 records")
        shown = look.texts(".log.row .message > span")
        assert shown == [row["Body"] or "" for row in rows]
        look.rows().first.click()
        facts = look.facts()
        assert facts["counts"] == "[1,-2,9007199254740993]", "exact, beyond 2^53"
        assert facts["http.response.status_code"] == "200"
        assert facts["severity"] == "WARN · 14"
        assert facts["event"] == "cart.changed"
        assert facts["trace"] == rows[0]["TraceId"]
        assert "2026-09-21T14:13:20.000000001Z (UTC)" in facts["time"]
        assert "+02:00 (Europe/Berlin)" in facts["time"]
        assert facts["service.namespace"] == "store"
        assert facts["scope.part"] == "checkout"


def test_what_comes_is_seen_within_a_second(browser: Browser, server: Server) -> None:
    """From the moment at which the sender has its answer; the best of five, on a shared machine."""
    with Look(browser, url_of(server)) as look:
        delays = []
        for number in range(5):
            send(server, logs_of("quick", [f"quick {number}"]))
            answered = time.monotonic()
            look.page.get_by_text(f"quick {number}", exact=True).wait_for()
            delays.append(time.monotonic() - answered)
        assert min(delays) < 1.0


def test_texts_of_senders_are_texts(browser: Browser, server: Server) -> None:
    """Bodies, names, attributes, messages: none becomes markup, none runs, none hides."""
    hostile = list(HOSTILE)
    service = "<b onmouseover=alert(5)>\x1b]0;x\x07</b>"
    with Look(browser, url_of(server), size=TALL) as look:
        for text in hostile:
            send(server, logs_of(service, [text], attributes={text: text}))
        spans = [(text, number - 1, number, 30) for number, text in enumerate(hostile)]
        trace_id, payload = trace_of(service, spans)
        send(server, payload, "traces")
        look.page.select_option("#service", service)
        expect(look.rows()).to_have_count(len(hostile))
        wanted = [text if shown is None else shown for text, shown in HOSTILE.items()]
        assert look.texts(".log.row .message > span") == wanted
        assert set(look.texts(".log.row .service")) == {
            "<b onmouseover=alert(5)>\u241b]0;x\u2407</b>"
        }
        for number, text in enumerate(hostile):
            look.rows().nth(number).click()
            key = re.sub("[\x00-\x1f\x7f-\x9f]", "", text)[:3]
            assert any(name.replace("\u241b", "").startswith(key[:1]) for name in look.facts())
        look.go(f"trace/{trace_id.hex()}")
        expect(look.rows("span")).to_have_count(len(hostile))
        assert look.texts(".span.row .name") == wanted
        for selector in ("main img", "main script", "main b[onmouseover]"):
            assert look.page.locator(selector).count() == 0
        look.go("server")
        look.page.locator(".tile").first.wait_for()


def test_the_policy_holds_in_the_browser(browser: Browser, server: Server) -> None:
    """What a mistake in the page would do is forbidden: markup of a text, scripts, connections."""
    look = Look(browser, url_of(server), may_fail_to_load=True)
    look.wait_live()
    tried = look.page.evaluate(
        """async () => {
          const tried = [];
          try { document.body.innerHTML = "<b>"; } catch (error) { tried.push(error.name); }
          const script = document.createElement("script");
          try { script.text = "window.ran = 1"; document.body.append(script); }
          catch (error) { tried.push(error.name); }
          try { await fetch("http://127.0.0.2:9/"); } catch (error) { tried.push(error.name); }
          const image = document.createElement("img");
          image.src = "/x.png"; document.body.append(image);
          await new Promise((done) => { image.onerror = done; });
          return [tried, window.ran ?? null];
        }"""
    )
    assert tried == [["TypeError", "TypeError", "TypeError"], None]
    kinds = {violation.split()[0] for violation in look.violations}
    assert kinds >= {"require-trusted-types-for", "connect-src", "img-src"}
    look.page.context.close()


def test_a_body_of_a_megabyte_is_shown_by_its_beginning(browser: Browser, server: Server) -> None:
    """And whole when it is asked for."""
    body = "<i>" + "x" * 999_990 + "end</i>"
    with Look(browser, url_of(server)) as look:
        look.page.fill("#text", "end</i>")
        send(server, logs_of("large", [body]))
        look.rows().first.click()
        text = look.page.locator("#panel-content .text")
        assert len(text.text_content() or "") < 5_000
        look.page.get_by_role("button", name="Show all 1,000,000 characters").click()
        assert text.text_content() == body


def test_filters(browser: Browser, server: Server) -> None:
    """Severity, service and text, alone and together; also of what comes later."""
    with Look(browser, url_of(server), size=TALL) as look:
        for name, severity in (
            ("debug", 5),
            ("info", 9),
            ("warn", 13),
            ("error", 17),
            ("fatal", 21),
        ):
            send(server, logs_of("filter-a", [f"filtered {name}"], severity=severity))
        send(server, logs_of("filter-b", ["Filtered Other"], attributes={"colour": "TealGreen"}))
        bodies = ".log.row .message > span"
        look.filter("FILTERED")
        expect(look.rows()).to_have_count(6)
        look.page.get_by_role("radio", name="Warn").check()
        expect(look.rows()).to_have_count(3)
        assert look.texts(bodies) == ["filtered warn", "filtered error", "filtered fatal"]
        send(server, logs_of("filter-a", ["filtered later"], severity=18))
        expect(look.rows()).to_have_count(4)
        look.page.get_by_role("radio", name="All").check()
        look.page.select_option("#service", "filter-b")
        expect(look.rows()).to_have_count(1)
        look.filter("tealgreen")
        expect(look.rows()).to_have_count(1)
        look.filter("nowhere to be found")
        expect(look.page.get_by_text("matches the filters")).to_be_visible()
        look.page.keyboard.press("Escape")
        expect(look.page.locator("#reset")).to_be_hidden()
        assert look.page.input_value("#text") == ""


def test_pause_and_clear(browser: Browser, server: Server) -> None:
    """While paused nothing moves and what comes is counted; a clear forgets what is shown."""
    with Look(browser, url_of(server)) as look:
        look.filter("pausing")
        send(server, logs_of("pause", ["pausing 1"]))
        expect(look.rows()).to_have_count(1)
        look.page.locator("#pause").click()
        send(server, logs_of("pause", ["pausing 2", "pausing 3"]))
        expect(look.page.locator("#status-text")).to_have_text("Paused · 2 new logs")
        expect(look.rows()).to_have_count(1)
        look.page.locator("#pause").click()
        expect(look.rows()).to_have_count(3)
        look.page.get_by_role("button", name="Clear").click()
        expect(look.rows()).to_have_count(0)
        send(server, logs_of("pause", ["pausing 4"]))
        expect(look.rows()).to_have_count(1)


def test_a_trace_of_the_sdk(browser: Browser, server: Server) -> None:
    """The waterfall in the order of the tree, errors, events, links, and its logs beside it."""
    endpoint = url_of(server)
    resource = Resource({"service.name": "waterfall"})
    tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
    spans = BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{endpoint}v1/traces"))
    tracers.add_span_processor(spans)
    loggers = LoggerProvider(resource=resource, shutdown_on_exit=False)
    exporter = OTLPLogExporter(endpoint=f"{endpoint}v1/logs")
    loggers.add_log_record_processor(BatchLogRecordProcessor(exporter))
    tracer, logger = tracers.get_tracer("t"), loggers.get_logger("l")
    with tracer.start_as_current_span("before") as before:
        linked = before.get_span_context()
    with Look(browser, endpoint) as look:
        with tracer.start_as_current_span("root") as root:
            with tracer.start_as_current_span("child one"):
                logger.emit(body="within one", severity_number=SeverityNumber.INFO)
                with tracer.start_as_current_span("grandchild"):
                    pass
            with tracer.start_as_current_span("child two") as two:
                two.add_link(linked, {"why": "retried"})
                two.add_event("cache.miss", {"key": "k-1"})
                try:
                    raise ValueError("no such item")  # noqa: TRY301 - for its traceback
                except ValueError as error:
                    two.record_exception(error)
                two.set_status(StatusCode.ERROR, "it went wrong")
                logger.emit(body="within two", severity_number=SeverityNumber.ERROR)
        tracers.shutdown()
        loggers.shutdown()
        trace_id = format_trace_id(root.get_span_context().trace_id)

        # From a log record to its trace.
        look.filter("within two")
        look.rows().first.locator(".chip").click()
        expect(look.page.locator("h1:visible")).to_have_text("root")
        assert look.page.url.endswith(f"#trace/{trace_id}")
        names = ["root", "child one", "grandchild", "child two"]
        expect(look.rows("span")).to_have_count(4)
        assert look.texts(".span.row .name") == names
        bars = [look.box(f".span.row:has-text('{name}') .bar") for name in names]
        assert bars[0][1] == max(width for _, width in bars)
        (left, width), (later, _) = bars[1], bars[3]
        assert later >= left + width - 4
        assert look.texts(".span.row.is-error .name") == ["child two"]
        assert look.page.locator(".span.is-error .ticks i").count() == 2
        assert look.texts(".trace-logs .log .message > span") == ["within one", "within two"]

        look.rows("span").filter(has_text="child two").click()
        panel = look.page.locator("#panel-content")
        for text in ("it went wrong", "cache.miss", "exception", "no such item", "within two"):
            expect(panel).to_contain_text(text)
        assert "Traceback" in look.facts()["exception.stacktrace"]
        assert look.facts()["why"] == "retried"
        panel.get_by_role("link", name=f"trace {format_trace_id(linked.trace_id)}").click()
        expect(look.page.locator("h1:visible")).to_have_text("before")

        look.go(f"trace/{trace_id}")
        expect(look.rows("span")).to_have_count(4)
        look.page.keyboard.press("j")
        look.page.keyboard.press("ArrowLeft")
        expect(look.rows("span")).to_have_count(1)
        look.page.keyboard.press("ArrowRight")
        expect(look.rows("span")).to_have_count(4)


def test_spans_of_the_sdk_in_the_list_of_traces(browser: Browser, server: Server) -> None:
    """Each trace once, with its number of spans and of errors."""
    sent = Sent()
    with Look(browser, url_of(server), size=TALL) as look:
        look.go("traces")
        send_spans(url_of(server).rstrip("/"), Compression.NoCompression, sent, 25)
        rows = expected_tables(sent)["otel_traces"]
        by_trace: dict[str, int] = {}
        for row in rows:
            by_trace[row["TraceId"]] = by_trace.get(row["TraceId"], 0) + 1
        look.page.select_option("#service", "shop ☕/cart")
        expect(look.rows("trace")).to_have_count(len(by_trace))
        look.page.get_by_label("With errors").check()
        expect(look.rows("trace")).to_have_count(1)
        errors = [row for row in rows if row["StatusCode"] == "STATUS_CODE_ERROR"]
        plural = "error" if len(errors) == 1 else "errors"
        expect(look.rows("trace").first).to_contain_text(f"5 spans, {len(errors)} {plural}")


def test_spans_in_any_order_and_shape(browser: Browser, server: Server) -> None:
    """Children before parents, parents that never come, circles, ends before beginnings."""
    spans = [("leaf", 1, 5, 8), ("top", -1, 0, 20), ("orphan", 40, 3, 4), ("early", 1, 9, 2)]
    circle = [("a", 1, 0, 5), ("b", 0, 1, 4), ("itself", 2, 2, 3)]
    with Look(browser, url_of(server)) as look:
        trace_id, payload = trace_of("shapes", spans)
        send(server, payload, "traces")
        look.go(f"trace/{trace_id.hex()}")
        expect(look.rows("span")).to_have_count(4)
        assert look.texts(".span.row .name") == ["top", "leaf", "early", "orphan"]
        assert look.texts(".span.row.is-orphan .name") == ["orphan"]
        assert "-7 ms" in look.texts(".span.row .long")
        trace_id, payload = trace_of("shapes", circle)
        send(server, payload, "traces")
        look.go(f"trace/{trace_id.hex()}")
        expect(look.rows("span")).to_have_count(3)
        look.go("trace/00000000000000000000000000000000")
        expect(look.page.get_by_text("No span of this trace was seen")).to_be_visible()


def test_metrics_of_the_sdk(browser: Browser, server: Server) -> None:
    """The latest value of every series, histograms as bars whose titles are their buckets."""
    sent = Sent()
    with Look(browser, url_of(server), size=TALL) as look:
        look.go("metrics")
        send_metrics(url_of(server).rstrip("/"), Compression.Gzip, sent)
        look.page.select_option("#service", "shop ☕/cart")
        tables = expected_tables(sent)
        metrics = {
            row["MetricName"] for name, rows in tables.items() if "metrics" in name for row in rows
        }
        cards = look.page.locator(".card")
        expect(cards).to_have_count(len(metrics))
        assert set(look.texts(".card h2")) == metrics
        orders = cards.filter(has_text="shop.orders")
        assert orders.locator(".reading b").all_text_contents() == ["1", "2", "3"]
        assert "order" in (orders.locator(".kind").last.text_content() or "")
        load = cards.filter(has_text="shop.load")
        assert load.locator(".reading b").all_text_contents() == ["0", "0.5", "1"]
        for name in ("shop.latency", "shop.latency.exponential"):
            card = cards.filter(has=look.page.get_by_role("heading", name=name, exact=True))
            assert card.locator(".statistics dd").first.text_content() == "4"
            titles = card.locator(".series").first.locator("rect title").all_text_contents()
            counted = [int(title.rpartition(": ")[2]) for title in titles]
            assert sum(counted) == 4
        latency = cards.filter(
            has=look.page.get_by_role("heading", name="shop.latency", exact=True)
        )
        titles = latency.locator(".series").first.locator("rect title").all_text_contents()
        assert titles[0] == "up to 0 ms: 1"
        assert titles[1] == "0 to 5 ms: 1"
        assert titles[-2:] == ["5,000 to 7,500 ms: 0", "7,500 to 10,000 ms: 1"] or titles[-1] == (
            "above 10,000 ms: 0"
        )


def test_refusals_and_files(browser: Browser, server: Server) -> None:
    """What a client was refused and was told, and what was stored."""
    with Look(browser, url_of(server)) as look:
        look.go("server")
        assert server.post(b"\xff\xff\xff", "traces")[0] == 400
        row = look.page.locator("section", has_text="Refused").locator("tbody tr").first
        expect(row).to_contain_text("400")
        expect(row).to_contain_text("malformed protobuf at byte 0")
        expect(row).to_contain_text("127.0.0.1")
        expect(look.page.locator("#count-refused")).not_to_have_text("")
        tile = look.page.locator(".tile", has_text="Takes requests")
        expect(tile.locator("b")).to_have_text("yes")


def test_memory_of_the_browser_is_bounded(browser: Browser, server: Server) -> None:
    """Old records go, few elements exist, and whoever reads keeps what they read in sight."""
    with Look(browser, url_of(server)) as look:
        send(server, logs_of("many", [f"many {number}" for number in range(2000)]))
        look.page.get_by_text("many 1999", exact=True).wait_for()
        box = look.page.locator(".logs.list:visible")
        box.evaluate("box => { box.scrollTop = box.scrollHeight - 20 * box.clientHeight; }")
        look.page.locator(".jump").wait_for()
        before = look.texts(".log.row .message > span")
        send(server, logs_of("many", [f"more {number}" for number in range(2000)]))
        expect(look.page.locator("#told")).to_contain_text("records")
        expect(look.page.locator("#count-logs")).to_have_text(re.compile(r"^([4-9]|\d\d).*k$"))
        assert look.texts(".log.row .message > span")[10] in before
        for number in range(2):
            send(server, logs_of("many", [f"last {number} {one}" for one in range(2000)]))
        look.page.locator(".jump").click()
        look.page.get_by_text("last 1 1999", exact=True).wait_for()
        expect(look.page.locator("#told")).to_have_text(f"{KEPT:,} records")
        assert "older ones are not kept here" in (look.page.get_attribute("#told", "title") or "")
        assert look.page.locator(".log").count() < 100


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_contrast(browser: Browser, server: Server, scheme: str) -> None:
    """4.5 to 1 at least (WCAG 2, AA), severities and services too, in both schemes."""
    with Look(
        browser, url_of(server), size=TALL, scheme="dark" if scheme == "dark" else "light"
    ) as look:
        for severity in (0, 1, 5, 9, 13, 17, 21):
            send(server, logs_of(f"svc-{severity}", [f"contrast {severity}"], severity=severity))
        trace_id, payload = trace_of("contrast", [("top", -1, 0, 9), ("under", 0, 1, 3)])
        send(server, payload, "traces")
        assert server.post(b"\xff\xff", "logs")[0] == 400
        look.filter("contrast")
        expect(look.rows()).to_have_count(7)
        look.rows().first.click()
        found = look.page.evaluate(CONTRAST)
        for where in (f"trace/{trace_id.hex()}", "metrics", "server", "traces"):
            look.go(where)
            look.page.locator(f"body[data-view='{where.partition('/')[0]}']").wait_for()
            found += look.page.evaluate(CONTRAST)
        assert len(found) > 60
        assert [one for one in found if one[0] < 4.5] == []


CONTRAST = """() => {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 1;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const over = (colours) => {
    context.clearRect(0, 0, 1, 1);
    for (const colour of colours) { context.fillStyle = colour; context.fillRect(0, 0, 1, 1); }
    return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const light = (rgb) => rgb
    .map((value) => value / 255)
    .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4))
    .reduce((sum, value, at) => sum + value * [0.2126, 0.7152, 0.0722][at], 0);
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.textContent.trim() || !element.checkVisibility()) continue;
    if (element.closest("script, style, option, .long.is-within, dialog")) continue;
    const behind = [];
    for (let at = element; at; at = at.parentElement) {
      behind.unshift(getComputedStyle(at).backgroundColor);
    }
    const back = light(over(behind));
    const front = light(over([...behind, getComputedStyle(element).color]));
    const ratio = (Math.max(back, front) + 0.05) / (Math.min(back, front) + 0.05);
    found.push([ratio, node.textContent.slice(0, 30), element.className]);
  }
  return found;
}"""


def test_a_phone_needs_no_sideways_scroll(browser: Browser, server: Server) -> None:
    """390 px wide, whatever the texts are: every view, the details, the dialogs."""
    long = "W" * 700
    with Look(browser, url_of(server), size=PHONE) as look:
        send(server, logs_of(long, [long, "short"], severity=17, attributes={long: long}))
        trace_id, payload = trace_of(long, [(long, -1, 0, 9), (long, 0, 1, 3)])
        send(server, payload, "traces")
        send_metrics(url_of(server).rstrip("/"), Compression.Gzip, Sent())
        assert server.post(b"\xff\xff", "logs")[0] == 400
        look.rows().last.wait_for()
        widths = {"logs": look.overflow}
        look.rows().last.click()
        widths["details"] = look.overflow
        look.page.keyboard.press("Escape")
        look.page.keyboard.press("?")
        widths["keys"] = look.overflow
        look.page.keyboard.press("Escape")
        for where in ("traces", f"trace/{trace_id.hex()}", "metrics", "server"):
            look.go(where)
            look.page.locator(f"body[data-view='{where.partition('/')[0]}']").wait_for()
            widths[where] = look.overflow
        assert {view: width for view, width in widths.items() if width > 0} == {}


def test_keys(browser: Browser, server: Server) -> None:
    """A keyboard is enough, and ``?`` says which keys there are."""
    with Look(browser, url_of(server)) as look:
        keyboard = look.page.keyboard
        trace_id, payload = trace_of("keys", [("by keyboard", -1, 0, 9)])
        send(server, payload, "traces")
        send(server, logs_of("keys", ["key 1", "key 2"], trace_id=trace_id))
        keyboard.press("/")
        keyboard.type("key ")
        expect(look.rows()).to_have_count(2)
        keyboard.press("Tab")
        look.page.locator(".logs.list:visible").focus()
        keyboard.press("k")
        keyboard.press("Enter")
        expect(look.page.locator("#panel")).to_be_visible()
        expect(look.page.locator("#panel-content .text")).to_have_text("key 2")
        keyboard.press("k")
        expect(look.page.locator("#panel-content .text")).to_have_text("key 1")
        keyboard.press("Escape")
        expect(look.page.locator("#panel")).to_be_hidden()
        keyboard.press("t")
        expect(look.page.locator("h1:visible")).to_have_text("by keyboard")
        keyboard.press("b")
        expect(look.page.locator("body[data-view='traces']")).to_be_attached()
        for key, view in (("3", "metrics"), ("4", "server"), ("1", "logs"), ("2", "traces")):
            keyboard.press(key)
            expect(look.page.locator(f"body[data-view='{view}']")).to_be_attached()
        keyboard.press("?")
        dialog = look.page.get_by_role("dialog")
        expect(dialog).to_be_visible()
        assert {"j", "k", "t", "p", "/", "Esc"} <= set(dialog.locator("kbd").all_text_contents())
        keyboard.press("Escape")
        expect(dialog).to_be_hidden()


def test_a_token_is_asked_for(
    browser: Browser, server: Server, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Once a tab; a wrong one is said to be wrong; no address ever has it."""
    del server
    settings = {**PAGE, "OTLP2PARQUET_SERVER_AUTH_TOKENS": "right-token-of-the-page"}
    with Server(tmp_path_factory.mktemp("token"), settings=settings) as locked:
        look = Look(browser, url_of(locked), may_fail_to_load=True)
        asked: list[str] = []
        look.page.on("request", lambda request: asked.append(request.url))
        dialog = look.page.get_by_role("dialog")
        expect(dialog).to_be_visible()
        expect(look.page.locator("#token-refused")).to_be_hidden()
        look.page.locator("#token-text").fill("wrong-token-of-the-page")
        look.page.keyboard.press("Enter")
        expect(look.page.locator("#token-refused")).to_be_visible()
        look.page.locator("#token-text").fill("right-token-of-the-page")
        look.page.get_by_role("button", name="Look").click()
        look.wait_live()
        expect(dialog).to_be_hidden()
        locked.post(logs_of("token", ["let in"]), Authorization="Bearer right-token-of-the-page")
        look.page.get_by_text("let in", exact=True).wait_for()
        look.page.reload()
        look.wait_live()
        assert not [url for url in asked if "token-of-the-page" in url]
        with look:
            pass


def test_the_page_comes_back_after_a_restart(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """It says that it is disconnected, keeps what it has, tries again, and goes on."""
    folder = tmp_path_factory.mktemp("restart")
    with Server(folder, settings=PAGE) as first:
        look = Look(browser, url_of(first), may_fail_to_load=True)
        look.wait_live()
        first.post(logs_of("restart", ["before the restart"]))
        look.page.get_by_text("before the restart", exact=True).wait_for()
        assert first.stop() == 0
        port = first.port
    expect(look.page.locator("#status-text")).to_have_text("Disconnected")
    expect(look.page.locator("#banner")).to_contain_text("does not answer")
    with Server(folder, settings=PAGE, port=port) as second:
        # It may have tried by itself just now: then the button is there, and hidden.
        retry = look.page.get_by_role("button", name="Try now", include_hidden=True)
        retry.evaluate("button => button.click()")
        look.wait_live()
        expect(look.page.locator("#banner")).to_be_hidden()
        second.post(logs_of("restart", ["after the restart"]))
        look.page.get_by_text("after the restart", exact=True).wait_for()
        assert look.texts(".log.row .message > span") == ["before the restart", "after the restart"]
        with look:
            pass


def test_an_empty_page_says_how_to_send(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """With the addresses of this server, gRPC's too, and a command that works."""
    settings = {**PAGE, "OTLP2PARQUET_GRPC_ADDR": "127.0.0.1:0"}
    with (
        Server(tmp_path_factory.mktemp("empty"), settings=settings) as fresh,
        Look(browser, url_of(fresh)) as look,
    ):
        address = url_of(fresh).rstrip("/")
        welcome = look.page.locator("#welcome")
        expect(welcome).to_contain_text(f"OTEL_EXPORTER_OTLP_ENDPOINT={address}")
        expect(welcome).to_contain_text(f"OTEL_EXPORTER_OTLP_ENDPOINT=http://{fresh.grpc_address}")
        command = welcome.locator("pre").last.text_content() or ""
        found = re.fullmatch(r"curl (\S+) -H 'content-type: (\S+)' -d '(.*)'", command)
        assert found is not None
        request = urllib.request.Request(
            found[1], found[3].encode(), {"content-type": found[2]}, method="POST"
        )
        with urllib.request.urlopen(request) as answer:
            assert answer.status == 200
        look.page.get_by_text("Hello from curl", exact=True).wait_for()
        expect(welcome).to_be_hidden()


def test_without_the_page_a_browser_learns_the_setting(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """And sees the endpoints."""
    with Server(tmp_path_factory.mktemp("off")) as plain:
        page = browser.new_page()
        page.goto(url_of(plain))
        text = page.inner_text("body")
        assert "server.page = true" in text
        assert "/v1/logs" in text
        page.close()
