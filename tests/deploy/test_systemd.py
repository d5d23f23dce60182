"""The unit for systemd: it loads, is locked up, and fits the product's times and memory."""

from __future__ import annotations

import configparser
import re
from typing import TYPE_CHECKING

import pytest

from otlp2parquet.config import Config
from tests.components.deploy_tools import judge
from tests.support.deployment import DEPLOY, STOP_SECS, needed_bytes, variables
from tests.support.server_process import COMMAND

if TYPE_CHECKING:
    from pathlib import Path

UNIT = DEPLOY / "systemd" / "otlp2parquet.service"
PROGRAM = "/usr/local/lib/otlp2parquet/bin/otlp2parquet"
MOST_EXPOSED = 2.0
"""Of 10, as `systemd-analyze security` counts; what listens to a network has at least 0.5."""


def lines(name: str) -> list[str]:
    """The values of a directive, in order."""
    return re.findall(rf"^{name}=(.*)$", UNIT.read_text("utf-8"), re.MULTILINE)


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit, with the command where it is on this machine."""
    path = tmp_path / UNIT.name
    path.write_text(UNIT.read_text("utf-8").replace(PROGRAM, str(COMMAND)), "utf-8")
    return path


def test_systemd_takes_the_unit(unit: Path) -> None:
    """It says nothing about it: no unknown directive, no wrong value, and the command is there."""
    verdict = judge("systemd-analyze", "--man=no", "verify", unit)
    assert verdict == (0, ""), verdict.text


def test_the_service_can_touch_little(unit: Path) -> None:
    """By systemd's own measure it is among the least exposed of services."""
    verdict = judge("systemd-analyze", "--no-pager", "--offline=true", "security", unit)
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", verdict.text)
    assert found is not None, verdict.text
    assert float(found[1]) <= MOST_EXPOSED, verdict.text
    for name, value in {
        "DynamicUser": "yes",
        "ProtectSystem": "strict",
        "NoNewPrivileges": "yes",
        "StateDirectory": "otlp2parquet",
    }.items():
        assert lines(name) == [value]


def test_a_stop_has_the_time_that_it_takes() -> None:
    """It is killed when the product has given up, not before."""
    (secs,) = lines("TimeoutStopSec")
    assert int(secs) >= STOP_SECS + 5
    assert lines("KillSignal") == ["SIGTERM"]
    assert lines("ExecReload") == ["/bin/kill -HUP $MAINPID"]


def test_memory_fits_the_default_settings() -> None:
    """What is documented as its most is below the limit."""
    (limit,) = lines("MemoryMax")
    assert limit.endswith("M")
    assert int(limit.removesuffix("M")) << 20 >= needed_bytes(Config())


def test_variables_are_settings_and_lead_into_the_folder_of_the_service() -> None:
    """The log lies in the StateDirectory, where a restart finds it, and so does everything else."""
    given = dict(one.split("=", 1) for one in lines("Environment"))
    assert set(given) <= variables()
    assert given["OTLP2PARQUET_DURABILITY_PATH"] == "%S/otlp2parquet/log"
    assert given["OTLP2PARQUET_CONFIG"] == "%d/config.toml"
    assert lines("WorkingDirectory") == ["%S/otlp2parquet"]
    assert lines("RequiresMountsFor") == ["/var/lib/otlp2parquet"]


def test_it_has_sections_that_systemd_knows() -> None:
    """And each directive stands in one of them."""
    parser = configparser.RawConfigParser(strict=False)
    parser.read(UNIT, "utf-8")
    assert parser.sections() == ["Unit", "Service", "Install"]
