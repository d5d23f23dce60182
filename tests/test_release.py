"""The release check: the sources pass it, and so do artifacts that have what they need."""

from __future__ import annotations

import io
import sys
import tarfile
import zipfile
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from otlp2parquet import __version__
from tests.components.cache import ComponentError
from tests.components.foreign_python import ForeignPython
from tests.support import try_wheels, wheels
from tests.support.pypi_readme import dead_links, of_pypi
from tests.support.release_check import (
    EVERYWHERE,
    PROJECT,
    TAGS,
    expanded,
    in_change_log,
    in_folder,
    in_metadata,
    in_sdist,
    in_sources,
    in_wheel,
    version_of,
)

if TYPE_CHECKING:
    from pathlib import Path

VERSION = "1.2.3"
METADATA = f"""\
Metadata-Version: 2.4
Name: otlp2parquet
Version: {VERSION}
License-Expression: Apache-2.0
License-File: LICENSE
Requires-Python: >=3.11
Description-Content-Type: text/markdown; charset=UTF-8

# otlp2parquet
"""
TAG = "cp311-abi3-musllinux_1_2_x86_64"
INFO = f"otlp2parquet-{VERSION}.dist-info"


def contents(tag: str) -> dict[str, str]:
    """What a sound wheel holds."""
    return {
        "otlp2parquet/py.typed": "",
        "otlp2parquet/_native.abi3.so": "",
        f"{INFO}/licenses/LICENSE": (PROJECT / "LICENSE").read_text("utf-8"),
        f"{INFO}/METADATA": METADATA,
        f"{INFO}/WHEEL": "".join(f"Tag: {one}\n" for one in expanded(tag)),
    }


def wheel(folder: Path, files: dict[str, str], tag: str = TAG, version: str = VERSION) -> Path:
    """A wheel with these files."""
    path = folder / f"otlp2parquet-{version}-{tag}.whl"
    with zipfile.ZipFile(path, "w") as packed:
        for name, text in files.items():
            packed.writestr(name, text)
    return path


def sdist(folder: Path, files: dict[str, str]) -> Path:
    """An sdist with these files."""
    path = folder / f"otlp2parquet-{VERSION}.tar.gz"
    with tarfile.open(path, "w:gz") as packed:
        for name, text in files.items():
            member = tarfile.TarInfo(f"otlp2parquet-{VERSION}/{name}")
            member.size = len(text.encode())
            packed.addfile(member, io.BytesIO(text.encode()))
    return path


def test_the_sources_may_be_released() -> None:
    """One version, a change log with entries, and a policy that names the formats in use."""
    assert list(in_sources()) == []


@pytest.mark.parametrize(
    ("head", "is_release", "is_sound"),
    [
        ("1.2.3 (2026-01-31)", True, True),
        ("1.2.3 (2026-01-31)", False, True),
        ("Unreleased", False, True),
        ("Unreleased", True, False),
        ("1.2.2 (2026-01-31)", True, False),
        ("1.2.3", True, False),
    ],
)
def test_a_release_is_in_the_change_log(head: str, *, is_release: bool, is_sound: bool) -> None:
    """Under its version and a day; between releases it may be unreleased."""
    text = f"# Changes\n\n## {head}\n\n- A.\n\n## 1.2.1 (2026-01-01)\n\n- B.\n"
    assert bool(list(in_change_log(text, VERSION, is_release=is_release))) is not is_sound


def test_a_release_without_a_change_is_found() -> None:
    """A heading alone tells nobody anything."""
    text = "# Changes\n\n## Unreleased\n\n## 1.2.1 (2026-01-01)\n\n- B.\n"
    assert list(in_change_log(text, VERSION, is_release=False)) != []


@pytest.mark.parametrize("tag", TAGS)
def test_a_sound_wheel_has_no_problem(tag: str, tmp_path: Path) -> None:
    """On each platform that there are wheels for."""
    assert list(in_wheel(wheel(tmp_path, contents(tag), tag), VERSION)) == []


@pytest.mark.parametrize("name", contents(TAG))
def test_a_wheel_that_lacks_something_has_one(name: str, tmp_path: Path) -> None:
    """The licence, the extension, the types: each file is missed."""
    files = contents(TAG)
    if name.endswith(("METADATA", "WHEEL")):
        files[name] = ""
    else:
        del files[name]
    assert list(in_wheel(wheel(tmp_path, files), VERSION)) != []


@pytest.mark.parametrize(
    "tag",
    [
        "cp312-cp312-musllinux_1_2_x86_64",
        "cp311-abi3-linux_x86_64",
        "cp311-abi3-manylinux_2_34_x86_64",
        "py3-none-any",
    ],
)
def test_a_wheel_for_another_platform_than_meant_is_found(tag: str, tmp_path: Path) -> None:
    """One Python alone, or a Linux whose C library nobody named."""
    assert list(in_wheel(wheel(tmp_path, contents(tag), tag), VERSION)) != []


def test_a_wheel_of_another_version_is_found(tmp_path: Path) -> None:
    """What lay in the folder from before is not released by accident."""
    assert list(in_wheel(wheel(tmp_path, contents(TAG), version="1.2.2"), VERSION)) != []


