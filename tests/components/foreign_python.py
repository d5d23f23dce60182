"""Pythons of other platforms that run on this machine: Linux of another processor or C library.

Knows Debian's packages, which are unpacked into the cache and not installed, and what runs them.
Must not know what is run. Whoever lacks apt, or a mirror that has the other processor's packages,
gets a `ComponentError` that says so.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .cache import ComponentError, locked, run_build

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

VERSION: Final = "3.11"
"""The oldest that the wheels are for."""
PYTHON: Final = ("python3-minimal", "libpython3-stdlib", "libstdc++6")
"""And what pyarrow's wheels rely on a system for."""
DEBIAN: Final = {"aarch64": "arm64", "x86_64": "amd64"}


@dataclass(frozen=True, slots=True)
class ForeignPython:
    """A Python that this machine's own system would not start, and how it is started."""

    command: tuple[str | Path, ...]
    platforms: tuple[str, ...]
    """The tags of the wheels that pip shall take for it."""
    with_what: str
    """What runs it, for whoever reads what was tried."""
    environ: Mapping[str, str] = field(default_factory=dict)
    takes_signals: bool = True
    packages: tuple[str, ...] = ()
    """What the package needs on that platform alone: pip asks for this one's."""


def debian_python(machine: str) -> ForeignPython:
    """Debian's own Python for a processor, by QEMU where it is not this machine's."""
    root = _packages(f"debian-python-{machine}", machine, PYTHON)
    runner = () if machine == platform.machine() else (find_qemu(machine), "-L", root)
    return ForeignPython(
        (*runner, root / "usr" / "bin" / f"python{VERSION}"),
        (
            *(f"manylinux_2_{minor}_{machine}" for minor in range(28, 16, -1)),
            f"manylinux2014_{machine}",
        ),
        f"Debian's Python {VERSION}" + (" under QEMU" if runner else ""),
    )


def find_qemu(machine: str) -> Path:
    """QEMU for programs of another processor: on the PATH, or out of Debian's package."""
    name = f"qemu-{machine}-static"
    found = shutil.which(name)
    if found is not None:
        return Path(found)
    root = _packages("qemu-user-static", platform.machine(), ("qemu-user-static",), alone=True)
    return root / "usr" / "bin" / name


def musl_python() -> ForeignPython:
    """CPython out of Debian's sources, compiled for Debian's musl, for this machine's processor.

    It has zlib, and of the other libraries that CPython may use none: no ssl, no ctypes. (zig's
    musl is younger than what loads it here, and its programs miss symbols in that.)
    """
    machine = platform.machine()
    name = f"musl-python-{machine}"
    with locked(name) as cache:
        folder = cache / name
        ready = folder / "ready"
        if not ready.exists():
            # A Python knows its folder, and that of its loader: made in place, marked when whole.
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            _compile_for_musl(folder, machine)
            ready.touch()
    return ForeignPython(
        (folder / "root" / "bin" / f"python{VERSION}",),
        tuple(f"musllinux_1_{minor}_{machine}" for minor in (2, 1)),
        f"CPython {VERSION} compiled for Debian's musl",
    )


def _compile_for_musl(folder: Path, machine: str) -> None:
    """``root`` in the folder; the sources and what was compiled of them go."""
    ours = shutil.which(f"python{VERSION}")
    if ours is None:
        message = f"python{VERSION} is needed to compile another one"
        raise ComponentError(message)
    musl = folder / "musl"
    _unpack(musl, machine, ("musl", "musl-dev", "musl-tools"), alone=True)
    # Debian's own words to gcc, said of the folder.
    specs = musl / "usr" / "lib" / f"{machine}-linux-musl" / "musl-gcc.specs"
    text = specs.read_text("utf-8").replace("/usr/", f"{musl}/usr/")
    specs.write_text(text.replace(" /lib/ld-musl", f" {musl}/lib/ld-musl"), "utf-8")
    # On a Debian that is installed these two folders are one; without it gcc would link libc.a,
    # and such a Python loads no extension.
    shared = f"lib/{machine}-linux-musl/libc.so"
    (musl / "usr" / shared).symlink_to(musl / shared)
    sources, building, libraries = (folder / name for name in ("sources", "building", "libraries"))
    for one in (sources, building, libraries):
        one.mkdir()
    _sources(sources, f"python{VERSION}", "zlib")
    compiler = folder / "cc"
    # configure asks for the system's name, and gcc would say that of its own.
    asked = '[ "$1" = --print-multiarch ] && exit'
    compiler.write_text(f'#!/bin/sh\n{asked}\nexec gcc -specs {specs} "$@"\n', "utf-8")
    compiler.chmod(0o755)
    environ = {"CC": str(compiler)}
    (zlib,) = sources.glob("zlib-*")
    run_build(["env", "-C", zlib, "CFLAGS=-O2 -fPIC", "./configure", "--static"], environ)
    run_build(["make", "-C", zlib, "libz.a"], environ)
    for name in ("libz.a", "zlib.h", "zconf.h"):
        shutil.copy(zlib / name, libraries)
    environ |= {
        # What configure could only tell by running something.
        "ac_cv_file__dev_ptmx": "yes",
        "ac_cv_file__dev_ptc": "no",
        "ac_cv_buggy_getaddrinfo": "no",
        # It takes no program that it has found itself.
        "READELF": shutil.which("readelf") or "",
        # No library of this machine is one for musl.
        "PKG_CONFIG": "false",
        "CPPFLAGS": f"-I{libraries}",
        "LDFLAGS": f"-L{libraries}",
        "CFLAGS": "-O1 -g0",
    }
    (python,) = sources.glob("Python-*")
    options = ["--without-ensurepip", "--disable-test-modules", f"--prefix={folder / 'root'}"]
    # Two names for one system: what is compiled is not run, and the modules are named for musl.
    options += [f"--host={machine}-linux-musl", f"--build={machine}-other-linux-musl"]
    options += [f"--with-build-python={ours}"]
    run_build(["env", "-C", building, python / "configure", *options], environ)
    run_build(["make", "-C", building, f"-j{os.cpu_count() or 1}", "install"], environ)
    for one in (sources, building):
        shutil.rmtree(one)


