"""The zip of a function: what goes in, that it is made alike again, and its size."""

from __future__ import annotations

import py_compile
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from otlp2parquet.deploy import artifact
from otlp2parquet.deploy.contents import is_left_out, is_needed
from otlp2parquet.errors import ConfigError
from otlp2parquet.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

TAG = "cp311-abi3-manylinux_2_28"


def wheel(folder: Path, name: str, files: Mapping[str, bytes]) -> Path:
    """A wheel with these files."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    with zipfile.ZipFile(path, "w") as packed:
        for member, content in files.items():
            packed.writestr(member, content)
    return path


def own_wheel(folder: Path, machine: str = "x86_64") -> Path:
    """One of our own, with little in it."""
    files = {
        "otlp2parquet/__init__.py": b"ANSWER = 42\n",
        "otlp2parquet/cli/serve.py": b"",
        "otlp2parquet/platforms/server/run.py": b"",
        "otlp2parquet/platforms/aws_lambda/__init__.py": b"",
        f"otlp2parquet-{__version__}.dist-info/METADATA": b"",
    }
    return wheel(folder, f"otlp2parquet-{__version__}-{TAG}_{machine}.whl", files)


@pytest.mark.parametrize(
    "path",
    [
        "pyarrow/libarrow.so.2600",
        "pyarrow/libarrow_python.so.2600",
        "pyarrow/libarrow_substrait.so.2600",
        "pyarrow/_parquet.cpython-311-x86_64-linux-gnu.so",
        "pyiceberg/table/__init__.py",
        "pyarrow-26.0.1.dist-info/METADATA",
        "pyarrow-26.0.1.dist-info/licenses/LICENSE.txt",
        "otlp2parquet/platforms/aws_lambda/__init__.py",
        "otlp2parquet/_native.abi3.so",
        "certifi/cacert.pem",
    ],
)
def test_what_is_needed_goes_in(path: str) -> None:
    """Libraries that others name among it, and the licenses."""
    assert is_needed(path)


@pytest.mark.parametrize(
    "path",
    [
        "pyarrow/libarrow_flight.so.2600",
        "pyarrow/libarrow_python_flight.so",
        "pyarrow/_flight.cpython-311-x86_64-linux-gnu.so",
        "pyarrow/libarrow_python.so",
        "pyarrow/libarrow_python.so.2600.1.0",
        "hive_metastore/ttypes.py",
        "pyarrow/tests/test_array.py",
        "pyarrow/include/arrow/api.h",
        "pyarrow/lib.pyx",
        "otlp2parquet/cli/serve.py",
        "otlp2parquet/platforms/server/run.py",
    ],
)
def test_what_is_not_stays_out(path: str) -> None:
    """It would be most of the zip."""
    assert not is_needed(path)


def test_what_the_runtime_has_stays_out() -> None:
    """However a wheel spells its distribution."""
    assert is_left_out("boto3")
    assert is_left_out("markdown_it_py")
    assert not is_left_out("pyarrow")


def test_our_own_wheel_is_found_by_its_processor(tmp_path: Path) -> None:
    """Of this version, and for AWS's Linux; others are no candidates."""
    ours = own_wheel(tmp_path)
    arm = own_wheel(tmp_path, "aarch64")
    other = wheel(tmp_path, f"otlp2parquet-99-{TAG}_x86_64.whl", {})
    mac = wheel(tmp_path, f"otlp2parquet-{__version__}-cp311-abi3-macosx_11_0_arm64.whl", {})
    musl = wheel(tmp_path, f"otlp2parquet-{__version__}-cp311-abi3-musllinux_1_2_x86_64.whl", {})
    young = wheel(tmp_path, f"otlp2parquet-{__version__}-cp311-abi3-manylinux_2_39_x86_64.whl", {})
    everything = [ours, arm, other, mac, musl, young]
    assert artifact.own_wheel("x86_64", everything) == ours
    assert artifact.own_wheel("arm64", everything) == arm
    assert artifact.own_wheel("arm64", [ours, other, mac]) is None


@pytest.fixture
def no_index(monkeypatch: pytest.MonkeyPatch) -> None:
    """What pip would download is one small wheel."""

    def download(_architecture: str, _requirements: object, folder: Path) -> None:
        wheel(folder, "small-1-py3-none-any.whl", {"small.py": b"x = 1\n", "small.pyx": b""})
        wheel(folder, "boto3-1-py3-none-any.whl", {"boto3/__init__.py": b""})

    monkeypatch.setattr(artifact, "download", download)


@pytest.mark.usefixtures("no_index")
def test_the_same_wheels_give_the_same_zip(tmp_path: Path) -> None:
    """Byte for byte; in it are sources and byte code that is not compared with them."""
    wheels = [own_wheel(tmp_path)]
    one = artifact.build("x86_64", tmp_path / "one", wheels)
    two = artifact.build("x86_64", tmp_path / "two", wheels)
    assert one.path.name == two.path.name == artifact.zip_name("x86_64")
    assert one.path.read_bytes() == two.path.read_bytes()
    with zipfile.ZipFile(one.path) as packed:
        names = packed.namelist()
        byte_code = {name: packed.read(name)[4:8] for name in names if name.endswith(".pyc")}
        assert one.unzipped_bytes == sum(info.file_size for info in packed.infolist())
    tag = sys.implementation.cache_tag
    assert [name for name in names if not name.endswith(".pyc")] == [
        f"otlp2parquet-{__version__}.dist-info/METADATA",
        "otlp2parquet/__init__.py",
        "otlp2parquet/platforms/aws_lambda/__init__.py",
        "small.py",
    ]
    # PEP 552: bit 0 is "by hash", bit 1 "compare with the source".
    assert byte_code[f"__pycache__/small.{tag}.pyc"] == b"\x01\x00\x00\x00"
    assert set(byte_code.values()) == {b"\x01\x00\x00\x00"}
    assert py_compile.PycInvalidationMode.UNCHECKED_HASH.value


def test_an_environment_without_pip_is_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As uv makes them: then no wheel is missing, but what gets them."""
    run = subprocess.run

    def without_pip(command: list[str], **options: Any) -> Any:
        return run([command[0], "-I", "-S", *command[1:]], **options)

    monkeypatch.setattr(subprocess, "run", without_pip)
    with pytest.raises(ConfigError, match="found no pip"):
        artifact.download("x86_64", ["pyarrow"], tmp_path)


@pytest.mark.usefixtures("no_index")
def test_a_zip_that_lambda_refuses_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here, and not after an upload."""
    monkeypatch.setattr(artifact, "MOST_BYTES", 10)
    with pytest.raises(ConfigError, match="unzipped, expected below 10"):
        artifact.build("x86_64", tmp_path, [own_wheel(tmp_path)])


def test_the_zips_are_small_enough(request: pytest.FixtureRequest) -> None:
    """Below 250 MiB unzipped, and below 50 MiB zipped, so that they can be uploaded directly."""
    folder = request.config.getoption("--lambda")
    if folder is None:
        pytest.skip("no zips were made: --lambda FOLDER")
    zips = sorted(Path(folder).glob("*.zip"))
    assert zips
    for path in zips:
        with zipfile.ZipFile(path) as packed:
            assert sum(info.file_size for info in packed.infolist()) < artifact.MOST_BYTES
        assert path.stat().st_size < artifact.DIRECT_BYTES