def test_an_sdist_is_whole_and_source_alone(tmp_path: Path) -> None:
    """It has its licence, its lock file and the Rust sources, and nothing compiled."""
    sound = dict.fromkeys(EVERYWHERE, "x") | {"PKG-INFO": METADATA}
    assert list(in_sdist(sdist(tmp_path, sound), VERSION)) == []
    for name in sound:
        lacking = {one: text for one, text in sound.items() if one != name}
        assert list(in_sdist(sdist(tmp_path, lacking), VERSION)) != [], name
    compiled = sound | {"python/otlp2parquet/_native.abi3.so": ""}
    assert list(in_sdist(sdist(tmp_path, compiled), VERSION)) != []


def test_a_release_has_a_wheel_for_each_platform(tmp_path: Path) -> None:
    """What could not be made here is no obstacle until then."""
    for tag in TAGS[1:]:
        wheel(tmp_path, contents(tag), tag)
    missing = f"{tmp_path}: found no wheel for {TAGS[0]}"
    assert missing in list(in_folder(tmp_path, VERSION, is_release=True))
    assert missing not in list(in_folder(tmp_path, VERSION))


def test_the_page_on_pypi_has_no_dead_link() -> None:
    """Nothing lies beside it there; files are named, what lies elsewhere stays a link."""
    text = (
        "# A\n\nSee [the\nschema](docs/a.md#b), [docs/c.md](docs/c.md), [it](https://localhost/) "
        "and [b](#b).\n\n```md\n[x](y.md)\n```\n"
    )
    page = of_pypi(text)
    assert "See the\nschema (`docs/a.md`), `docs/c.md`, [it](https://localhost/)" in page
    assert "and [b](#b).\n\n```md\n[x](y.md)\n```\n" in page
    assert dead_links(text) == ["docs/a.md#b", "docs/c.md"]
    assert dead_links(page) == []
    sound = METADATA + page
    assert list(in_metadata(sound.encode(), VERSION)) == []
    assert list(in_metadata((METADATA + text).encode(), VERSION)) != []


def test_the_package_says_the_version_of_the_sources() -> None:
    """The one that installers write is the one in Cargo.toml."""
    assert version_of() == __version__


def test_what_cannot_be_run_is_named_and_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wheel of a platform that is not to be had, and one whose Python could not be got."""

    def none() -> ForeignPython:
        raise ComponentError("no mirror has it")

    monkeypatch.setitem(try_wheels.PYTHONS, "musllinux_1_2_x86_64", none)
    wheel(tmp_path, {}, TAG)
    wheel(tmp_path, {}, "cp311-abi3-macosx_11_0_arm64")
    assert try_wheels.main(tmp_path) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "macosx_11_0_arm64: not run: no Python for it is to be had here",
        "musllinux_1_2_x86_64: not run: no mirror has it",
    ]


def test_a_wheel_that_does_not_install_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What pip says is said; a wheel is tried only when it is asked for."""
    python = ForeignPython((sys.executable,), ("manylinux_2_28_aarch64",), "this one")
    monkeypatch.setitem(try_wheels.PYTHONS, "musllinux_1_2_x86_64", lambda: python)
    wheel(tmp_path, contents(TAG), TAG)
    assert try_wheels.main(tmp_path) == 1
    assert "is not a supported wheel on this platform" in capsys.readouterr().out
    assert try_wheels.main(tmp_path, "win_amd64") == 0, "only those that are asked for"


OWN_NAME = SimpleNamespace(name="@rpath/otlp2parquet._native.abi3.so")
LIB_SYSTEM = SimpleNamespace(name="/usr/lib/libSystem.B.dylib")
SECURITY = SimpleNamespace(name="/System/Library/Frameworks/Security.framework/Security")


@pytest.mark.parametrize(
    ("tags", "extension", "said"),
    [
        ("manylinux_2_28_x86_64", {"libraries": ["libc.so.6", "libm.so.6"]}, ""),
        ("manylinux_2_28_x86_64", {"libraries": ["libssl.so.3"]}, "needs libssl.so.3"),
        ("musllinux_1_2_x86_64", {"libraries": ["libc.so"]}, ""),
        (
            "musllinux_1_2_x86_64",
            {"libraries": ["libc.so"], "dynamic_entries": ["FLAGS (STATIC_TLS)"]},
            "initial-exec",
        ),
        ("macosx_11_0_arm64", {"libraries": [OWN_NAME, LIB_SYSTEM]}, ""),
        ("macosx_11_0_arm64", {"libraries": [OWN_NAME, SECURITY]}, "needs /System/Library"),
        (
            "macosx_11_0_arm64",
            {"libraries": [OWN_NAME, LIB_SYSTEM], "has_code_signature": False},
            "is not signed",
        ),
        (
            "macosx_10_12_x86_64",
            {"libraries": [OWN_NAME, LIB_SYSTEM], "has_code_signature": False},
            "",
        ),
    ],
)
def test_what_an_extension_may_need(
    tags: str,
    extension: dict[str, Any],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever its system may lack, or its loader would refuse, is named; lief reads it."""
    (platform,) = (one for one in wheels.PLATFORMS if one.tags == tags)
    read = {"dynamic_entries": [], "has_code_signature": True, **extension}
    parsed = SimpleNamespace(parse=lambda _: SimpleNamespace(**read))
    monkeypatch.setitem(sys.modules, "lief", parsed)
    path = tmp_path / f"otlp2parquet-1-cp311-abi3-{tags}.whl"
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("otlp2parquet/_native.abi3.so", b"")
    problems = list(wheels.in_extension(platform, path))
    assert len(problems) == bool(said)
    assert all(said in problem for problem in problems)
