"""The zip of a function for AWS Lambda, made of manylinux wheels for one architecture.

Knows pip, wheels and zips. Must not know what is in the packages: ``contents`` does. Nothing is
compiled but Python's own byte code, so a zip for the other architecture is made here as well. The
same wheels give the same zip, byte for byte.
"""

import compileall
import logging
import py_compile
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from otlp2parquet.deploy.contents import REQUIREMENTS, is_left_out, is_needed
from otlp2parquet.errors import ConfigError
from otlp2parquet.version import __version__

log = logging.getLogger(__name__)

Architecture = Literal["x86_64", "arm64"]

MACHINES: Final[dict[Architecture, str]] = {"x86_64": "x86_64", "arm64": "aarch64"}
"""What AWS calls a processor, and what wheels call it."""

GLIBC_MINORS: Final = (17, 24, 26, 27, 28, 31, 34)
"""glibc 2.34 is what Lambda's Amazon Linux 2023 has; wheels for an older one run on it."""

MOST_BYTES: Final = 250 << 20
"""What Lambda takes, unzipped."""
DIRECT_BYTES: Final = 50 << 20
"""What can be uploaded directly; a larger zip goes by way of a bucket."""

_TIME: Final = (2020, 1, 1, 0, 0, 0)
_MODE: Final = 0o644 << 16
_PIP: Final = "pip"
_STRIPPERS: Final = ("llvm-strip", "strip")


@dataclass(frozen=True, slots=True)
class Artifact:
    """A zip that was made."""

    path: Path
    architecture: Architecture
    zipped_bytes: int
    unzipped_bytes: int
    is_stripped: bool


def runtime() -> str:
    """The runtime of AWS that the byte code is for: the Python that runs now."""
    return f"python{sys.version_info.major}.{sys.version_info.minor}"


def zip_name(architecture: Architecture) -> str:
    """What the zip for an architecture is called."""
    return f"otlp2parquet-{__version__}-lambda-{runtime()}-{architecture}.zip"


def build(architecture: Architecture, output: Path, wheels: Sequence[Path] = ()) -> Artifact:
    """Make the zip for an architecture in ``output``.

    ``wheels`` are looked through for the package's own wheel, which pip gets elsewhere if none of
    them fits. Raises ``ConfigError`` where a wheel is not to be had, or the zip is too large.
    """
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="otlp2parquet-") as folder:
        found = Path(folder) / "wheels"
        found.mkdir()
        own = own_wheel(architecture, wheels)
        requirements = list(REQUIREMENTS)
        if own is None:
            requirements.append(f"otlp2parquet=={__version__}")
        download(architecture, requirements, found)
        site = Path(folder) / "site"
        unpack([*sorted(found.glob("*.whl")), *([own] if own else [])], site)
        is_stripped = strip(site, architecture)
        write_byte_code(site)
        path = output / zip_name(architecture)
        unzipped = write_zip(site, path)
    made = Artifact(path, architecture, path.stat().st_size, unzipped, is_stripped)
    if unzipped >= MOST_BYTES:
        raise ConfigError(f"{path}: {unzipped:,} bytes unzipped, expected below {MOST_BYTES:,}")
    return made


def own_wheel(architecture: Architecture, wheels: Iterable[Path]) -> Path | None:
    """The package's own wheel for an architecture; None if it is not among ``wheels``."""
    machine = MACHINES[architecture]
    fitting = [
        path
        for path in wheels
        if path.name.startswith(f"otlp2parquet-{__version__}-")
        and any(f"manylinux_2_{minor}_{machine}" in path.name for minor in GLIBC_MINORS)
    ]
    return max(fitting, default=None, key=lambda path: path.stat().st_mtime)


def download(architecture: Architecture, requirements: Sequence[str], folder: Path) -> None:
    """Have pip get wheels for an architecture, whatever this machine has."""
    machine, python = MACHINES[architecture], f"{sys.version_info.major}{sys.version_info.minor}"
    command = [sys.executable, "-m", _PIP, "download", "--quiet", "--disable-pip-version-check"]
    command += ["--only-binary=:all:", "--implementation", "cp", "--python-version", python]
    command += ["--abi", f"cp{python}", "--abi", "abi3", "--abi", "none", "--dest", str(folder)]
    for minor in GLIBC_MINORS:
        command += ["--platform", f"manylinux_2_{minor}_{machine}"]
    command += ["--platform", f"manylinux2014_{machine}"]
    done = subprocess.run(  # noqa: S603 - pip of this Python
        [*command, *requirements], capture_output=True, text=True, check=False
    )
    if done.returncode:
        if f"No module named {_PIP}" in done.stderr:
            # uv makes environments without it.
            raise ConfigError(
                f"{sys.executable}: found no pip, expected one to get wheels with: "
                "`python -m ensurepip` in this environment, or `uv pip install pip`, installs it"
            )
        raise ConfigError(
            f"pip found no wheels for {architecture}, expected one of each of "
            f"{', '.join(requirements)}:\n{done.stderr.strip()[-2000:]}"
        )


def unpack(wheels: Iterable[Path], site: Path) -> None:
    """Unpack what is needed of the wheels."""
    for wheel in wheels:
        if is_left_out(wheel.name.partition("-")[0]):
            continue
        with zipfile.ZipFile(wheel) as packed:
            for member in packed.infolist():
                # What a wheel has under its data folder is scripts, or the same as outside of it.
                name = member.filename.partition(".data/purelib/")[2] or member.filename
                if member.is_dir() or ".data/" in name or not is_needed(name):
                    continue
                path = site / name
                path.parent.mkdir(parents=True, exist_ok=True)
                with packed.open(member) as source, path.open("wb") as sink:
                    shutil.copyfileobj(source, sink)


def strip(site: Path, architecture: Architecture) -> bool:
    """Remove symbols that only debuggers want; False where no program here can."""
    for name in _STRIPPERS:
        program = shutil.which(name)
        if program is None:
            continue
        paths = [path for path in sorted(site.rglob("*.so*")) if path.is_file()]
        done = [
            subprocess.run(  # noqa: S603 - binutils' or LLVM's
                [program, "--strip-unneeded", str(path)], capture_output=True, check=False
            ).returncode
            for path in paths
        ]
        if not any(done):
            return True
    log.warning("no program here strips libraries for %s, the zip is larger", architecture)
    return False


def write_byte_code(site: Path) -> None:
    """Compile all modules; their byte code is taken without a look at the source.

    In a zip all files have one time, and AWS's own times: a check of it would compile everything
    again at each cold start, into a folder that cannot be written.
    """
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    compileall.compile_dir(
        site, quiet=2, invalidation_mode=mode, stripdir=str(site), workers=1, optimize=0
    )


def write_zip(site: Path, path: Path) -> int:
    """Write the zip, and give the bytes that it has unzipped. No half zip has its name."""
    partial = path.with_name(f".{path.name}")
    unzipped = 0
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
        files = {one.relative_to(site).as_posix(): one for one in site.rglob("*") if one.is_file()}
        for name, file in sorted(files.items()):
            info = zipfile.ZipInfo(name, _TIME)
            info.external_attr, info.compress_type = _MODE, zipfile.ZIP_DEFLATED
            content = file.read_bytes()
            unzipped += len(content)
            packed.writestr(info, content)
    partial.replace(path)
    return unzipped
