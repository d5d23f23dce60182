"""ministack: an emulation of AWS: S3, S3 Tables, Glue and functions behind URLs are used.

Knows its environment and ready sign. It checks no signatures: what passes here has not been tried
against AWS.
"""

from __future__ import annotations

import http.client
import os
from typing import TYPE_CHECKING

from .cache import python_environment
from .process import RunningProcess, free_port

if TYPE_CHECKING:
    from pathlib import Path

REQUIREMENTS = ("ministack==1.5.33",)
ACCOUNT = "000000000000"


def build_ministack() -> Path:
    """The program, in an environment of its own made on first use."""
    return python_environment("ministack", REQUIREMENTS).with_name("ministack")


class Ministack(RunningProcess):
    """A running emulation on a free port of 127.0.0.1."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        env = {
            **os.environ,
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(self.port),
            "IOT_MTLS_ENABLED": "0",
            "SERVICES": "s3,s3tables,glue,lambda,sts,iam",
        }
        super().__init__([build_ministack()], folder / "ministack.log", env=env, cwd=folder)
        self.wait_ready(self._answers)

    def environment(self) -> dict[str, str]:
        """What a client's environment has to have."""
        return {
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": self.endpoint,
        }

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/_ministack/health")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
