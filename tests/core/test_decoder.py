"""The door to the decoder: what is there when the extension, or pyarrow, is not."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import otlp2parquet
from otlp2parquet.core import decoder
from otlp2parquet.core.decoder import MAX_PAYLOAD_BYTES, BatchBuilder
from otlp2parquet.version import UNKNOWN
from tests.support.shapes import log, string_value
from tests.support.strategies import delimited

PACKAGE = Path(otlp2parquet.__file__).parent

BARE = f"""
import importlib, importlib.abc, json, sys

class Blocked(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "pyarrow" or name == "otlp2parquet._native":
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Blocked())
sys.path.insert(0, {str(PACKAGE.parent)!r})
sys.dont_write_bytecode = True
"""
"""A program's beginning: no extension, no pyarrow, and (by -S) no installed package at all."""


def in_a_bare_interpreter(program: str) -> object:
    """What ``program`` leaves in ``said``, as JSON."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"{BARE}{program}\nprint(json.dumps(said))"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def modules_of(part: str) -> list[str]:
    """The modules of one part of the package."""
    return [
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        for path in sorted((PACKAGE / part).rglob("*.py"))
    ]


def test_the_package_imports_without_the_extension_and_without_pyarrow() -> None:
    """The package, its core, its configuration and its errors are plain Python."""
    names = [
        "otlp2parquet",
        "otlp2parquet.errors",
        "otlp2parquet.version",
        *modules_of("core"),
        *modules_of("config"),
    ]
    said = in_a_bare_interpreter(
        f"for name in {names}: importlib.import_module(name)\n"
        "import otlp2parquet\n"
        "from otlp2parquet.core import decoder\n"
        "said = [decoder.DECODER, otlp2parquet.__version__, "
        "otlp2parquet.partition_path.__name__, decoder.crc32(b'123456789'), "
        "otlp2parquet.new_batch_id().count('-')]\n"
    )
    assert said == ["pure", UNKNOWN, "partition_path", 0xCBF43926, 4]


def test_without_the_extension_everything_but_arrow_is_there() -> None:
    """Requests are decoded, bodies inflated, documents recognized: no library is needed."""
    body = log(delimited(5, string_value(b"hello")))
    said = in_a_bare_interpreter(
        "import gzip, otlp2parquet\n"
        "from otlp2parquet import core\n"
        "from otlp2parquet.core import decoder, schema\n"
        f"body = {body!r}\n"
        "result = otlp2parquet.process_otlp(gzip.compress(body), 'logs', content_encoding='gzip')\n"
        "builder = otlp2parquet.BatchBuilder(max_payload_bytes=500)\n"
        "appended = builder.append(b'{}', 'traces', content_type='application/json')\n"
        "said = [result.accepted, result.batches[0].num_rows, appended.accepted,\n"
        "    core.recognize_json(b'{}')[0], core.inflates_within(b'', 'gzip', 5),\n"
        "    decoder.table_names(), sorted(name for name in sys.modules\n"
        "    if name.partition('.')[0] not in sys.stdlib_module_names | {'otlp2parquet'})]\n"
    )
    assert said == [1, 1, 0, "whole", True, decoder.table_names(), ["__main__"]]


@pytest.mark.parametrize(
    "use",
    [
        "otlp2parquet.process_otlp(BODY, 'logs').batches[0].__arrow_c_array__()",
        "otlp2parquet.process_otlp(BODY, 'logs').batches[0].__arrow_c_stream__()",
        "schema.table_schema('otel_logs').__arrow_c_schema__()",
        "decoder.restore_batch('otel_logs', None, 0, b'')",
    ],
)
def test_arrow_without_pyarrow_says_what_is_missing(use: str) -> None:
    """When it is used, and not before."""
    said = in_a_bare_interpreter(
        "import otlp2parquet\n"
        "from otlp2parquet.core import decoder, schema\n"
        f"BODY = {log(b'')!r}\n"
        f"try:\n {use}\n said = 'nothing'\n"
        "except ImportError as error:\n said = str(error)\n"
    )
    assert said == "No module named 'pyarrow'"


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("", "native"),
        ("native", "native"),
        ("pure", "pure"),
        ("rust", "environment OTLP2PARQUET_DECODER: found 'rust', expected native or pure"),
    ],
)
def test_the_environment_forces_a_decoder(word: str, said: str) -> None:
    """One of two words, or an error that names both."""
    program = (
        "try:\n import otlp2parquet.core as core\n print(core.DECODER)\n"
        "except Exception as error:\n print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "OTLP2PARQUET_DECODER": word},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == said


def test_the_extension_is_missed_where_it_is_forced() -> None:
    """In words that name what is missing and what would help."""
    said = in_a_bare_interpreter(
        "import os\n"
        "os.environ['OTLP2PARQUET_DECODER'] = 'native'\n"
        "try:\n import otlp2parquet\n said = 'nothing'\n"
        "except ImportError as error:\n said = str(error)\n"
    )
    assert isinstance(said, str)
    assert "the extension otlp2parquet._native" in said
    assert "expected a wheel of otlp2parquet for this platform" in said


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ParquetWriter", "otlp2parquet.ParquetWriter needs pyarrow: No module named 'pyarrow'"),
        ("StoredFile", "nothing"),
    ],
)
def test_what_needs_pyarrow_says_so_when_it_is_used(name: str, expected: str) -> None:
    """A writer's name is there, and its use names the library; a receipt needs none."""
    said = in_a_bare_interpreter(
        "import otlp2parquet\n"
        f"assert {name!r} in dir(otlp2parquet)\n"
        f"try:\n otlp2parquet.{name}\n said = 'nothing'\n"
        "except ImportError as error:\n said = str(error)\n"
    )
    assert said == expected


