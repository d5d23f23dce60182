"""Results of the long forms, kept beside the benchmarks for the page of the server's figures."""

from __future__ import annotations

import json
import os
import platform
from importlib.metadata import version
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "benchmarks" / "results"


def save(name: str, figures: dict[str, object]) -> None:
    """Write ``figures`` under ``name``, with what they were taken with, and print them."""
    conditions = {
        "otlp2parquet": version("otlp2parquet"),
        "granian": version("granian"),
        "pyarrow": version("pyarrow"),
        "python": platform.python_version(),
        "system": platform.system(),
        "cores": os.cpu_count(),
    }
    text = json.dumps({"conditions": conditions, **figures}, indent=1) + "\n"
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.json").write_text(text, encoding="utf-8")
    print(text)
