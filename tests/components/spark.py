"""Spark as a reader of Parquet folders, in an environment of its own: ``spark_reader.py``.

Knows pip and the script's arguments; needs Java 17 or newer. Must not know what is in the files.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .cache import python_environment
from .sender import run_sender

if TYPE_CHECKING:
    from collections.abc import Mapping

SCRIPT = Path(__file__).with_name("spark_reader.py")
REQUIREMENTS = ("pyspark==4.1.4",)
QUERY_SECS = 900
"""Ten seconds on an idle machine, most of it for starting; two minutes have been seen on one
that had other things to do."""


def build_spark() -> Path:
    """The Python of the environment with PySpark, made on first use."""
    return python_environment("spark", REQUIREMENTS)


def query_with_spark(
    folder: Path, queries: Mapping[str, str], scratch: Path
) -> dict[str, list[list[Any]]]:
    """The rows of each query on the table ``files``, which is all Parquet below ``folder``.

    Values come as JSON has them; what JSON has no word for, such as a date, as its text. Raises
    ``ComponentError`` with Spark's output when a query failed.
    """
    asked, answered = scratch / "queries.json", scratch / "rows.json"
    asked.write_text(json.dumps(dict(queries)), encoding="utf-8")
    command = [str(build_spark()), str(SCRIPT), str(folder), str(asked), str(answered)]
    run_sender(command, QUERY_SECS)
    rows: dict[str, list[list[Any]]] = json.loads(answered.read_text(encoding="utf-8"))
    return rows
