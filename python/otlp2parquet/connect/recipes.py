"""What to set so that a program sends to a server: text to copy, for each program.

Names and defaults are those of each program's own documentation, which is linked in the text. A
token is never written out: the text has the name of a variable in its place.
"""

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

Protocol = Literal["http", "grpc"]

TOKEN_VARIABLE: Final = "OTLP_TOKEN"  # noqa: S105 - a name

_PROTOCOLS: Final[Mapping[Protocol, str]] = MappingProxyType(
    {"http": "http/protobuf", "grpc": "grpc"}
)
"""What ``OTEL_EXPORTER_OTLP_PROTOCOL`` calls them."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server as a client sees it."""

    url: str
    """Without a ``/`` at the end; of the port of ``protocol``."""
    protocol: Protocol = "http"
    needs_token: bool = False
    certificate: str = ""
    """A file with what the client has to trust; empty if it does so by itself."""


def recipe(program: str, endpoint: Endpoint) -> str:
    """What to set, with a newline at the end. ``program`` is one of ``PROGRAMS``."""
    return PROGRAMS[program](endpoint).strip("\n") + "\n"


def exports(text: str) -> str:
    """The lines of a recipe that set a shell's variables; empty if the program has none."""
    return "".join(line for line in text.splitlines(keepends=True) if line.startswith("export "))


def _environment(endpoint: Endpoint, before: Mapping[str, str]) -> str:
    """Lines of a shell: the specification's variables, which SDKs share."""
    lines = [f"export {name}={shlex.quote(value)}" for name, value in before.items()]
    lines.append(f"export OTEL_EXPORTER_OTLP_PROTOCOL={_PROTOCOLS[endpoint.protocol]}")
    lines.append(f"export OTEL_EXPORTER_OTLP_ENDPOINT={shlex.quote(endpoint.url)}")
    if endpoint.certificate:
        certificate = shlex.quote(endpoint.certificate)
        lines.append(f"export OTEL_EXPORTER_OTLP_CERTIFICATE={certificate}")
    if endpoint.needs_token:
        lines.append(
            f"# {TOKEN_VARIABLE} is one of the server's tokens, with %XX for , ; = % and space"
        )
        lines.append(f'export OTEL_EXPORTER_OTLP_HEADERS="x-api-key=${TOKEN_VARIABLE}"')
    return "\n".join(lines)


_ALL_SIGNALS: Final = MappingProxyType(
    {f"OTEL_{signal}_EXPORTER": "otlp" for signal in ("TRACES", "METRICS", "LOGS")}
)


def _claude_code(endpoint: Endpoint) -> str:
    agent = {
        "CLAUDE_CODE_ENABLE_TELEMETRY": "1",
        "CLAUDE_CODE_ENHANCED_TELEMETRY_BETA": "1",
        **_ALL_SIGNALS,
    }
    text = _environment(endpoint, agent).replace(
        "export OTEL_TRACES",
        "# Traces are a beta, and need the variable above.\nexport OTEL_TRACES",
    )
    if endpoint.certificate:
        text += f"\nexport NODE_EXTRA_CA_CERTS={shlex.quote(endpoint.certificate)}"
    return f"""\
# Claude Code: https://code.claude.com/docs/en/monitoring-usage
{text}
# Metrics are sent once a minute, logs every five seconds; sooner while it is tried out:
export OTEL_METRIC_EXPORT_INTERVAL=5000
claude
"""


def _codex(endpoint: Endpoint) -> str:
    headers = f'"x-api-key" = "${{{TOKEN_VARIABLE}}}"' if endpoint.needs_token else ""
    lines = [
        "# Codex: https://developers.openai.com/codex/config-reference",
        "# Add to ~/.codex/config.toml:",
        "[otel]",
        "log_user_prompt = false  # true sends what is typed, too",
    ]
    keys = {"exporter": "logs", "trace_exporter": "traces", "metrics_exporter": "metrics"}
    for key, signal in keys.items():
        if endpoint.protocol == "grpc":
            kind, settings = "otlp-grpc", [f'endpoint = "{endpoint.url}"']
        else:
            kind, settings = (
                "otlp-http",
                [f'endpoint = "{endpoint.url}/v1/{signal}"', 'protocol = "binary"'],
            )
        lines += ["", f'[otel.{key}."{kind}"]', *settings]
        if headers:
            lines.append(f"headers = {{ {headers} }}")
        if endpoint.certificate:
            lines.append(f'tls = {{ "ca-certificate" = "{endpoint.certificate}" }}')
    if headers:
        lines.insert(2, f"# {TOKEN_VARIABLE}, in its environment, is one of the server's tokens.")
    return "\n".join(lines)


def _python(endpoint: Endpoint) -> str:
    return f"""\
# Python: https://opentelemetry.io/docs/zero-code/python/
# pip install opentelemetry-distro opentelemetry-exporter-otlp
# opentelemetry-bootstrap -a install
export OTEL_SERVICE_NAME=my-service
{_environment(endpoint, _ALL_SIGNALS)}
# Records of Python's own logging, too:
export OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED=true
opentelemetry-instrument python app.py
"""


