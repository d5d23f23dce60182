"""docs/sizing.md: current, and its arithmetic that of the figures and the settings."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from benchmarks.sizing import DAY, answer, main, recorded, size
from benchmarks.sizing_page import PAGE, page
from otlp2parquet.config import BatchConfig, Config


def test_the_page_is_current() -> None:
    """It is what the recorded figures and the default settings say: `make docs` writes it again."""
    assert PAGE.read_text("utf-8") == page()


def test_a_rate_costs_what_its_records_cost() -> None:
    """CPU, network and files grow with the rate, by what one record of each kind costs."""
    of, rate = recorded("sizes"), 1000
    for signal in ("logs", "traces", "metrics"):
        one, ten = size({signal: rate}, 5), size({signal: 10 * rate}, 5)
        assert one.received == pytest.approx(rate * of[signal]["gzip"])
        assert one.parquet_a_day == pytest.approx(rate * of[signal]["parquet"] * DAY)
        assert ten.cores == pytest.approx(10 * one.cores)
        assert ten.memory == one.memory
    both = size({"logs": rate, "traces": rate}, 5)
    assert both.cores == pytest.approx(
        size({"logs": rate}, 5).cores + size({"traces": rate}, 5).cores
    )


def test_a_batch_closes_by_what_comes_first() -> None:
    """By age when little comes, by rows or bytes when much does."""
    config = Config()
    assert size({"logs": 10}, 1).batch_secs == config.batch.max_age_secs
    much = size({"logs": 1_000_000}, 1)
    assert much.batch_secs < 2
    assert much.batch_bytes <= config.batch.max_bytes
    few = size({"logs": 10}, 1, Config(batch=BatchConfig(max_rows=10)))
    assert few.batch_secs == pytest.approx(1.0)
    assert few.files_a_day == pytest.approx(DAY)


def test_the_command_of_the_page_says_what_the_page_says() -> None:
    """And without a rate it asks for one."""
    words = ["--logs", "5000", "--spans", "2000", "--points", "10000", "--services", "20"]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0
    assert done.output.splitlines() == answer({"logs": 5000, "traces": 2000, "metrics": 10_000}, 20)
    assert done.output in PAGE.read_text("utf-8")
    assert " ".join(words) in PAGE.read_text("utf-8")
    assert CliRunner().invoke(main, []).exit_code == 2
