"""The runtime of AWS Lambda on this machine: AWS's own runtime client and interface emulator.

Knows how they are got and started, and how a function in a zip is called. Must not know what the
function does. The emulator takes one invocation at a time, as an environment of Lambda does.
"""

from __future__ import annotations

import http.client
import json
import os
import platform
import shutil
import signal
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .cache import locked, python_environment, run_build
from .process import RunningProcess, free_port

if TYPE_CHECKING:
    from collections.abc import Mapping

SAM = "1.170.0"
RUNTIME = ("awslambdaric==4.2.2", "boto3==1.43.117")
"""AWS's runtime client, and what else AWS's runtime has that a function may import."""
CFN_LINT = ("cfn-lint>=1.40,<2",)
INVOKE = "/2015-03-31/functions/function/invocations"


def build_lambda_emulator() -> Path:
    """The runtime interface emulator, which AWS ships inside of its SAM CLI."""
    machine = {"x86_64": "x86_64", "aarch64": "arm64"}[platform.machine()]
    name = f"aws-lambda-rie-{machine}"
    with locked("lambda-emulator") as cache:
        folder = cache / f"lambda-emulator-{SAM}"
        program = folder / name
        if not program.exists():
            building = cache / f".lambda-emulator-{SAM}.building"
            shutil.rmtree(building, ignore_errors=True)
            building.mkdir()
            pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
            run_build([*pip, "--dest", building, f"aws-sam-cli=={SAM}"])
            (wheel,) = building.glob("*.whl")
            with zipfile.ZipFile(wheel) as packed:
                content = packed.read(f"samcli/local/rapid/{name}")
            folder.mkdir(exist_ok=True)
            partial = folder / f".{name}"
            partial.write_bytes(content)
            partial.chmod(0o755)
            partial.replace(program)
            shutil.rmtree(building)
    return program


def build_lambda_runtime() -> Path:
    """The Python that stands for AWS's runtime."""
    return python_environment("lambda-runtime", RUNTIME)


def build_cfn_lint() -> Path:
    """The linter of templates, in an environment of its own."""
    return python_environment("cfn-lint", CFN_LINT).with_name("cfn-lint")


class LambdaRuntime(RunningProcess):
    """A function under the emulator, from an unpacked zip at ``root``.

    Its environment is made at the first invocation, and again after one that failed.
    """

    def __init__(
        self,
        root: Path,
        log: Path,
        environ: Mapping[str, str],
        *,
        handler: str = "otlp2parquet.platforms.aws_lambda.handler",
        memory_mb: int = 1024,
        timeout_secs: int = 300,
    ) -> None:
        self.port = free_port()
        python = build_lambda_runtime()
        command: list[str | Path] = [build_lambda_emulator()]
        command += ["--runtime-interface-emulator-address", f"127.0.0.1:{self.port}"]
        command += ["--runtime-api-address", f"127.0.0.1:{free_port()}"]
        own = {
            # Nothing of the tests' own packages: what the zip lacks is to be missed.
            "PATH": os.environ.get("PATH", ""),
            "PYTHONPATH": str(root),
            "PYTHONDONTWRITEBYTECODE": "1",
            "LAMBDA_TASK_ROOT": str(root),
            "AWS_LAMBDA_FUNCTION_NAME": "telemetry",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(memory_mb),
            "AWS_LAMBDA_FUNCTION_TIMEOUT": str(timeout_secs),
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        super().__init__(
            [*command, python, "-m", "awslambdaric", handler], log, env={**own, **environ}, cwd=root
        )
        self.wait_ready(self._answers)

    def invoke(self, event: object, secs: float = 300.0) -> Any:
        """The result of an event; an error's is an object with ``errorMessage``."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=secs)
        try:
            connection.request("POST", INVOKE, json.dumps(event))
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def kill_function(self) -> None:
        """End the function's own process at once (SIGKILL), as AWS does with one out of memory.

        The emulator stays: it answers with an error, and makes another environment for what comes.
        """
        parent = self.process.pid
        tasks = Path(f"/proc/{parent}/task")
        found = {
            int(child)
            for task in tasks.iterdir()
            for child in (task / "children").read_text(encoding="ascii").split()
        }
        for child in found:
            os.kill(child, signal.SIGKILL)

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.connect()
        except OSError:
            return False
        finally:
            connection.close()
        return True
