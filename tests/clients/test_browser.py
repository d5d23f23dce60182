"""Pages of another origin in Chromium: what the web SDK, beacons and fetches of one send is stored.

The SDK and its exporters are the real ones, the server is the installed command, and what a page
is not allowed to send leaves nothing behind but a line in the log.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.components.browser_sdk import page_script
from tests.components.chromium import chromium
from tests.components.parquet_rows import stored_tables
from tests.support.foreign_page import foreign_page
from tests.support.server_process import Server
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from playwright.sync_api import Browser, Page

    from tests.components.parquet_rows import Row

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
PATIENCE_MILLIS = 60_000
ORIGINS = ("HTTP://127.0.0.1:{port}", "http://*.Shop.LocalHost:*", "https://[::1]:8443")
"""What is allowed, as people write it. Chromium leads all below ``localhost`` to this machine."""
ALLOWED = ("127.0.0.1", "eu.shop.localhost", "A.B.SHOP.localhost")
FOREIGN = ("localhost", "shop.localhost", "notshop.localhost")
QUICK = {"timeoutMillis": 500}
"""Less than the pause before an exporter sends again."""
NETWORK_ERROR = "Error: Fetch request encountered a network error"
"""What the SDK says where the browser keeps the answer to itself."""
SENT = {"otel_logs": 1, "otel_traces": 1, "otel_metrics_sum": 1, "otel_metrics_histogram": 1}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all tests; each page has a profile of its own in it."""
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """The port of the page's own server."""
    with foreign_page(page_script()) as number:
        yield number


@contextmanager
def serving(folder: Path, cors: str, **settings: str) -> Iterator[Server]:
    """The server; ``cors`` is that part of its configuration."""
    folder.mkdir(exist_ok=True)
    (folder / "config.toml").write_text(f"[server.cors]\n{cors}\n", "utf-8")
    names = {f"OTLP2PARQUET_{name.upper()}": value for name, value in settings.items()}
    with Server(folder, settings=names) as server:
        yield server


def allowed(port: int) -> str:
    """The configuration that allows ``ORIGINS``."""
    return f"allowed_origins = {json.dumps([one.format(port=port) for one in ORIGINS])}"


@contextmanager
def opened(browser: Browser, host: str, port: int) -> Iterator[Page]:
    """The page, by one of its names, once its script has run."""
    context = browser.new_context()
    context.set_default_timeout(PATIENCE_MILLIS)
    page = context.new_page()
    page.goto(f"http://{host}:{port}/")
    page.wait_for_function("globalThis.page")
    yield page
    context.close()


