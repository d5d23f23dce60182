"""``python -m tests.support.try_wheels FOLDER``: wheels of other platforms, installed and run.

Each wheel in the folder for which this machine has, or can get, a Python of its platform is
installed there with all that it needs, in a folder of its own. Then it tells its version, decodes
every vector of the tests, converts a capture, and serves and stores one request of each signal.
What it makes must be what the extension of this checkout makes, to the byte. A wheel that cannot
be run is named, with the reason, and is no failure. Builds no wheel: `make wheels` does.
"""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.components.cache import ComponentError
from tests.components.foreign_python import ForeignPython, debian_python, musl_python
from tests.components.process import RunningProcess
from tests.support import wheel_trial
from tests.support.shapes import every_field
from tests.vectors import recorded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

PROJECT: Final = Path(__file__).parents[2]
SIGNALS: Final = ("logs", "traces", "metrics")
SECS: Final = 600
"""An emulated processor is ten times slower than this one, and this one may be busy."""
RECEIVED_AT: Final = "2026-01-01T00:00:00Z"
PYTHONS: Final[dict[str, Callable[[], ForeignPython]]] = {
    "manylinux_2_28_x86_64": lambda: debian_python("x86_64"),
    "manylinux_2_28_aarch64": lambda: debian_python("aarch64"),
    "musllinux_1_2_x86_64": lambda: musl_python("x86_64"),
    "musllinux_1_2_aarch64": lambda: musl_python("aarch64"),
}


class TrialError(Exception):
    """A wheel does not do what it should."""


def main(folder: Path, *tags: str) -> int:
    """Try all wheels, or those with the given tags; 1 if one does not do what it should."""
    code = 0
    for wheel in sorted(folder.glob("otlp2parquet-*.whl")):
        platform = re.sub(r".*-abi3-|\.whl$", "", wheel.name)
        if tags and platform not in tags:
            continue
        try:
            if platform not in PYTHONS:
                say(f"{platform}: not run: no Python of this platform is to be had here")
                continue
            python = PYTHONS[platform]()
        except ComponentError as error:
            say(f"{platform}: not run: {error}")
            continue
        say(f"{platform}: {python.with_what}")
        with tempfile.TemporaryDirectory(prefix="try-wheel-") as name:
            try:
                for said in steps(python, wheel, Path(name)):
                    say(f"{platform}: {said}")
            except (TrialError, ComponentError) as error:
                say(f"{platform}: {error}")
                code = 1
    return code


def say(text: str) -> None:
    """To a person, at once: a trial takes minutes."""
    print(text, flush=True)  # noqa: T201 - a person asks


def steps(python: ForeignPython, wheel: Path, folder: Path) -> Iterator[str]:
    """What has been found right, one thing after another; `TrialError` at the first wrong one."""
    install(python, wheel, folder / "site")
    yield "installed"
    version = run(python, folder, "-m", "otlp2parquet", "--version").strip()
    if "native (compiled)" not in version:
        raise TrialError(f"found {version!r}, expected the native decoder")
    yield version
    requests, here = decoded()
    (folder / "vectors").write_text(requests, "ascii")
    program = Path(wheel_trial.__file__)
    (folder / program.name).write_bytes(program.read_bytes())
    tags = wheel.stem.split("-", 2)[2]
    taken, *there = run(python, folder, program.name, tags, "vectors").splitlines()
    if taken not in tags:
        raise TrialError(f"found {taken!r}, expected the platform to take {tags}")
    if there != list(here):
        wrong = [
            number for number, pair in enumerate(zip(there, here, strict=False)) if len({*pair}) > 1
        ]
        raise TrialError(f"found {len(there)} answers, expected {len(here)}; others at {wrong}")
    yield f"{len(there)} requests of the vectors decoded as here"
    yield f"{compare_files(python, folder)} files of a capture, with the bytes that they have here"
    yield f"{serve(python, folder)} files of what the server acknowledged, stored at its end"


def install(python: ForeignPython, wheel: Path, site: Path) -> None:
    """The wheel and all that it needs, for that platform; pip refuses what is not for it."""
    words = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    words += ["--target", str(site), "--only-binary", ":all:", "--python-version", "3.11"]
    words += [word for tag in python.platforms for word in ("--platform", tag)]
    called("pip", [*words, str(wheel.absolute()), "packaging", *python.packages])


