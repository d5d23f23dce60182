"""The composition: Docker Compose takes it, and its parts work together, here as processes.

There is no engine here: that images are pulled and built is not asked. What each service is given
(command, environment, configuration) is given to the same program on this machine.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import obstore
import pytest
from obstore.store import S3Store

from otlp2parquet.config import Config, load
from tests.components import build_collector, free_port, telemetrygen
from tests.components.deploy_tools import build_deploy_tools, judge
from tests.components.process import RunningProcess
from tests.components.s3 import build_versitygw
from tests.support.deployment import (
    DEPLOY,
    STOP_SECS,
    environment_of_image,
    needed_bytes,
    variables,
)
from tests.support.server_process import Server

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = DEPLOY / "compose"
COLLECTOR = FOLDER / "collector.yaml"


@pytest.fixture(scope="module")
def composed() -> dict[str, Any]:
    """The composition as Docker Compose understands it, all profiles."""
    arguments: list[str | Path] = [
        "--file",
        FOLDER / "compose.yaml",
        "--env-file",
        FOLDER / "example.env",
    ]
    verdict = judge(
        build_deploy_tools() / "docker-compose",
        *(*arguments, "--profile", "*", "config", "--format", "json"),
    )
    assert verdict.code == 0, verdict.text
    made: dict[str, Any] = json.loads(verdict.text)
    return made


def test_compose_takes_it_only_with_a_secret(composed: dict[str, Any], tmp_path: Path) -> None:
    """Docker Compose's own check; and nobody starts it with a password out of the repository."""
    assert {"collector", "otlp2parquet", "s3", "bucket"} < set(composed["services"])
    nothing = tmp_path / "empty.env"
    nothing.touch()
    arguments: list[str | Path] = [
        "--file",
        FOLDER / "compose.yaml",
        "--env-file",
        nothing,
        "config",
        "--quiet",
    ]
    verdict = judge(build_deploy_tools() / "docker-compose", *arguments)
    assert verdict.code != 0
    assert "copy example.env to .env" in verdict.text


def test_what_is_mounted_is_there(composed: dict[str, Any]) -> None:
    """Every file and folder of this repository that a container is given."""
    for service in composed["services"].values():
        for mount in service.get("volumes", ()):
            assert mount["type"] == "volume" or Path(mount["source"]).exists(), mount
    for one in composed["configs"].values():
        assert Path(one["file"]).is_file()
    build = composed["services"]["otlp2parquet"]["build"]
    assert Path(build["context"], build["dockerfile"]).samefile(DEPLOY / "Dockerfile")


def test_the_server_is_locked_up_and_has_time_and_memory(composed: dict[str, Any]) -> None:
    """Read only, without capabilities; a stop may take what it takes; memory as documented."""
    service = composed["services"]["otlp2parquet"]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert secs(service["stop_grace_period"]) >= STOP_SECS + 5
    assert int(service["mem_limit"]) >= needed_bytes(Config())
    (volume,) = service["volumes"]
    assert environment_of_image()["OTLP2PARQUET_DURABILITY_PATH"].startswith(volume["target"])
    given = {name for name in service["environment"] if name.startswith("OTLP2PARQUET_")}
    assert given <= variables()


def test_nothing_is_open_to_others(composed: dict[str, Any]) -> None:
    """What is published is published on this machine."""
    for service in composed["services"].values():
        assert {port["host_ip"] for port in service.get("ports", ())} <= {"127.0.0.1"}


def test_the_collector_takes_its_configuration() -> None:
    """The real one; a key that it does not know is an error to it."""
    verdict = judge(build_collector(), "validate", "--config", COLLECTOR)
    assert verdict.code == 0, verdict.text


@pytest.fixture
def s3(composed: dict[str, Any], tmp_path: Path) -> Iterator[str]:
    """The S3 server of the composition and its bucket; where it is reached."""
    port, data = free_port(), tmp_path / "s3data"
    service = composed["services"]["s3"]
    words = [word.replace(":7070", f"127.0.0.1:{port}") for word in service["command"]]
    words = [str(data) if word == "/data" else word for word in words]
    make = [w.replace("/data", str(data)) for w in composed["services"]["bucket"]["entrypoint"]]
    subprocess.run(make, check=True)
    (test,) = (word for word in service["healthcheck"]["test"] if word.startswith("http"))

    def answers() -> bool:
        try:
            with urllib.request.urlopen(test.replace(":7070", f":{port}")):
                return True
        except OSError:
            return False

    env = {**os.environ, **service["environment"]}
    with RunningProcess([build_versitygw(), *words], tmp_path / "s3.log", env=env) as server:
        server.wait_ready(answers)
        yield f"http://127.0.0.1:{port}"


def test_telemetry_goes_all_the_way(composed: dict[str, Any], s3: str, tmp_path: Path) -> None:
    """From a program through the Collector and otlp2parquet into the bucket."""
    given = dict(composed["services"]["otlp2parquet"]["environment"])
    assert given["OTLP2PARQUET_STORAGE_S3_ENDPOINT"] == "http://s3:7070"
    given["OTLP2PARQUET_STORAGE_S3_ENDPOINT"] = s3
    given |= {"AWS_EC2_METADATA_DISABLED": "true"}
    given["OTLP2PARQUET_DURABILITY_PATH"] = str(tmp_path / "log")
    own = {name: value for name, value in given.items() if name.startswith("OTLP2PARQUET_")}
    assert load(environ=own, folder=tmp_path).warnings == ()
    http, grpc = free_port(), free_port()
    with Server(tmp_path / "server", settings=given) as server:
        env = {
            **os.environ,
            "COLLECTOR_HOST": "127.0.0.1",
            "COLLECTOR_HTTP_PORT": str(http),
            "COLLECTOR_GRPC_PORT": str(grpc),
            "OTLP2PARQUET_ENDPOINT": f"http://{server.host}:{server.port}",
        }
        command: list[str | Path] = [build_collector(), "--config", COLLECTOR]
        with RunningProcess(command, tmp_path / "collector.log", env=env) as collector:
            collector.wait_ready(lambda: "Everything is ready" in collector.log)
            telemetrygen("logs", http, 30)
            telemetrygen("traces", grpc, 20, grpc=True)
            # The Collector stops first, as in the composition, and sends on what it has.
            assert collector.stop() == 0
        assert server.stop() == 0, server.log
    stored = [key for key in keys_in(s3, given) if key.endswith(".parquet")]
    assert {key.split("/")[0] for key in stored} == {"logs", "traces"}
    # 30 log records, and 20 traces of two spans each.
    assert sum(map(int, re.findall(r"batch stored .* rows=(\d+)", server.log))) == 30 + 2 * 20


def keys_in(endpoint: str, given: dict[str, str]) -> list[str]:
    """The bucket's keys, with the credentials of the composition."""
    store = S3Store(
        given["OTLP2PARQUET_STORAGE_S3_BUCKET"],
        endpoint=endpoint,
        aws_endpoint_url_s3=endpoint,
        region=given["OTLP2PARQUET_STORAGE_S3_REGION"],
        access_key_id=given["AWS_ACCESS_KEY_ID"],
        secret_access_key=given["AWS_SECRET_ACCESS_KEY"],
        client_options={"allow_http": True},
    )
    return [one["path"] for page in obstore.list(store) for one in page]


def secs(duration: str) -> float:
    """A duration as Compose writes it: ``40s`` or ``1m10s``."""
    minutes, _, rest = duration.rpartition("m")
    return 60 * float(minutes or 0) + float(rest.removesuffix("s") or 0)
