"""``python -m tests.support.release_check [FOLDER]``: whether what is here may be released.

Without a folder it looks at the sources: one version, a change log, a policy. With one (dist/) it
looks at the sdist and the wheels in it, too: their names, tags, metadata, licences, and how their
README reads on PyPI. Knows files. Builds and installs nothing: `make release-check` does that.
"""

from __future__ import annotations

import re
import sys
import tarfile
import tomllib
import zipfile
from email.parser import BytesParser
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from otlp2parquet.batches.log.record import FORMAT_VERSION
from otlp2parquet.core.schema import SCHEMA_VERSION
from tests.components.cache import python_environment
from tests.components.deploy_tools import judge
from tests.support.pypi_readme import PAGE, dead_links, of_pypi
from tests.support.wheels import PLATFORMS

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT: Final = Path(__file__).parents[2]
TWINE: Final = ("twine>=6.1,<7",)
VERSION: Final = re.compile(r"\d+\.\d+\.\d+(?:(?:a|b|rc)\d+)?")
TAGS: Final = tuple(f"cp311-abi3-{platform.tags}" for platform in PLATFORMS)
"""One wheel for Python 3.11 and all later ones, for each platform."""
EVERYWHERE: Final = (
    "LICENSE",
    "README.md",
    "CHANGELOG.md",
    "docs/schema.md",
    "pyproject.toml",
    "python/README.md",
    "Cargo.lock",
    "rust/core/src/lib.rs",
)
"""What an sdist must have, to be built and to be read."""


def version_of(project: Path = PROJECT) -> str:
    """The one place where the version is written."""
    version: str = toml(project / "Cargo.toml")["workspace"]["package"]["version"]
    return version


def toml(path: Path) -> dict[str, Any]:
    """A TOML file."""
    return tomllib.loads(path.read_text("utf-8"))


def in_sources(project: Path = PROJECT, *, is_release: bool = False) -> Iterator[str]:
    """What is wrong with the sources; for a release the change log must name its version."""
    version = version_of(project)
    if not VERSION.fullmatch(version):
        yield f"Cargo.toml: found version {version!r}, expected one such as 1.2.3 or 1.2.3rc1"
    package = toml(project / "pyproject.toml")["project"]
    if "version" in package or "version" not in package.get("dynamic", ()):
        yield "pyproject.toml: found a version of its own, expected that of Cargo.toml (dynamic)"
    for crate in toml(project / "Cargo.lock")["package"]:
        if crate["name"].startswith("otlp2parquet") and crate["version"] != version:
            yield f"Cargo.lock: found {crate['name']} {crate['version']}, expected {version}"
    for manifest in sorted(project.glob("rust/*/Cargo.toml")):
        own = toml(manifest)["package"].get("version")
        if manifest.parent.name != "fuzz" and own != {"workspace": True}:
            yield f"{manifest.parent.name}: found version {own}, expected that of the workspace"
    readme = (project / "README.md").read_text("utf-8")
    page = project / PAGE.relative_to(PROJECT)
    if page.read_text("utf-8") != of_pypi(readme):
        yield f"{page.relative_to(project)}: found another text than README.md's: run `make docs`"
    changes = (project / "CHANGELOG.md").read_text("utf-8")
    yield from in_change_log(changes, version, is_release=is_release)
    policy = (project / "docs" / "versions.md").read_text("utf-8")
    for what, number in (("tables", SCHEMA_VERSION), ("the log", FORMAT_VERSION)):
        if not re.search(rf"^\| {what}[^|]*\|[^|]*\| {number} \|", policy, re.MULTILINE):
            yield f"docs/versions.md: expected {what} at version {number}"


def in_change_log(text: str, version: str, *, is_release: bool) -> Iterator[str]:
    """What is wrong with the change log's first section."""
    sections = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    head, _, body = (sections[0] if sections else "").partition("\n")
    expected = rf"{re.escape(version)} \(\d{{4}}-\d\d-\d\d\)"
    if not re.fullmatch(expected if is_release else rf"Unreleased|{expected}", head):
        yield f"CHANGELOG.md: found {head!r} on top, expected '{version} (YEAR-MONTH-DAY)'"
    if not re.search(r"^- \S", body, re.MULTILINE):
        yield f"CHANGELOG.md: found no entry below {head!r}"