def _packages(name: str, machine: str, packages: Sequence[str], *, alone: bool = False) -> Path:
    """The folder with Debian's packages and all that they need, unpacked on first use."""
    digest = hashlib.sha256(" ".join(packages).encode()).hexdigest()[:12]
    with locked(name) as cache:
        folder = cache / f"{name}-{digest}"
        if not folder.exists():
            building = cache / f".{name}.building"
            shutil.rmtree(building, ignore_errors=True)
            _unpack(building, machine, packages, alone=alone)
            building.replace(folder)
    return folder


def _unpack(folder: Path, machine: str, packages: Sequence[str], *, alone: bool) -> None:
    """Debian's packages into ``folder``; ``alone`` without those that they need."""
    if machine not in DEBIAN:
        message = f"Debian's name for {machine} is not known here"
        raise ComponentError(message)
    state = folder / ".apt"
    apt = _apt(state, DEBIAN[machine])
    if alone:
        run_build(["env", "-C", state, *apt, "download", *packages])
    else:
        install = ["install", "--yes", "--no-install-recommends", "--download-only"]
        run_build([*apt, *install, *packages])
    for package in sorted(state.rglob("*.deb")):
        run_build(["dpkg-deb", "--extract", package, folder])
    shutil.rmtree(state)


def _sources(folder: Path, *names: str) -> None:
    """The sources of Debian's packages, as their authors have released them, unpacked."""
    state = folder / ".apt"
    apt = _apt(state, DEBIAN[platform.machine()])
    for name in names:
        run_build(["env", "-C", state, *apt, "source", "--download-only", "--tar-only", name])
    for archive in state.glob("*.orig.tar.*"):
        run_build(["tar", "--extract", "--directory", folder, "--file", archive])
    shutil.rmtree(state)


def _apt(state: Path, architecture: str) -> list[str | Path]:
    """apt-get for an architecture, with its lists in ``state``: as if nothing were installed.

    It asks whom this machine asks, for sources too, and changes nothing of the machine.
    """
    for name in ("lists/partial", "archives/partial", "sources"):
        (state / name).mkdir(parents=True)
    (state / "status").touch()
    etc = Path("/etc/apt")
    for path in [etc / "sources.list", *etc.glob("sources.list.d/*")]:
        if path.suffix in {".list", ".sources"} and path.exists():
            text = path.read_text("utf-8")
            given = text.replace("Types: deb\n", "Types: deb deb-src\n")
            given += "".join(
                line.replace("deb ", "deb-src ", 1)
                for line in text.splitlines(keepends=True)
                if line.startswith("deb ")
            )
            (state / "sources" / path.name).write_text(given, "utf-8")
    settings = {
        "APT::Architecture": architecture,
        "APT::Architectures::": architecture,
        "Dir::Etc::SourceList": "/dev/null",
        "Dir::Etc::SourceParts": str(state / "sources"),
        "Dir::State::Lists": str(state / "lists"),
        "Dir::State::status": str(state / "status"),
        "Dir::Cache::archives": str(state / "archives"),
        "Debug::NoLocking": "true",
    }
    words = ["apt-get", *(f"-o{name}={value}" for name, value in settings.items())]
    # Root's apt would change to a user who may not write here.
    words.append("-oAPT::Sandbox::User=")
    run_build([*words, "update"])
    return list(words)
