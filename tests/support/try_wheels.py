"""``python -m tests.support.try_wheels FOLDER``: what is made for other platforms, tried there.

Each wheel in the folder for which this machine has, or can get, a Python of its platform is
installed there with all that it needs, in a folder of its own. Then it tells its version, decodes
every vector of the tests, converts a capture, and serves and stores one request of each signal.
What it makes must be what the extension of this checkout makes, to the byte. Of FOLDER/lambda the
zip for the other processor is given an event of each signal. What cannot be run is named, with the
reason, and is no failure. Builds nothing: `make wheels` and `make lambda` do.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import zipfile
from functools import cache, partial
from pathlib import Path
from platform import machine
from typing import TYPE_CHECKING, Any, Final

from otlp2parquet.core.signals import SIGNALS
from tests.components.cache import ComponentError
from tests.components.foreign_python import ForeignPython, debian_python, musl_python
from tests.components.process import RunningProcess, wait_until
from tests.components.wine_python import wine_python
from tests.support import wheel_trial
from tests.support.lambda_events import function_url
from tests.support.shapes import every_field
from tests.vectors import recorded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from otlp2parquet import Signal

PROJECT: Final = Path(__file__).parents[2]
SECS: Final = 600
"""An emulated processor is ten times slower than this one, and this one may be busy."""
RECEIVED_AT: Final = "2026-01-01T00:00:00Z"
PYTHONS: Final[dict[str, Callable[[], ForeignPython]]] = {
    **{f"manylinux_2_28_{one}": partial(debian_python, one) for one in ("x86_64", "aarch64")},
    f"musllinux_1_2_{machine()}": musl_python,
    "win_amd64": wine_python,
    # The zips, whose names have the version of the Python that made them.
    "python3.11-arm64": partial(debian_python, "aarch64"),
}


CALL: Final = """\
import json, os
os.environ["OTLP2PARQUET_STORAGE_PATH"] = "data"
os.environ["OTLP2PARQUET_DURABILITY_PATH"] = "log"
os.environ["AWS_LAMBDA_FUNCTION_NAME"] = "telemetry"
os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] = "1024"
os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
from otlp2parquet.platforms.aws_lambda import handler
class Context:
    def get_remaining_time_in_millis(self):
        return 30000
with open("events") as events, open("answers", "w") as answers:
    for line in events:
        print(json.dumps(handler(json.loads(line), Context())), file=answers)
"""
"""What calls the function, with nothing of the tests beside it."""


class TrialError(Exception):
    """A wheel does not do what it should."""


def main(folder: Path, *tags: str) -> int:
    """Try all, or what has one of the given tags; 1 if something does not do what it should."""
    return max(
        (
            tried(tag, path)
            for path in [*sorted(folder.glob("*.whl")), *sorted(folder.glob("lambda/*.zip"))]
            for tag in [re.sub(r".*-(abi3|lambda)-|\.(whl|zip)$", "", path.name)]
            if not tags or tag in tags
        ),
        default=0,
    )


def tried(tag: str, path: Path) -> int:
    """Try one, and say what was found; 1 if it does not do what it should."""
    try:
        if tag not in PYTHONS:
            say(f"{tag}: not run: no Python for it is to be had here")
            return 0
        python = PYTHONS[tag]()
    except ComponentError as error:
        say(f"{tag}: not run: {error}")
        return 0
    say(f"{tag}: {python.with_what}")
    steps = steps_of_zip if path.suffix == ".zip" else steps_of_wheel
    with tempfile.TemporaryDirectory(prefix="try-wheel-") as name:
        try:
            for said in steps(python, path, Path(name)):
                say(f"{tag}: {said}")
        except (TrialError, ComponentError) as error:
            say(f"{tag}: {error}")
            return 1
    return 0


def say(text: str) -> None:
    """To a person, at once: a trial takes minutes."""
    print(text, flush=True)  # noqa: T201 - a person asks


def steps_of_wheel(python: ForeignPython, wheel: Path, folder: Path) -> Iterator[str]:
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
    yield f"{serve(python, folder)} files stored of what a killed server had acknowledged"


def steps_of_zip(python: ForeignPython, path: Path, folder: Path) -> Iterator[str]:
    """A function of AWS Lambda: its handler is called as AWS's runtime calls it."""
    with zipfile.ZipFile(path) as packed:
        packed.extractall(folder / "site")
    (folder / "events").write_text("".join(f"{json.dumps(event(one))}\n" for one in SIGNALS))
    (folder / "call.py").write_text(CALL, "ascii")
    run(python, folder, "call.py")
    answers = [json.loads(line) for line in (folder / "answers").read_text("utf-8").splitlines()]
    if [answer["statusCode"] for answer in answers] != [http.client.OK] * len(SIGNALS):
        raise TrialError(f"found {answers}, expected that each is taken")
    stored = files(folder / "data")
    if not all(any(name.startswith(f"{one}/") for name in stored) for one in SIGNALS):
        raise TrialError(f"found {sorted(stored)}, expected files of {SIGNALS}")
    yield f"{len(answers)} events answered, {len(stored)} files stored"


def event(name: Signal) -> dict[str, Any]:
    """What a Function URL makes of an export request."""
    body = every_field(name).SerializeToString()
    return function_url("POST", f"/v1/{name}", [(b"content-type", b"application/x-protobuf")], body)


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
    """Send a server one request of each signal, kill it, start it again; how many files it stored.

    So what it stores has been read from its log.
    """
    with started(python, folder, "first.log") as server:
        connection = http.client.HTTPConnection("127.0.0.1", port_of(server), timeout=SECS)
        for each in SIGNALS:
            body = every_field(each).SerializeToString()
            headers = {"Content-Type": "application/x-protobuf"}
            connection.request("POST", f"/v1/{each}", body, headers)
            answer = connection.getresponse()
            if answer.status != http.client.OK:
                raise TrialError(f"found {answer.status} {answer.read()!r}, expected 200")
            answer.read()
        connection.close()
        server.kill()
    expected = len(files(folder / "here"))
    with started(python, folder, "second.log") as server:
        # What replaces SIGTERM on Windows is not to be had from outside of Wine.
        if python.takes_signals:
            server.process.send_signal(signal.SIGTERM)
            if server.process.wait(SECS):
                raise TrialError(server.describe(f"ended with {server.process.returncode}"))
        else:
            wait_until(
                lambda: len(files(folder / "data")) >= expected,
                SECS,
                lambda: server.describe("has not stored all"),
            )
            server.kill()
    stored = files(folder / "data")
    if len(stored) != expected:
        raise TrialError(server.describe(f"has stored {sorted(stored)}"))
    return len(stored)


def started(python: ForeignPython, folder: Path, log: str) -> RunningProcess:
    """The server on a port of its own, over the folder's ``data``."""
    words = [*python.command, "-m", "otlp2parquet", "-p", "0"]
    environ = {**environ_of(python), "OTLP2PARQUET_GRPC_ADDR": "127.0.0.1:0"}
    server = RunningProcess(words, folder / log, env=environ, cwd=folder)
    server.wait_ready(lambda: port_of(server) is not None, SECS)
    return server


def port_of(server: RunningProcess) -> int | None:
    """Where it listens, as it says itself."""
    found = re.search(r"\bHTTP 127\.0\.0\.1:(\d+), ", server.log)
    return None if found is None else int(found[1])


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), *sys.argv[2:]))