def export(
    page: Page, server: Server, service: str, form: str, options: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Export all signals by the SDK, with options of its exporters: what it says of each."""
    said: dict[str, Any] = page.evaluate(
        "(given) => page.exportAll(...given)", [url_of(server), service, form, options]
    )
    return said


def url_of(server: Server) -> str:
    """Where the exporters send."""
    return f"http://{server.host}:{server.port}"


def services_stored(server: Server) -> set[str]:
    """The services of all that is taken until now, which is stored by this."""
    server.flush()
    return {row["ServiceName"] for rows in stored_tables(server.data).values() for row in rows}


def errors(said: Mapping[str, Any]) -> list[str]:
    """What the exporters said of failures, one for each signal that failed."""
    return [error for one in said.values() for error in one["errors"]]


def rows_of(server: Server) -> dict[str, list[Row]]:
    """Every row, once the server has stored all."""
    assert server.stop() == 0, server.log
    return stored_tables(server.data)


# -- the SDK ---------------------------------------------------------------------------------


def moment(nanos: int) -> Row:
    """The columns of a time."""
    return {
        "Timestamp": EPOCH + timedelta(microseconds=nanos // 1000),
        "TimestampNanos": nanos % 1000,
    }


def shared(service: str, nanos: int) -> Row:
    """The columns that all tables share."""
    return {
        **moment(nanos),
        "ServiceName": service,
        "ServiceNamespace": None,
        "ServiceInstanceId": None,
        "ResourceAttributes": f'{{"service.name":"{service}"}}',
        "ResourceDroppedAttributesCount": 0,
        "ResourceSchemaUrl": None,
        "ScopeName": "shop.web",
        "ScopeVersion": "1.2.3",
        "ScopeAttributes": "{}",
        "ScopeDroppedAttributesCount": 0,
        "ScopeSchemaUrl": None,
    }


def expected_log(service: str) -> Row:
    """The row of what ``page.mjs`` logs."""
    observed = moment(1_790_000_000_004_000_004)
    return {
        **shared(service, 1_790_000_000_003_000_003),
        "ObservedTimestamp": observed["Timestamp"],
        "ObservedTimestampNanos": observed["TimestampNanos"],
        "TraceId": None,
        "SpanId": None,
        "TraceFlags": 0,
        "SeverityNumber": 13,
        "SeverityText": "warn",
        "EventName": "cart.changed",
        "Body": "a line ☕",
        "BodyType": "string",
        "LogAttributes": '{"items":3,"nested.value":{"deep":[1.5,null]}}',
        "DroppedAttributesCount": 0,
    }


def expected_span(service: str, ids: Mapping[str, str]) -> Row:
    """The row of the span of ``page.mjs``."""
    clicked = moment(1_790_000_000_002_000_002)
    return {
        **shared(service, 1_790_000_000_001_000_001),
        "Duration": 250_000_003,
        "TraceId": ids["traceId"],
        "SpanId": ids["spanId"],
        "ParentSpanId": None,
        "TraceState": None,
        "SpanName": "checkout ☕",
        "SpanKind": "SPAN_KIND_CLIENT",
        "SpanFlags": 0x101,  # sampled; that its parent is of this process is known
        "SpanAttributes": '{"items":3,"total":9.5,"gift":false,"http.route":"/cart/ö",'
        '"tags":["a",""]}',
        "DroppedAttributesCount": 0,
        "DroppedEventsCount": 0,
        "DroppedLinksCount": 0,
        "StatusCode": "STATUS_CODE_ERROR",
        "StatusMessage": "out of ☕",
        "EventsTimestamp": [clicked["Timestamp"]],
        "EventsTimestampNanos": [clicked["TimestampNanos"]],
        "EventsName": ["clicked"],
        "EventsAttributes": ['{"button":"buy"}'],
        "EventsDroppedAttributesCount": [0],
        "LinksTraceId": [],
        "LinksSpanId": [],
        "LinksTraceState": [],
        "LinksFlags": [],
        "LinksAttributes": [],
        "LinksDroppedAttributesCount": [],
    }


def expected_point(service: str, times: tuple[int, int], metric: Row) -> Row:
    """The row of a data point of ``page.mjs``; its times are the SDK's."""
    start = moment(times[0])
    return {
        **shared(service, times[1]),
        "StartTimestamp": start["Timestamp"],
        "StartTimestampNanos": start["TimestampNanos"],
        "MetricDescription": None,
        "MetricMetadata": "{}",
        "Flags": 0,
        "Exemplars": "[]",
        "AggregationTemporality": "AGGREGATION_TEMPORALITY_CUMULATIVE",
        **metric,
    }


def expected_tables(service: str, said: Mapping[str, Any]) -> dict[str, list[Row]]:
    """Every row of one ``exportAll``, in full."""
    times = {name: (int(start), int(end)) for name, start, end in said["metrics"]["times"]}
    (ids,) = said["traces"]["ids"]
    orders = {
        "MetricName": "shop.orders",
        "MetricDescription": "taken",
        "MetricUnit": "{order}",
        "Attributes": '{"zone":"ö"}',
        "Value": 2.0,
        "IntValue": 2,
        "IsMonotonic": True,
    }
    latency = {
        "MetricName": "shop.latency",
        "MetricUnit": "ms",
        "Attributes": "{}",
        "Count": 3,
        "Sum": 555.5,
        "Min": 5.0,
        "Max": 500.0,
        "BucketCounts": [1, 1, 1],
        "ExplicitBounds": [10.0, 100.0],
    }
    return {
        "otel_logs": [expected_log(service)],
        "otel_traces": [expected_span(service, ids)],
        "otel_metrics_sum": [expected_point(service, times["shop.orders"], orders)],
        "otel_metrics_histogram": [expected_point(service, times["shop.latency"], latency)],
    }


def test_what_the_web_sdk_sends_is_stored_exactly(
    tmp_path: Path, browser: Browser, port: int
) -> None:
    """From pages of each origin that is allowed, however it is written, as JSON and protobuf."""
    said = {}
    with serving(tmp_path, allowed(port)) as server:
        for host in ALLOWED:
            with opened(browser, host, port) as page:
                assert page.evaluate("location.origin") == f"http://{host.lower()}:{port}"
                for form in ("http", "proto"):
                    service = f"{host} {form}"
                    said[service] = export(page, server, service, form)
                    assert errors(said[service]) == []
        found = rows_of(server)
    expected: dict[str, list[Row]] = {}
    for service, one in said.items():
        for table, rows in expected_tables(service, one).items():
            expected.setdefault(table, []).extend(rows)
    assert set(found) == set(expected)
    for table, rows in expected.items():
        by_service = {row["ServiceName"]: row for row in found[table]}
        assert len(found[table]) == len(by_service) == len(rows)
        for row in rows:
            assert by_service[row["ServiceName"]] == row


def test_a_page_that_is_left_loses_nothing(tmp_path: Path, browser: Browser, port: int) -> None:
    """What waits in the SDK's queue is sent while the page goes: by a fetch that outlives it."""
    with serving(tmp_path, allowed(port)) as server:
        for form in ("http", "proto"):
            with opened(browser, "127.0.0.1", port) as page:
                page.evaluate(
                    "([endpoint, form]) => page.fill(endpoint, form, form, 20)",
                    [url_of(server), form],
                )
                page.goto("about:blank")
                wait_for(lambda: form in services_stored(server))  # noqa: B023
        found = rows_of(server)["otel_traces"]
    wanted = sorted((form, f"left {number}") for form in ("http", "proto") for number in range(20))
    assert sorted((row["ServiceName"], row["SpanName"]) for row in found) == wanted


def test_a_token_and_header_fields(tmp_path: Path, browser: Browser, port: int) -> None:
    """The preflight allows Authorization and what is configured; a page reads that it has none."""
    cors = f'{allowed(port)}\nallowed_headers = ["X-Tenant"]'
    with serving(tmp_path, cors, server_auth_tokens="s3cret") as server:
        with opened(browser, "127.0.0.1", port) as page:
            good = {"authorization": "Bearer s3cret", "x-tenant": "a"}
            said = export(page, server, "with a token", "http", {"headers": good})
            assert errors(said) == []
            said = export(
                page, server, "by the other field", "proto", {"headers": {"x-api-key": "s3cret"}}
            )
            assert errors(said) == []
            bad = export(page, server, "without", "http")
            assert errors(bad) == 3 * ["Error: Fetch request failed with non-retryable status 401"]
            other = {"headers": {**good, "x-other": "b"}, **QUICK}
            bad = export(page, server, "a field that is not allowed", "http", other)
            assert errors(bad) == 3 * [NETWORK_ERROR]
        found = rows_of(server)
    assert {table: len(rows) for table, rows in found.items()} == {
        table: 2 * count for table, count in SENT.items()
    }
    services = {row["ServiceName"] for rows in found.values() for row in rows}
    assert services == {"with a token", "by the other field"}


# -- what pages send by themselves -----------------------------------------------------------

WAYS = {
    "a beacon": """([url, body]) =>
        navigator.sendBeacon(url, new Blob([body], { type: "application/json" }))""",
    "a beacon while the page is left": """([url, body]) => addEventListener("pagehide", () =>
        navigator.sendBeacon(url, new Blob([body], { type: "application/json" })))""",
    "a fetch that outlives the page": """([url, body]) => {
        fetch(url, { method: "POST", body, keepalive: true, credentials: "include",
                     headers: { "content-type": "application/json" } }); }""",
}
"""Each with credentials, as beacons always are, and with a content type that asks before."""

SIMPLE = {
    "a beacon of text": "([url, body]) => navigator.sendBeacon(url, body)",
    "a form": """([url, body]) =>
        fetch(url, { method: "POST", mode: "no-cors", body: new URLSearchParams({ body }) })
          .then((answer) => answer.type)""",
    "a fetch that nobody asks": """([url, body]) =>
        fetch(url, { method: "POST", mode: "no-cors", credentials: "include",
                     headers: { "content-type": "text/plain" }, body })
          .then((answer) => answer.type)""",
}
"""What a browser sends without asking the server, and a page cannot read the answer of."""


def body_of(service: str) -> str:
    """A request with one log record, as JSON."""
    name = {"key": "service.name", "value": {"stringValue": service}}
    record = {"timeUnixNano": "1790000000000000001", "body": {"stringValue": "by hand"}}
    scope_logs = [{"logRecords": [record]}]
    logs = {"resource": {"attributes": [name]}, "scopeLogs": scope_logs}
    return json.dumps({"resourceLogs": [logs]})


def test_what_outlives_the_page(tmp_path: Path, browser: Browser, port: int) -> None:
    """Beacons and fetches with credentials arrive when the page is gone, each once."""
    with serving(tmp_path, allowed(port)) as server:
        for way, script in WAYS.items():
            with opened(browser, "eu.shop.localhost", port) as page:
                page.context.add_cookies(
                    [{"name": "session", "value": "1", "url": url_of(server), "sameSite": "Lax"}]
                )
                page.evaluate(script, [f"{url_of(server)}/v1/logs", body_of(way)])
                page.goto("about:blank")
                wait_for(lambda: way in services_stored(server))  # noqa: B023
        found = rows_of(server)
    assert set(found) == {"otel_logs"}
    assert sorted(row["ServiceName"] for row in found["otel_logs"]) == sorted(WAYS)
    assert {row["Body"] for row in found["otel_logs"]} == {"by hand"}


def test_what_a_browser_sends_unasked_is_no_otlp(
    tmp_path: Path, browser: Browser, port: int
) -> None:
    """Not from a page that is allowed, either: its content type is none of OTLP's."""
    with serving(tmp_path, allowed(port)) as server:
        with opened(browser, "127.0.0.1", port) as page:
            for way, script in SIMPLE.items():
                page.evaluate(script, [f"{url_of(server)}/v1/logs", body_of(way)])
            wait_for(lambda: "text/plain" in server.log)
        assert rows_of(server) == {}


# -- pages that are not allowed --------------------------------------------------------------


def test_a_page_that_is_not_allowed_leaves_nothing(
    tmp_path: Path, browser: Browser, port: int
) -> None:
    """By whatever means it sends; the page has an error, and the log says what would allow it."""
    told: list[str] = []
    with foreign_page(page_script()) as other_port, serving(tmp_path, allowed(port)) as server:
        for host, number in (*((host, port) for host in FOREIGN), ("127.0.0.1", other_port)):
            with opened(browser, host, number) as page:
                page.on("console", lambda message: told.append(message.text))
                assert errors(export(page, server, host, "http", QUICK)) == 3 * [NETWORK_ERROR]
                for script in (*WAYS.values(), *SIMPLE.values()):
                    page.evaluate(script, [f"{url_of(server)}/v1/logs", body_of(host)])
                page.goto("about:blank")
        assert rows_of(server) == {}
        assert "server.cors.allowed_origins" in server.log
    assert any("blocked by CORS policy" in text for text in told)


IN_A_SANDBOX = """async ([url, body]) => {
  const frame = document.createElement("iframe");
  frame.sandbox = "allow-scripts";
  const send = `fetch(${JSON.stringify(url)}, { method: "POST", credentials: "include",
      headers: { "content-type": "application/json" }, body: ${JSON.stringify(body)} })
    .then((answer) => String(answer.status), (error) => error.name)
    .then((text) => parent.postMessage(self.origin + " " + text, "*"))`;
  frame.srcdoc = `<script>${send.replaceAll("</", "<\\/")}</script>`;
  const said = new Promise((done) => addEventListener("message", (event) => done(event.data)));
  document.body.append(frame);
  return said;
}"""


@pytest.mark.parametrize(
    ("origins", "status", "count"), [('["*"]', "200", 1), ('["http://*:*"]', "TypeError", 0)]
)
def test_a_page_without_an_origin(  # noqa: PLR0917 - fixtures
    tmp_path: Path, browser: Browser, port: int, origins: str, status: str, count: int
) -> None:
    """One in a sandbox: every page there is includes it, no pattern does."""
    with serving(tmp_path, f"allowed_origins = {origins}") as server:
        with opened(browser, "localhost", port) as page:
            assert errors(export(page, server, "any", "http")) == []
            arguments = [f"{url_of(server)}/v1/logs", body_of("sandbox")]
            assert page.evaluate(IN_A_SANDBOX, arguments) == f"null {status}"
        found = rows_of(server)["otel_logs"]
    assert [row["ServiceName"] for row in found].count("sandbox") == count
    assert len(found) == 1 + count
