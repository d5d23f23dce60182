"""``python -m benchmarks.five_minutes WHEEL``: a new user's five minutes, walked and timed.

Types what the page says into a fresh environment without Rust, on terminals of 80 columns, and
keeps what it saw and how long it took in ``results/five_minutes.json``, of which
docs/five_minutes.md is made (``--page`` alone makes it). A test walks the same way again, without
the installation.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypedDict

from tests.docs.documents import block_to_run
from tests.support.terminal import COLOURS, Program

from .five_minutes_page import PAGE, page

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

RESULT: Final = Path(__file__).with_name("results") / "five_minutes.json"
COLUMNS: Final = 80
HERE: Final = "~/first"
"""The folder that the page speaks of."""

ENVIRONMENT: Final = "python3 -m venv .venv\n. .venv/bin/activate\n"
INSTALL: Final = "pip install './{wheel}[query]'"
SDK: Final = "pip install opentelemetry-sdk opentelemetry-exporter-otlp-proto-http"
DEV: Final = "otlp2parquet dev"
CONNECT: Final = "otlp2parquet connect python"
SEND: Final = 'eval "$(otlp2parquet connect python --env)"\npython app.py'
QUERY: Final = (
    'otlp2parquet query "SELECT SpanName, Duration / 1e6 AS ms, SpanAttributes FROM traces"'
)
FILES: Final = "find data -name '*.parquet'"


class WalkError(Exception):
    """Something that a new user types did not work; the message is what was seen."""


class Step(TypedDict):
    """What was typed, what was seen, and how long it took."""

    typed: str
    seen: str
    secs: float


def program() -> str:
    """The program of the guide for Python."""
    return block_to_run("sdks/python.md", "python", "shop").code


def clean(environ: Mapping[str, str]) -> dict[str, str]:
    """An environment that knows nothing of OTLP, of other Pythons, and of Rust."""
    foreign = re.compile(r"OTLP2PARQUET_|OTEL_|PYTHON|VIRTUAL_ENV|COLUMNS|LINES|CARGO|RUST")
    kept = {name: value for name, value in environ.items() if not foreign.match(name)}
    folders = kept.get("PATH", os.defpath).split(os.pathsep)
    rust = ("cargo", "rustc")
    path = [one for one in folders if not any((Path(one) / name).exists() for name in rust)]
    return kept | {"PATH": os.pathsep.join(path), "TERM": "xterm"}


def typed(command: str, folder: Path, environ: Mapping[str, str]) -> Step:
    """A command on a terminal, to its end."""
    begun = time.monotonic()
    shell = ["/bin/sh", "-euc", command]
    with Program(shell, cwd=folder, env=environ, columns=COLUMNS) as running:
        code = running.process.wait()
    secs = time.monotonic() - begun
    if code:
        raise WalkError(f"{command}\n{running.out}")
    return Step(typed=command, seen=as_shown(running, folder), secs=round(secs, 2))


def as_shown(running: Program, folder: Path) -> str:
    """What stands on the terminal, in black and white, as if in the page's folder."""
    return COLOURS.sub("", running.out).replace(str(folder), HERE)


@contextmanager
def receiving(folder: Path, environ: Mapping[str, str]) -> Iterator[tuple[Program, Step]]:
    """``dev`` in a terminal of its own, once it says that it waits."""
    begun = time.monotonic()
    command = ["/bin/sh", "-c", f"exec {DEV}"]
    with Program(command, cwd=folder, env=environ, columns=COLUMNS) as running:
        running.wait_for("Waiting for telemetry")
        secs = time.monotonic() - begun
        yield running, Step(typed=DEV, seen=as_shown(running, folder), secs=round(secs, 2))


def walk(folder: Path, environ: Mapping[str, str], address: str | None = None) -> dict[str, Step]:
    """All that is typed once everything is installed; ``address`` instead of the usual one."""
    (folder / "app.py").write_text(program(), "utf-8")
    usual = {} if address is None else {"OTLP2PARQUET_LISTEN_ADDR": address}
    with receiving(folder, {**environ, **usual}) as (dev, started):
        where = re.search(r"OTLP/HTTP +http://(\S+)", dev.out)
        if where is None:
            raise WalkError(dev.out)
        environ = environ if address is None else {**environ, "OTLP2PARQUET_LISTEN_ADDR": where[1]}
        steps = {"dev": started, "connect": typed(CONNECT, folder, environ)}
        steps["send"] = typed(SEND, folder, environ)
        begun = time.monotonic()
        dev.wait_for("checkout", "shop.orders")
        secs = time.monotonic() - begun
        steps["seen"] = Step(
            typed="", secs=round(secs, 2), seen=since(dev, folder, started["seen"])
        )
        steps["query"] = typed(QUERY, folder, environ)
        before = as_shown(dev, folder)
        begun = time.monotonic()
        if dev.stop(signal.SIGINT):
            raise WalkError(dev.out)
        secs = time.monotonic() - begun
        steps["stop"] = Step(typed="", secs=round(secs, 2), seen=since(dev, folder, before))
    steps["files"] = typed(FILES, folder, environ)
    return steps


def since(running: Program, folder: Path, before: str) -> str:
    """What has come onto the terminal since then."""
    return as_shown(running, folder).removeprefix(before)


def installed(folder: Path, wheel: Path, environ: Mapping[str, str]) -> dict[str, Step]:
    """A fresh environment with the wheel and the SDK, from the registry, none of it at hand."""
    shutil.copy(wheel, folder)
    steps = {}
    alone = {**environ, "PIP_NO_CACHE_DIR": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    for name, command in {
        "install": ENVIRONMENT + INSTALL.format(wheel=wheel.name),
        "sdk": SDK,
    }.items():
        begun = time.monotonic()
        done = subprocess.run(
            ["/bin/sh", "-euc", command], cwd=folder, env=alone, capture_output=True, check=False
        )
        if done.returncode:
            raise WalkError(f"{command}\n{done.stdout.decode()}\n{done.stderr.decode()}")
        steps[name] = Step(typed=command, seen="", secs=round(time.monotonic() - begun, 2))
        alone["PATH"] = f"{folder / '.venv' / 'bin'}{os.pathsep}{environ['PATH']}"
    return steps


def measured(wheel: Path) -> dict[str, Step]:
    """The whole way."""
    with tempfile.TemporaryDirectory(prefix="first-") as name:
        folder = Path(name).resolve()
        environ = clean(os.environ)
        steps = installed(folder, wheel, environ)
        environ["PATH"] = f"{folder / '.venv' / 'bin'}{os.pathsep}{environ['PATH']}"
        return steps | walk(folder, environ)


def main(words: Sequence[str]) -> None:
    """Measure with a wheel, or write the page alone."""
    if words != ["--page"]:
        (wheel,) = (Path(word) for word in words)
        kept = {
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python "
            f"{platform.python_version()}",
            "wheel": wheel.name,
            "steps": measured(wheel),
        }
        RESULT.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", "utf-8")
    PAGE.write_text(page(json.loads(RESULT.read_text("utf-8")), program()), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
