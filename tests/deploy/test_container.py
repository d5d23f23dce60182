"""The image: no complaint of a linter, and what its steps and limits say is true of the product.

There is no engine here: what builds and runs an image is not asked. Its steps are looked at one by
one, and the server runs as the image has it: without rights, on a file system that is read only.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import urllib.request
from typing import TYPE_CHECKING

from otlp2parquet.config import Config
from tests.components.deploy_tools import build_deploy_tools, judge
from tests.support.deployment import DEPLOY, environment_of_image, variables
from tests.support.server_process import Server, logs_of

if TYPE_CHECKING:
    from pathlib import Path

DOCKERFILE = DEPLOY / "Dockerfile"
TEXT = DOCKERFILE.read_text("utf-8")
FOLDER = "/var/lib/otlp2parquet"

READ_ONLY = """\
set -e
mount --bind "$1" "$1"
mount -o remount,bind,ro /
for writable in /tmp /var/tmp /dev/shm /run; do
    mountpoint -q "$writable" || continue
    mount -o remount,bind,ro "$writable" 2>/dev/null ||
        mount -o remount,bind,ro,nosuid,nodev "$writable"
done
mount --bind "$1" "$1"
mount -o remount,bind,rw "$1"
cd "$1"
if touch "$2" 2>/dev/null; then echo "the file system can be written" >&2; exit 1; fi
shift 2
exec setpriv --no-new-privs --bounding-set=-all --inh-caps=-all "$@"
"""
"""In namespaces of its own: everything is read only but one folder, and there are no rights."""


def instruction(name: str) -> list[str]:
    """What follows each instruction of a name, continued lines joined."""
    joined = TEXT.replace("\\\n", " ")
    return [re.sub(r"\s+", " ", one) for one in re.findall(rf"^{name} (.*)$", joined, re.MULTILINE)]


def test_the_linter_finds_nothing() -> None:
    """hadolint, with all of its rules."""
    verdict = judge(build_deploy_tools() / "hadolint", "--no-color", DOCKERFILE)
    assert verdict == (0, ""), verdict.text


def test_it_installs_the_wheel_of_its_own_processor(tmp_path: Path) -> None:
    """One of those that `make wheels` makes, and none of another C library or system."""
    dist = tmp_path / "dist"
    dist.mkdir()
    for tag in (
        "manylinux_2_28_x86_64", "manylinux_2_28_aarch64", "musllinux_1_2_x86_64",
        "musllinux_1_2_aarch64", "macosx_11_0_arm64", "win_amd64",
    ):  # fmt: skip
        (dist / f"otlp2parquet-0.1.0-cp311-abi3-{tag}.whl").touch()
    (dist / "otlp2parquet-0.1.0.tar.gz").touch()
    found = re.search(r'"(\$\(echo .*\)\[\$\{EXTRAS\}\])"', TEXT)
    assert found is not None
    script = found[1].replace("/dist/", f"{dist}/")
    done = subprocess.run(
        ["sh", "-c", f'echo "{script}"'], capture_output=True, text=True, check=True,
        env={"EXTRAS": "iceberg", "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    machine = subprocess.run(["uname", "-m"], capture_output=True, text=True, check=True)
    wheel = f"otlp2parquet-0.1.0-cp311-abi3-manylinux_2_28_{machine.stdout.strip()}.whl"
    assert done.stdout.strip() == f"{dist / wheel}[iceberg]"


def test_only_wheels_are_sent_to_the_build() -> None:
    """Neither sources nor a developer's files can get into an image."""
    ignored = DOCKERFILE.with_name("Dockerfile.dockerignore").read_text("utf-8").split("\n")
    rules = [line for line in ignored if line and not line.startswith("#")]
    assert rules == ["*", "!dist", "dist/*", "!dist/*.whl"]


def test_it_runs_without_rights_in_a_folder_of_its_own() -> None:
    """A user by number, so that Kubernetes can tell that it is not root; the log on the volume."""
    assert instruction("USER") == ["10001:10001"]
    assert instruction("VOLUME") == instruction("WORKDIR") == [FOLDER]
    assert instruction("STOPSIGNAL") == ["SIGTERM"]
    given = environment_of_image()
    assert {name for name in given if name.startswith("OTLP2PARQUET_")} <= variables()
    assert given["OTLP2PARQUET_DURABILITY_PATH"] == f"{FOLDER}/log"
    default = Config().server
    assert default.grpc_addr is not None
    ports = {str(default.grpc_addr.port), str(default.listen_addr.port)}
    assert set(instruction("EXPOSE")[0].split()) == ports
    # In the form of a list, so that the process gets the signal and not a shell.
    assert json.loads(instruction("ENTRYPOINT")[0]) == ["otlp2parquet"]


def test_the_health_check_tells_a_server_that_is_there_from_one_that_is_not(
    tmp_path: Path,
) -> None:
    """The command of the image, but for the port."""
    (check,) = instruction("HEALTHCHECK")
    command = json.loads(check.split(" CMD ")[1])
    assert command[0] == "python"

    def healthy(port: int) -> bool:
        words = [sys.executable, *(word.replace(":4318/", f":{port}/") for word in command[1:])]
        return subprocess.run(words, capture_output=True, check=False).returncode == 0

    with Server(tmp_path) as server:
        assert healthy(server.port)
        port = server.port
    assert not healthy(port)


def test_the_server_needs_nothing_but_its_folder(tmp_path: Path) -> None:
    """All else read only, /tmp too, and no capability: it takes, stores, commits and stops."""
    state = tmp_path / "state"
    state.mkdir()
    unshare = shutil.which("unshare")
    assert unshare is not None
    launcher = [
        unshare, "--user", "--map-root-user", "--mount", "sh", "-c", READ_ONLY, "sh",
        str(state), str(tmp_path / "elsewhere"),
    ]  # fmt: skip
    settings = environment_of_image()
    settings |= {
        "OTLP2PARQUET_DURABILITY_PATH": str(state / "log"),
        "OTLP2PARQUET_SERVER_LISTEN_ADDR": "127.0.0.1:0",
        "OTLP2PARQUET_SERVER_GRPC_ADDR": "127.0.0.1:0",
        "OTLP2PARQUET_GRPC_ADDR": "127.0.0.1:0",
        "OTLP2PARQUET_CATALOG_TYPE": "sql",
        "PATH": "/usr/bin:/bin",
        "HOME": "/nonexistent",
    }
    with Server(tmp_path, launcher=launcher, settings=settings) as server:
        assert server.grpc_address
        assert server.post(logs_of("a", "b"))[0] == 200
        flush = urllib.request.Request(f"http://{server.host}:{server.port}/flush", method="POST")
        with urllib.request.urlopen(flush) as answer:
            assert json.load(answer)["status"] == "stored"
        assert server.stop() == 0, server.log
    assert "committed table=otel_logs" in server.log, server.log
    assert list((state / "data").rglob("*.parquet"))
    assert not (tmp_path / "data").exists()