def run(python: ForeignPython, folder: Path, *words: str) -> str:
    """What that Python prints, with the installed packages and nothing of this checkout."""
    return called(
        words[-1] if words[0] == "-m" else words[0],
        [*map(str, python.command), *words],
        environ_of(python),
        folder,
    )


def environ_of(python: ForeignPython) -> dict[str, str]:
    """Of its processes: paths are relative, because a platform may write others in its own way."""
    given = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "PYTHONPATH": "site"}
    return {**given, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUTF8": "1", **python.environ}


def called(
    what: str,
    words: Sequence[str],
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> str:
    """Run to the end, and give what was printed."""
    try:
        done = subprocess.run(
            words,
            cwd=folder,
            env=environ,
            capture_output=True,
            text=True,
            timeout=SECS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise TrialError(f"{what} did not end within {SECS} s") from error
    if done.returncode:
        raise TrialError(
            f"{what} ended with {done.returncode}:\n{done.stdout}{done.stderr[-4000:]}"
        )
    return done.stdout


@cache
def decoded() -> tuple[str, tuple[str, ...]]:
    """The requests of all vectors, and what the extension of this checkout makes of them."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "vectors"
        words = [sys.executable, "-m", "pytest", "tests/vectors", "-q", "-x"]
        words += ["-p", "tests.vectors.recorded"]
        called("pytest", words, {**os.environ, recorded.VARIABLE: str(path)}, PROJECT)
        requests = path.read_text("ascii")
    return requests, tuple(wheel_trial.digests(requests))


def compare_files(python: ForeignPython, folder: Path) -> int:
    """Convert a capture there and here: the same files with the same bytes; how many."""
    (folder / "capture").mkdir()
    for each in SIGNALS:
        (folder / "capture" / f"{each}.binpb").write_bytes(every_field(each).SerializeToString())
    convert = ["-m", "otlp2parquet", "convert", "capture", "--received-at", RECEIVED_AT, "-o"]
    run(python, folder, *convert, "there")
    called("convert", [sys.executable, *convert, "here"], folder=folder)
    there, here = (files(folder / name) for name in ("there", "here"))
    if there != here or not here:
        same = [name for name in here if there.get(name) == here[name]]
        raise TrialError(f"found {sorted(there)}, expected {sorted(here)}; equal are {same}")
    return len(here)


def files(folder: Path) -> dict[str, bytes]:
    """The Parquet files in a folder, by their place in it."""
    found = folder.rglob("*.parquet")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(found)}


def serve(python: ForeignPython, folder: Path) -> int:
    """Send the server one request of each signal and stop it; how many files it has stored."""
    words = [*python.command, "-m", "otlp2parquet", "-p", "0"]
    environ = {**environ_of(python), "OTLP2PARQUET_GRPC_ADDR": "127.0.0.1:0"}
    server = RunningProcess(words, folder / "server.log", env=environ, cwd=folder)

    def port() -> int | None:
        found = re.search(r"\bHTTP 127\.0\.0\.1:(\d+), ", server.log)
        return None if found is None else int(found[1])

    server.wait_ready(lambda: port() is not None, SECS)
    with server:
        connection = http.client.HTTPConnection("127.0.0.1", port(), timeout=SECS)
        for each in SIGNALS:
            body = every_field(each).SerializeToString()
            headers = {"Content-Type": "application/x-protobuf"}
            connection.request("POST", f"/v1/{each}", body, headers)
            answer = connection.getresponse()
            if answer.status != http.client.OK:
                raise TrialError(f"found {answer.status} {answer.read()!r}, expected 200")
            answer.read()
        connection.close()
        server.process.send_signal(signal.SIGTERM)
        if server.process.wait(SECS):
            raise TrialError(server.describe(f"ended with {server.process.returncode}"))
    stored = files(folder / "data")
    if len(stored) != len(files(folder / "here")):
        raise TrialError(server.describe(f"has stored {sorted(stored)}"))
    return len(stored)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), *sys.argv[2:]))