@given(st.binary(max_size=200), st.integers(0, 2**32 - 1))
def test_the_fallback_for_crc32_is_the_same_function(data: bytes, value: int) -> None:
    """A segment that was written with one can be read with the other."""
    assert decoder.crc32(data, value) == zlib.crc32(data, value)


def in_a_process_of_its_own(program: str, **settings: str) -> list[int]:
    """The numbers that ``program`` prints, as a user's process would have them."""
    environment = {name: value for name, value in os.environ.items() if "MIMALLOC" not in name}
    environment |= settings
    done = subprocess.run(
        [sys.executable, "-c", f"from otlp2parquet.core.decoder import *\n{program}"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return [int(word) for word in done.stdout.split()]


def test_the_allocator_is_told_when_memory_is_short() -> None:
    """It keeps pages for a second by default, none while memory is short, then as before."""
    told = ", ".join(f"memory_is_short({is_short})" for is_short in (True, True, False, True))
    assert in_a_process_of_its_own(f"print({told})") == [1000, 0, 0, 1000]


def test_what_an_operator_has_said_of_the_allocator_holds() -> None:
    """While memory is not short it is as the process was started."""
    told = ", ".join(f"memory_is_short({is_short})" for is_short in (False, True, False, True))
    found = in_a_process_of_its_own(f"print({told})", MIMALLOC_PURGE_DELAY="77")
    assert found == [77, 77, 0, 77]


def test_pages_that_hold_nothing_go_back_when_memory_is_short() -> None:
    """A decoded request is gone, and its memory is kept until somebody is short of it."""
    body = log(*[delimited(5, string_value(b"x" * 100))] * 10)
    kept, given_back = in_a_process_of_its_own(
        "def resident():\n"
        "    with open('/proc/self/statm') as page: return int(page.read().split()[1]) * 4096\n"
        f"process_otlp({body!r} * 20_000, 'logs')\n"
        "print(resident())\n"
        "memory_is_short(True)\n"
        "print(resident())\n"
    )
    assert kept - given_back > 10_000_000


def test_no_huge_page_is_taken_while_memory_is_short() -> None:
    """Of which a block would need a corner. Linux says so of each process."""
    looks = (
        "def look(is_short):\n"
        "    memory_is_short(is_short)\n"
        "    with open('/proc/self/status') as page:\n"
        "        return next(line.split()[1] for line in page if line.startswith('THP_'))\n"
        "print(look(True), look(False))\n"
    )
    assert in_a_process_of_its_own(looks) == [0, 1]


def test_the_bound_is_the_decoders_own() -> None:
    """Whoever checks a setting against it never lets one through that the decoder refuses."""
    BatchBuilder(max_payload_bytes=MAX_PAYLOAD_BYTES)
    with pytest.raises(ValueError, match=f"at most {MAX_PAYLOAD_BYTES}"):
        BatchBuilder(max_payload_bytes=MAX_PAYLOAD_BYTES + 1)


def test_the_bound_stands_once() -> None:
    """Among the limits; whoever checks against it takes it from there."""
    written = re.compile(r"\b192\s*<<\s*20\b|\b201_?326_?592\b")
    found = [path for path in PACKAGE.rglob("*.py") if written.search(path.read_text("utf-8"))]
    assert found == [PACKAGE / "core" / "pure" / "limits.py"]
