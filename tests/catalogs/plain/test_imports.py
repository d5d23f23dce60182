"""The commit in plain Python needs nothing that has to be installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
sys.modules["otlp2parquet._native"] = None  # as where there is no wheel
import otlp2parquet.catalogs.plain
loaded = {name.partition(".")[0] for name in sys.modules}
foreign = loaded - set(sys.stdlib_module_names) - {"otlp2parquet", "__main__"}
sys.exit(f"loaded {foreign}" if foreign else 0)
"""


def test_it_is_the_standard_library_alone() -> None:
    """No package, no extension: it has to run in Pyodide as it is."""
    package = Path(__file__).parents[3] / "python"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", PROGRAM, str(package)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
