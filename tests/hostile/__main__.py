"""``python -m tests.hostile``: try every hostile input, and write the page of what came of it."""

from __future__ import annotations

import resource
import sys
import tempfile
from pathlib import Path

from tests.components import Server
from tests.hostile.inputs import INPUTS, SILENCE, Input
from tests.hostile.slow import Figures, among_slow_clients
from tests.hostile.trying import (
    MOST_CPU_SECS,
    Outcome,
    attempt,
    cut_everywhere,
    most_mib,
)
from tests.support.encoded import ENCODERS

PAGE = Path(__file__).parents[2] / "docs" / "hostile_inputs.md"
SLOW_CLIENTS = 1000

_HEAD = """\
# Hostile inputs

<!-- Written by `make hostile`; not to be edited. -->

What was sent to a server with default settings (64 MiB a body, 512 MiB for rows), each input to a
process of its own, what it answered, the processor time that it cost, and by how much the peak of
the process's memory (resident set, as the kernel keeps it) was above what it had before. Any
request may cost {cpu_secs} s of CPU, and of memory 6 times its decoded size and 128 MiB; most are
allowed less. After each input a good request was answered with 200, and every server ended with
exit code 0 (but for those left with 10,000 files to write, which were not waited for). A dash is a
connection closed without an answer; that and other refusals are equally good where there is no
request that could be answered.

{inputs} inputs, {cuts} cut bodies, {clients:,} slow clients: 0 crashes, and no body taken that was
not whole. Idle, the process has {idle:.0f} MiB.
"""


def on_a_server(hostile: Input) -> Outcome:
    """One input, one process."""
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder)) as server:
        outcome = attempt(server, server.port, hostile)
        if hostile.many_files:
            server.kill()
        else:
            assert server.stop() == 0, server.log
        assert "panicked" not in server.log, server.log
    return outcome


def allowed(hostile: Input) -> int:
    """MiB that an input may cost: its own bound, or that of any request."""
    return min(hostile.most_mib, most_mib(hostile.make()))


def size(count: int) -> str:
    """Bytes for people."""
    for unit, name in ((1 << 20, "MiB"), (1 << 10, "KiB")):
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count} B"


def inputs_section(outcomes: dict[Input, Outcome]) -> list[str]:
    """A table for each family."""
    lines = []
    for family in dict.fromkeys(hostile.family for hostile in outcomes):
        lines += [f"## {family.capitalize()}", ""]
        lines += ["| input | sent | answer | CPU, s | peak, MiB | allowed |"]
        lines += ["|---|--:|--:|--:|--:|--:|"]
        for hostile, one in outcomes.items():
            if hostile.family == family:
                answer = "-" if one.answer == SILENCE else one.answer
                lines.append(
                    f"| {hostile.name} | {size(one.sent_bytes)} | {answer} | {one.cpu_secs:.2f} "
                    f"| {one.grown:.0f} | {allowed(hostile)} |"
                )
        lines.append("")
    return lines


def cuts_section(cuts: dict[str, dict[int, int]]) -> list[str]:
    """How often which answer was given to a cut body."""
    lines = ["## Bodies cut at every byte", ""]
    lines += ["Once with an announced length, once in chunks, cut in body and framing.", ""]
    lines += ["| encoding | cuts | answers |", "|---|--:|---|"]
    for encoding, answers in cuts.items():
        told = ", ".join(
            f"{'closed' if answer == SILENCE else answer}: {count}"
            for answer, count in sorted(answers.items())
        )
        lines.append(f"| {encoding} | {sum(answers.values())} | {told} |")
    return [*lines, ""]


def slow_section(figures: Figures) -> list[str]:
    """The good client's pace."""
    before, during = figures.before, figures.during
    return [
        "## Slow clients",
        "",
        f"{figures.clients:,} connections that say nothing, trickle a byte of their head, of their",
        "body or of a chunk every half second, or send requests and never read. A good client",
        f"sends {during.requests:,} requests over one connection, and each is answered with 200.",
        "",
        "| good client | p50, ms | p99, ms |",
        "|---|--:|--:|",
        f"| alone | {before.p50:.2f} | {before.p99:.2f} |",
        f"| among them | {during.p50:.2f} | {during.p99:.2f} |",
        "",
        (
            f"They cost {figures.grown:.0f} MiB of memory, "
            f"{figures.grown * 1024 / figures.clients:.0f} KiB each."
        ),
        "",
    ]


def main() -> int:
    """Try all, write the page."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))
    outcomes = {}
    over = []
    for hostile in INPUTS:
        outcomes[hostile] = one = on_a_server(hostile)
        print(f"{hostile.family}: {hostile.name}: {one}", file=sys.stderr, flush=True)
        if one.grown > allowed(hostile) or one.cpu_secs > MOST_CPU_SECS:
            over.append((hostile.name, one))
    assert not over, over
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder)) as server:
        cuts = {encoding: cut_everywhere(server.port, encoding) for encoding in ENCODERS}
        assert not [a for answers in cuts.values() for a in answers if SILENCE < a < 400], cuts
        assert server.stop() == 0, server.log
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder)) as server:
        figures = among_slow_clients(server, server.port, SLOW_CLIENTS, 2000)
        assert server.stop() == 0, server.log
    count = sum(sum(answers.values()) for answers in cuts.values())
    top = _HEAD.format(
        inputs=len(outcomes),
        cuts=count,
        clients=figures.clients,
        cpu_secs=MOST_CPU_SECS,
        idle=min(one.before for one in outcomes.values()),
    )
    lines = [*inputs_section(outcomes), *cuts_section(cuts), *slow_section(figures)]
    PAGE.write_text(top + "\n" + "\n".join(lines).rstrip() + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