def in_folder(folder: Path, version: str, *, is_release: bool = False) -> Iterator[str]:
    """What is wrong with the artifacts; for a release none may be missing."""
    sdists, wheels = sorted(folder.glob("*.tar.gz")), sorted(folder.glob("*.whl"))
    if [path.name for path in sdists] != [f"otlp2parquet-{version}.tar.gz"]:
        yield f"{folder}: found the sdists {[path.name for path in sdists]}, expected one"
    if not wheels:
        yield f"{folder}: found no wheel"
    for tag in TAGS if is_release else ():
        if not any(path.name.endswith(f"-{tag}.whl") for path in wheels):
            yield f"{folder}: found no wheel for {tag}"
    for path in sdists:
        yield from (f"{path.name}: {problem}" for problem in in_sdist(path, version))
    for path in wheels:
        yield from (f"{path.name}: {problem}" for problem in in_wheel(path, version))
    if sdists and wheels:
        twine = python_environment("twine", TWINE).with_name("twine")
        verdict = judge(twine, "check", "--strict", *sdists, *wheels)
        if verdict.code:
            yield f"twine: {verdict.text}"


def in_sdist(path: Path, version: str) -> Iterator[str]:
    """What is wrong with an sdist."""
    root = f"otlp2parquet-{version}"
    with tarfile.open(path) as packed:
        names = set(packed.getnames())
        yield from (f"found no {name}" for name in EVERYWHERE if f"{root}/{name}" not in names)
        info = packed.extractfile(f"{root}/PKG-INFO") if f"{root}/PKG-INFO" in names else None
        yield from in_metadata(info.read() if info else b"", version)
    compiled = [name for name in names if name.endswith((".so", ".pyd", ".dylib"))]
    if compiled:
        yield f"found {compiled}, expected sources alone"


def in_wheel(path: Path, version: str) -> Iterator[str]:
    """What is wrong with a wheel."""
    found = re.fullmatch(r"otlp2parquet-([^-]+)-(.+)\.whl", path.name)
    if found is None or found[1] != version or found[2] not in TAGS:
        yield f"expected otlp2parquet-{version}-TAG.whl, with one of {TAGS}"
        return
    info = f"otlp2parquet-{version}.dist-info"
    with zipfile.ZipFile(path) as packed:
        names = set(packed.namelist())
        if f"{info}/licenses/LICENSE" not in names:
            yield "found no LICENSE"
        elif packed.read(f"{info}/licenses/LICENSE") != (PROJECT / "LICENSE").read_bytes():
            yield "found another LICENSE than the project's"
        if "otlp2parquet/py.typed" not in names:
            yield "found no py.typed"
        native = [name for name in names if name.startswith("otlp2parquet/_native.")]
        if not any(name.endswith((".abi3.so", ".pyd")) for name in native):
            yield f"found {native}, expected the extension"
        yield from in_metadata(packed.read(f"{info}/METADATA"), version)
        tags = BytesParser().parsebytes(packed.read(f"{info}/WHEEL")).get_all("Tag", [])
        if sorted(tags) != sorted(expanded(found[2])):
            yield f"found the tags {tags}, expected those of its name"


def expanded(tag: str) -> list[str]:
    """The tags of a name: platforms may be several, with dots between them."""
    python, abi, platforms = tag.split("-")
    return [f"{python}-{abi}-{platform}" for platform in platforms.split(".")]


def in_metadata(text: bytes, version: str) -> Iterator[str]:
    """What is wrong with what PyPI will show."""
    given = BytesParser().parsebytes(text)
    for name, expected in {
        "Name": "otlp2parquet",
        "Version": version,
        "License-Expression": "Apache-2.0",
        "License-File": "LICENSE",
        "Requires-Python": ">=3.11",
    }.items():
        if given[name] != expected:
            yield f"found {name} {given[name]!r}, expected {expected!r}"
    if not str(given["Description-Content-Type"]).startswith("text/markdown"):
        yield "expected a description in Markdown"
    dead = dead_links(str(given.get_payload()))
    if dead:
        yield f"found links that are dead on PyPI: {dead}"


def main() -> int:
    """Print what is wrong; 1 if anything is."""
    words = sys.argv[1:]
    is_release = "--release" in words
    problems = list(in_sources(is_release=is_release))
    for folder in (Path(word) for word in words if word != "--release"):
        problems += in_folder(folder, version_of(), is_release=is_release)
    for problem in problems:
        print(problem, file=sys.stderr)  # noqa: T201 - a person asks
    if not problems:
        print(f"otlp2parquet {version_of()} may be released")  # noqa: T201 - as above
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
