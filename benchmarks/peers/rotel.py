"""rotel 0.0.1a15, a Rust collector: receives OTLP/HTTP, decodes, and throws everything away.

Knows how it is got (its wheel, in an environment of its own in the cache folder) and started.
"""

from __future__ import annotations

import shutil
import sys
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Final

from tests.components.cache import locked, run_build
from tests.components.process import RunningProcess, free_port

if TYPE_CHECKING:
    from pathlib import Path

VERSION: Final = "0.0.1a15"


def build_rotel() -> Path:
    """The program, installed on first use."""
    with locked("rotel") as cache:
        folder = cache / f"rotel-{VERSION}"
        if not folder.exists():
            building = cache / ".rotel.building"
            shutil.rmtree(building, ignore_errors=True)
            pip = [sys.executable, "-m", "pip", "install", "--quiet", "--pre"]
            run_build([*pip, "--target", building, f"rotel=={VERSION}"])
            building.replace(folder)
    return folder / "rotel" / "rotel-agent"


class Rotel(RunningProcess):
    """A running rotel that receives into its blackhole exporter, on one core."""

    def __init__(self, folder: Path, core: int) -> None:
        """Start it on ``core`` and wait until it answers."""
        self.port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        command = ["taskset", "-c", str(core), str(build_rotel()), "start"]
        command += ["--otlp-http-endpoint", f"127.0.0.1:{self.port}"]
        command += ["--otlp-grpc-endpoint", f"127.0.0.1:{free_port()}", "--exporter", "blackhole"]
        super().__init__(command, folder / "rotel.log", cwd=folder)
        self.wait_ready(self._answers)

    def _answers(self) -> bool:
        request = urllib.request.Request(
            f"{self.endpoint}/v1/logs",
            data=b"",
            headers={"Content-Type": "application/x-protobuf"},
        )
        try:
            with urllib.request.urlopen(request, timeout=5):
                return True
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False
