"""``python -m tests.hostile.grpc_page``: every hostile input to gRPC, and the page of what came."""

from __future__ import annotations

import resource
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.components import Server
from tests.hostile.__main__ import size
from tests.hostile.grpc_inputs import GRPC_INPUTS, SILENCE, GrpcInput
from tests.hostile.grpc_slow import CallFigures, among_slow_calls
from tests.hostile.grpc_trying import attempt

if TYPE_CHECKING:
    from tests.hostile.trying import Outcome

PAGE = Path(__file__).parents[2] / "docs" / "hostile_grpc.md"
SLOW_CALLS = 1000
NAMES = {
    SILENCE: "-",
    0: "OK",
    2: "UNKNOWN",
    3: "INVALID_ARGUMENT",
    4: "DEADLINE_EXCEEDED",
    8: "RESOURCE_EXHAUSTED",
    12: "UNIMPLEMENTED",
    13: "INTERNAL",
    14: "UNAVAILABLE",
}

_HEAD = """\
# Hostile inputs to OTLP/gRPC

<!-- Written by `make hostile`; not to be edited. -->

What was sent to the port of OTLP/gRPC of a server with default settings, what came back, and by how
much the peak of its memory (resident set) was above what it had before. After each input a good
call and a good request over HTTP were taken. A dash is a connection that was closed, or left
without an answer, which is as good where there is no call that could be answered.

{inputs} inputs, {clients:,} slow connections: 0 crashes, and nothing kept that was not answered
with OK.
"""


def inputs_section(outcomes: dict[GrpcInput, Outcome]) -> list[str]:
    """A table for each family."""
    lines = []
    for family in dict.fromkeys(hostile.family for hostile in outcomes):
        lines += [f"## {family.capitalize()}", ""]
        lines += ["| input | sent | answer | peak, MiB | allowed |", "|---|--:|--:|--:|--:|"]
        lines += [
            f"| {hostile.name} | {size(one.sent_bytes)} | {NAMES[one.answer]} | {one.grown:.0f} "
            f"| {hostile.most_mib} |"
            for hostile, one in outcomes.items()
            if hostile.family == family
        ]
        lines.append("")
    return lines


def slow_section(figures: CallFigures) -> list[str]:
    """The good clients' paces."""
    lines = [
        "## Slow connections",
        "",
        f"{figures.over_grpc.clients:,} connections that say nothing, nothing behind the preface,",
        "begin a call and never send its message, send a byte of it every half second, or make",
        "fifty calls and read no answer. Every request of good clients of both fronts is taken.",
        "",
        "| good client | alone, p50 ms | p99 ms | among them, p50 ms | p99 ms |",
        "|---|--:|--:|--:|--:|",
    ]
    for name, one in (("HTTP", figures.over_http), ("gRPC", figures.over_grpc)):
        lines.append(
            f"| {name} | {one.before.p50:.2f} | {one.before.p99:.2f} | {one.during.p50:.2f} "
            f"| {one.during.p99:.2f} |"
        )
    grown, clients = figures.over_grpc.grown, figures.over_grpc.clients
    cost = f"They cost {grown:.0f} MiB of memory, {grown * 1024 / clients:.0f} KiB each."
    return [*lines, "", cost, ""]


def main() -> int:
    """Try all, write the page."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))
    outcomes = {}
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder), grpc=True) as server:
        for hostile in GRPC_INPUTS:
            outcomes[hostile] = one = attempt(server, hostile)
            print(f"{hostile.family}: {hostile.name}: {one}", file=sys.stderr, flush=True)  # noqa: T201
            assert one.grown <= hostile.most_mib, (hostile.name, one)
        assert server.stop() == 0, server.log
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder), grpc=True) as server:
        figures = among_slow_calls(server, SLOW_CALLS, 1000)
        assert server.stop() == 0, server.log
    top = _HEAD.format(inputs=len(outcomes), clients=SLOW_CALLS)
    lines = [*inputs_section(outcomes), *slow_section(figures)]
    PAGE.write_text(top + "\n" + "\n".join(lines).rstrip() + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
