"""What goes into the zip of a function, and what of the wheels stays out.

Knows distributions and their files. Each exception says why; a test takes the zip through a commit.
"""

import re
from typing import Final

REQUIREMENTS: Final = (
    "pyarrow>=21,<27",
    "obstore>=0.12,<1",
    "pyiceberg>=0.12,<0.13",
    # The runtime's botocore takes no later one, and would find this one first.
    "python-dateutil>=2.9,<3",
)
"""What the function imports beside the package itself; pip finds what these need."""

LEFT_OUT: Final = frozenset(
    {
        # Of the terminal; what commits imports none of them.
        "click", "colorama", "markdown-it-py", "mdurl", "pygments", "rich",
        # File systems that pyiceberg is not told to use: its files go by pyarrow.
        "fsspec",
        # In the runtime of AWS, which keeps them current.
        "boto3", "botocore", "jmespath", "s3transfer",
    }
)  # fmt: skip
"""Distributions that are required and not needed."""

_UNUSED: Final = (
    # Headers, sources and tests: what compiles against a package, or proves it.
    r".*\.(pxd|pyx|pxi|h|hpp|cc|cpp|c|cmake|pyi|lib|a)",
    r".*/(tests?|include|src)/.*",
    r"[^/]+\.dist-info/(licenses|LICENSE|sboms)/.*\.(json|xml)",
    # Flight is a server and client of its own; ORC, Gandiva and CUDA are other formats and engines.
    # libarrow_substrait stays: libraries that are needed name it.
    r"pyarrow/libarrow(_python)?_(flight|cuda).*",
    r"pyarrow/libgandiva.*",
    r"pyarrow/_(flight|cuda|orc|gandiva).*",
    r"pyarrow/(flight|gandiva|cuda)\..*",
    # The same library three times: what needs it names the one with the short version.
    r"pyarrow/libarrow_python\w*\.so(\.\d+\.\d+\.\d+)?",
    r"pyarrow/_pyarrow_cpp_tests.*",
    # Of Hive's catalog; the first version of pydantic; a second way to a library.
    r"(hive_metastore|fb303|pydantic/v1)/.*",
    r"zstandard/(_cffi|backend_cffi)\b.*",
    r"otlp2parquet/(cli|deploy)/.*",
    r"otlp2parquet/platforms/server/.*",
    r"bin/.*",
)
_UNUSED_PATH: Final = re.compile("|".join(f"(?:{one})" for one in _UNUSED))


def is_needed(path: str) -> bool:
    """Whether a file of a wheel goes into the zip; licenses of all do."""
    return _UNUSED_PATH.fullmatch(path) is None


def is_left_out(distribution: str) -> bool:
    """Whether nothing of a distribution goes into the zip."""
    return re.sub(r"[-_.]+", "-", distribution).lower() in LEFT_OUT
