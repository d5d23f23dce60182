"""Programs built once: a cache folder outside the checkout, safe for several builders at once.

Knows folders, locks, ``go install``, npm and Python environments. Must not know what the
programs do.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

BUILD_SECS = 1800
"""A cold Collector build takes four minutes on two cores; past this the build hangs."""


class ComponentError(Exception):
    """A component could not be built or did not start; the message ends with its log."""


def cache_folder() -> Path:
    """Where built components live: ``$TESTS_CACHE``, else the user's cache folder."""
    chosen = os.environ.get("TESTS_CACHE")
    if chosen:
        return Path(chosen).absolute()
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base).absolute() / "otlp2parquet"


@contextmanager
def locked(name: str) -> Iterator[Path]:
    """Hold the cache's lock for ``name``: the second of two builders waits and finds it built."""
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder


def run_build(command: Sequence[str | Path], env: Mapping[str, str] | None = None) -> None:
    """Run one build step to its end.

    Raises ``ComponentError`` with the step's output when it fails, hangs or is not installed.
    """
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=BUILD_SECS,
            check=False,
        )
    except FileNotFoundError as error:
        message = f"{words[0]} is not installed; it is needed to build a test component"
        raise ComponentError(message) from error
    except subprocess.TimeoutExpired as error:
        message = f"{' '.join(words)} did not end within {BUILD_SECS} s"
        raise ComponentError(message) from error
    if done.returncode:
        message = f"{' '.join(words)} ended with {done.returncode}:\n{done.stdout[-8000:]}"
        raise ComponentError(message)


def go_install(package: str, version: str) -> Path:
    """The program of Go package ``package`` at ``version``, compiled on first use."""
    name = package.rsplit("/", 1)[-1]
    with locked(name) as folder:
        program = folder / f"{name}-{version}" / name
        if not program.exists():
            building = folder / f".{name}-{version}.building"
            shutil.rmtree(building, ignore_errors=True)
            building.mkdir()
            run_build(["go", "install", f"{package}@v{version}"], {"GOBIN": str(building)})
            program.parent.mkdir(exist_ok=True)
            (building / name).replace(program)
            building.rmdir()
    return program


def go_programs(name: str, source: Path, files: Sequence[str]) -> Path:
    """The folder with the programs of the Go module ``source``, compiled on first use.

    ``files`` are all that they are made of.
    """
    digest = hashlib.sha256()
    for file in files:
        digest.update((source / file).read_bytes())
    with locked(name) as cache:
        folder = cache / f"{name}-{digest.hexdigest()[:12]}"
        if not folder.exists():
            building = cache / f".{name}.building"
            shutil.rmtree(building, ignore_errors=True)
            building.mkdir()
            run_build(["go", "-C", source, "install", "./..."], {"GOBIN": str(building)})
            building.replace(folder)
    return folder


def npm_folder(
    name: str,
    source: Path,
    files: Sequence[str],
    *,
    beside: str = "",
    complete: Callable[[Path], None] = lambda _: None,
) -> Path:
    """The folder with ``files`` of ``source`` and the packages they lock, made on first use.

    ``complete`` puts into it what is no package of npm, which ``beside`` names.
    """
    digest = hashlib.sha256(beside.encode())
    for file in files:
        digest.update((source / file).read_bytes())
    with locked(name) as cache:
        folder = cache / f"{name}-{digest.hexdigest()[:12]}"
        if not folder.exists():
            building = cache / f".{name}.building"
            shutil.rmtree(building, ignore_errors=True)
            building.mkdir()
            for file in files:
                shutil.copy(source / file, building)
            run_build(["npm", "ci", "--no-audit", "--no-fund", "--prefix", building])
            complete(building)
            building.replace(folder)
    return folder


def python_environment(name: str, requirements: Sequence[str]) -> Path:
    """The Python of an environment of its own that has ``requirements``, made on first use."""
    digest = hashlib.sha256("\n".join(requirements).encode()).hexdigest()[:12]
    with locked(name) as cache:
        folder = cache / f"{name}-{digest}"
        python = folder / "bin" / "python"
        ready = folder / "ready"
        if not ready.exists():
            # An environment does not survive being moved: made in place, and marked when whole.
            shutil.rmtree(folder, ignore_errors=True)
            run_build([sys.executable, "-m", "venv", folder])
            pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            run_build([python, *pip, "--upgrade", "pip>=25.1"])
            run_build([python, *pip, *requirements])
            ready.touch()
    return python
