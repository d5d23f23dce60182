"""docs/five_minutes.md: the words around what ``five_minutes`` saw. Measures and runs nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

PAGE: Final = Path(__file__).parents[1] / "docs" / "five_minutes.md"

_TEXT: Final = """\
# Five minutes

<!-- Written by `make five-minutes`; do not edit. -->

From a wheel to the first answered question, as somebody does it for the first time. All of this
was typed into a fresh environment without Rust ({machine}), and is what a terminal of
80 columns showed; a test types it again. The commands took {total} seconds together:

| step | seconds |
|---|--:|
{rows}

## Install

Python 3.11 or newer is all that is needed. The wheel is one of those that `make wheels` makes
([for which systems](versions.md#wheels)); `query` is the extra that brings DuckDB, for questions.
In an empty folder, with the wheel copied into it:

{install}

## Receive

{dev}

It takes OTLP over HTTP and gRPC where exporters send by default, and `/` is
[a page](page.md) on which the same is shown as below. This terminal is left alone now.

## Send

In a second terminal, in the same folder, with the environment activated again
(`. .venv/bin/activate`):

{sdk}

A program with a span and a counter, `app.py`:

```python
{program}```

Where it sends is what `connect` prints, for [every language](sdks/index.md) and for tools such as
Claude Code:

{connect}

The last line is for programs that bring no SDK along, and ours does. So its variables alone are
set, and the program runs:

{send}

It prints nothing. What the first terminal shows at once:

{seen}

## Ask

Still in the second terminal, while the first one goes on:

{query}

The [cookbook](cookbook/index.md) has what people ask next, [asking](query.md) the views and
formats.

## Stop

Ctrl-C in the first terminal:

{stop}

And these are the files, for whatever reads Parquet:

{files}

From here: [a server that stays](deploy.md), [buckets](storage.md),
[tables of a catalog](catalogs.md), [captures that you have already](captures.md).
"""
_ROWS: Final = {
    "install": "environment and `pip install` of the wheel, nothing cached",
    "dev": "`otlp2parquet dev`, until it waits for telemetry",
    "sdk": "`pip install` of the SDK",
    "connect": "`otlp2parquet connect python`",
    "send": "the program, which asks `connect` again",
    "seen": "until the first terminal shows what it sent",
    "query": "`otlp2parquet query`",
    "stop": "Ctrl-C, until everything is stored",
}


def page(kept: Mapping[str, Any], program: str) -> str:
    """The page of a walk."""
    steps = kept["steps"]
    total = sum(steps[name]["secs"] for name in _ROWS)
    return _TEXT.format(
        machine=kept["machine"],
        total=round(total),
        rows="\n".join(f"| {text} | {steps[name]['secs']:.1f} |" for name, text in _ROWS.items()),
        program=program,
        **{name: _fences(step) for name, step in steps.items()},
    )


def _fences(step: Mapping[str, Any]) -> str:
    """What was typed, and what was seen."""
    parts = [f"```sh\n{step['typed']}\n```"] if step["typed"] else []
    seen = "\n".join(line.rstrip() for line in step["seen"].strip("\n").splitlines())
    if seen:
        parts.append(f"```text\n{seen}\n```")
    return "\n\n".join(parts)
