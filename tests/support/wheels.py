"""``python -m tests.support.wheels FOLDER PROFILE``: a wheel for each platform, built and judged.

Knows targets, tags, and what each C library brings by itself. zig links for all of them, because
it has their symbols. A target that rustup cannot get is named, and has no wheel. Runs
nothing of what it makes: `make test-wheel` does.
"""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PROJECT: Final = Path(__file__).parents[2]
HERE: Final = Path(sys.executable).parent
ZIG_CC: Final = str(PROJECT / "rust" / "zig-cc")
FRAMEWORKS: Final = PROJECT / "rust" / "frameworks"
GLIBC_MINOR: Final = 28
"""That of manylinux_2_28."""
PROFILED: Final = "x86_64-unknown-linux-gnu"
"""Made always, and the one that the profile fits: it finds functions by names that depend on
--target, and on --zig."""

GLIBC: Final = (
    *("ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"),
    *("libc.so.6", "libdl.so.2", "libgcc_s.so.1", "libm.so.6", "libpthread.so.0"),
)
MUSL: Final = ("libc.so",)
MACOS: Final = (
    "/System/Library/Frameworks/CoreFoundation.framework/Versions/A/CoreFoundation",
    "/usr/lib/libSystem.B.dylib",
    # Rust's standard library names the first of these, which brings the second.
    *("/usr/lib/libiconv.2.dylib", "/usr/lib/libcharset.1.dylib"),
)
"""The libraries that each system has."""


@dataclass(frozen=True, slots=True)
class Platform:
    """What there is a wheel for."""

    tags: str
    """As the wheel's name has them."""
    target: str
    """As maturin calls it."""
    libraries: tuple[str, ...]
    """What the extension may need."""
    options: tuple[str, ...]
    """Of maturin."""
    environ: Mapping[str, str]
    """Of the compilers."""


def linux(tags: str, target: str, libraries: tuple[str, ...], *, zig: bool = True) -> Platform:
    """A wheel for a C library of Linux and a processor."""
    library = tags.removesuffix("_x86_64").removesuffix("_aarch64")
    options = ("--compatibility", library, *(("--zig",) if zig else ()))
    name = target.replace("-", "_")
    ours = {f"CC_{name}": ZIG_CC, f"CARGO_TARGET_{name.upper()}_LINKER": ZIG_CC}
    return Platform(tags, target, libraries, options, {} if zig else ours)


def macos(tags: str, target: str) -> Platform:
    """A wheel for macOS and a processor, linked without an SDK."""
    # Encoded, so that a path may have spaces.
    return Platform(
        tags, target, MACOS, ("--zig",), {"CARGO_ENCODED_RUSTFLAGS": f"-Clink-arg=-F{FRAMEWORKS}"}
    )


PLATFORMS: Final = (
    linux("manylinux_2_28_x86_64", PROFILED, GLIBC, zig=False),
    linux("manylinux_2_28_aarch64", "aarch64-unknown-linux-gnu", GLIBC),
    linux("musllinux_1_2_x86_64", "x86_64-unknown-linux-musl", MUSL),
    linux("musllinux_1_2_aarch64", "aarch64-unknown-linux-musl", MUSL),
    macos("macosx_11_0_arm64", "aarch64-apple-darwin"),
    macos("macosx_10_12_x86_64", "x86_64-apple-darwin"),
)


def build(platform: Platform, folder: Path, profile: Path) -> Path | None:
    """Its wheel; None if rustup has no target for it."""
    if run("rustup", "target", "add", platform.target, check=False):
        return None
    environ = {"PATH": f"{HERE}{os.pathsep}{os.environ['PATH']}", **platform.environ}
    if platform.target == PROFILED:
        environ["RUSTFLAGS"] = f"-Cprofile-use={profile}"
    command: list[str | Path] = [HERE / "maturin", "build", "--release", "--locked"]
    command += ["--interpreter", "python3.11", "--out", folder, "--target", platform.target]
    run(*command, *platform.options, environ=environ)
    (made,) = folder.glob(f"otlp2parquet-*-cp311-abi3-{platform.tags}.whl")
    return made


def run(*words: str | Path, environ: Mapping[str, str] | None = None, check: bool = True) -> int:
    """Run a program, which tells what it does itself; its exit code."""
    return subprocess.run(words, env={**os.environ, **(environ or {})}, check=check).returncode


def in_extension(platform: Platform, wheel: Path) -> Iterator[str]:
    """What is wrong with what was linked: it may need nothing that a system may lack."""
    lief: Any = importlib.import_module("lief")  # only `make wheels` installs it
    with zipfile.ZipFile(wheel) as packed:
        (name,) = (one for one in packed.namelist() if one.endswith(".abi3.so"))
        content = packed.read(name)
    parsed = lief.parse(content)
    if platform.libraries == MACOS:
        # The first one is its own name.
        needed = [one.name for one in list(parsed.libraries)[1:]]
        if "arm64" in platform.tags and not parsed.has_code_signature:
            yield f"{wheel.name}: {name} is not signed: macOS on arm64 does not load it"
    else:
        needed = list(parsed.libraries)
    if platform.libraries == MUSL and any(
        "STATIC_TLS" in str(one) for one in parsed.dynamic_entries
    ):
        yield f"{wheel.name}: {name} has TLS that musl does not load (initial-exec)"
    for library in needed:
        if library not in platform.libraries:
            yield f"{wheel.name}: {name} needs {library}, expected {platform.libraries} alone"


def in_symbols(wheel: Path) -> Iterator[str]:
    """What auditwheel finds: symbols of a younger glibc than the wheel's name says."""
    command: list[str | Path] = [HERE / "auditwheel", "show", wheel]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    oldest = re.search(r'following platform tag:\s*"manylinux_2_(\d+)_', said)
    if oldest is None or int(oldest[1]) > GLIBC_MINOR:
        yield f"{wheel.name}: {said}"


def main(folder: Path, profile: Path) -> int:
    """Build all, then have them judged; 1 if something is wrong with any."""
    problems: list[str] = []
    made: list[Path] = []
    for platform in PLATFORMS:
        wheel = build(platform, folder, profile)
        if wheel is not None:
            made.append(wheel)
            problems += in_extension(platform, wheel)
            problems += in_symbols(wheel) if platform.libraries == GLIBC else ()
        elif platform.target == PROFILED:
            problems.append(f"found no target {PROFILED}, expected that of every machine")
        else:
            line = f"no {platform.target} to be had: no wheel for {platform.tags}"
            print(line, file=sys.stderr)  # noqa: T201 - a person builds
    run(HERE / "abi3audit", "--strict", "--report", *made)
    for problem in problems:
        print(problem, file=sys.stderr)  # noqa: T201 - as above
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
