"""The version of the package, as installed: known also where the extension is not.

Knows the metadata that installers write. A copy of the package that nobody installed, such as one
that is bundled into a Worker, has none; its version is then ``UNKNOWN``.
"""

from importlib.metadata import PackageNotFoundError, version
from typing import Final

UNKNOWN: Final = "0+unknown"

try:
    __version__ = version("otlp2parquet")
except PackageNotFoundError:
    __version__ = UNKNOWN