def _node(endpoint: Endpoint) -> str:
    return f"""\
# Node.js: https://opentelemetry.io/docs/zero-code/js/
# npm install @opentelemetry/api @opentelemetry/auto-instrumentations-node
export OTEL_SERVICE_NAME=my-service
{_environment(endpoint, _ALL_SIGNALS)}
export NODE_OPTIONS="--require @opentelemetry/auto-instrumentations-node/register"
node app.js
"""


def _java(endpoint: Endpoint) -> str:
    return f"""\
# Java: https://opentelemetry.io/docs/zero-code/java/agent/
# The agent is opentelemetry-javaagent.jar of
# https://github.com/open-telemetry/opentelemetry-java-instrumentation/releases
export OTEL_SERVICE_NAME=my-service
{_environment(endpoint, _ALL_SIGNALS)}
export JAVA_TOOL_OPTIONS="-javaagent:opentelemetry-javaagent.jar"
java -jar app.jar
"""


def _go(endpoint: Endpoint) -> str:
    return f"""\
# Go: https://opentelemetry.io/docs/languages/go/exporters/
# Exporters of go.opentelemetry.io/contrib/exporters/autoexport
# (NewSpanExporter, NewMetricReader, NewLogExporter) read all of this;
# those of otlptracehttp, otlptracegrpc and the like read all but the
# protocol, which is in their names.
export OTEL_SERVICE_NAME=my-service
{_environment(endpoint, _ALL_SIGNALS)}
go run .
"""


def _dotnet(endpoint: Endpoint) -> str:
    return f"""\
# .NET: https://opentelemetry.io/docs/zero-code/dotnet/getting-started/
# The OTLP exporter of the SDK (AddOtlpExporter, UseOtlpExporter) reads the
# same variables; the lines with a dot and below are for the automatic
# instrumentation, once that is installed.
export OTEL_SERVICE_NAME=my-service
{_environment(endpoint, _ALL_SIGNALS)}
. "$HOME/.otel-dotnet-auto/instrument.sh"
dotnet run
"""


def _browser(endpoint: Endpoint) -> str:
    headers = ""
    if endpoint.needs_token:
        headers = (
            "        // Whoever opens the page can read it: a token that is for nothing else.\n"
            f'        headers: {{ "x-api-key": "{TOKEN_VARIABLE}" }},\n'
        )
    return f"""\
// Browser: https://opentelemetry.io/docs/languages/js/getting-started/browser/
// These versions go with each other; newer exporters do not with this SDK:
// npm install @opentelemetry/sdk-trace-web@2 @opentelemetry/exporter-trace-otlp-http@0.223
import {{ BatchSpanProcessor, WebTracerProvider }} from "@opentelemetry/sdk-trace-web";
import {{ OTLPTraceExporter }} from "@opentelemetry/exporter-trace-otlp-http";

const provider = new WebTracerProvider({{
  spanProcessors: [
    new BatchSpanProcessor(
      new OTLPTraceExporter({{
        url: "{endpoint.url}/v1/traces",
{headers}      }}),
    ),
  ],
}});
provider.register();

// The server has to allow the page's origin, in its config.toml or by
// OTLP2PARQUET_SERVER_CORS_ALLOWED_ORIGINS:
//   [server.cors]
//   allowed_origins = ["https://shop.example"]
"""


def _collector(endpoint: Endpoint) -> str:
    if endpoint.protocol == "grpc":
        name, lines = "otlp_grpc", [f"endpoint: {endpoint.url.partition('://')[2]}"]
    else:
        name, lines = "otlp_http", [f"endpoint: {endpoint.url}"]
    tls = []
    if endpoint.protocol == "grpc" and endpoint.url.startswith("http://"):
        tls.append("  insecure: true")
    if endpoint.certificate:
        tls.append(f"  ca_file: {endpoint.certificate}")
    if tls:
        lines += ["tls:", *tls]
    if endpoint.needs_token:
        lines += ["headers:", f"  x-api-key: ${{env:{TOKEN_VARIABLE}}}"]
    exporter = "\n".join(f"    {line}" for line in lines)
    pipelines = "\n".join(
        f"    {signal}:\n      receivers: [otlp]\n      exporters: [{name}]"
        for signal in ("logs", "traces", "metrics")
    )
    return f"""\
# OpenTelemetry Collector: https://opentelemetry.io/docs/collector/configuration/
# It has ports of its own for receiving, because the server has the usual
# ones. Older ones call the exporters otlphttp and otlp.
receivers:
  otlp:
    protocols:
      http:
        endpoint: 127.0.0.1:14318
      grpc:
        endpoint: 127.0.0.1:14317
exporters:
  {name}:
{exporter}
service:
  pipelines:
{pipelines}
"""


PROGRAMS: Final[Mapping[str, Callable[[Endpoint], str]]] = MappingProxyType(
    {
        "claude-code": _claude_code,
        "codex": _codex,
        "python": _python,
        "node": _node,
        "java": _java,
        "go": _go,
        "dotnet": _dotnet,
        "browser": _browser,
        "collector": _collector,
    }
)
"""Every program that there is a text for."""

ONLY_HTTP: Final = frozenset({"browser"})
"""Programs that cannot speak gRPC."""
