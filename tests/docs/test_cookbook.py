"""The cookbook's statements, run as they stand there: each finds what happened in the shop.

In DuckDB, the oldest that the pages are for and the newest, by ``otlp2parquet query``, in polars
and pandas, and in one session of Spark.
"""

from __future__ import annotations

import shlex
from collections import defaultdict
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from click.testing import CliRunner

from otlp2parquet.cli import main
from otlp2parquet.stores import LocalStore
from tests.components import ask_oldest_duckdb, ask_spark
from tests.support.questions import ask

from .documents import PROJECT, Block, blocks
from .expected import EXPECTED, PLACEHOLDER, TREE
from .shop_files import write_files

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

COOKBOOK = sorted((PROJECT / "docs" / "cookbook").glob("*.md"))
BLOCKS = [one for page in COOKBOOK for one in blocks(page)]
ENGINES = ("duckdb", "polars", "pandas", "spark")
SETUP = {one.engine: one.code for one in BLOCKS if one.name == "setup"}
VIEWS = {one.name: one.code for one in BLOCKS if one.engine == "shell"}


def recipes(engine: str) -> dict[str, Block]:
    """Every statement for an engine by its name, about the trace that there is."""
    found = [one for one in BLOCKS if one.engine == engine and one.name not in {"setup", *VIEWS}]
    assert len({one.name for one in found}) == len(found)
    return {one.name: one for one in found}


def statement(block: Block) -> str:
    """What is run, about the trace that there is."""
    return block.code.replace(PLACEHOLDER, TREE)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the shop's files in ``data``."""
    folder = tmp_path_factory.mktemp("shop")
    write_files(folder / "data")
    return folder


def views(shop: Path, name: str, patch: pytest.MonkeyPatch) -> str:
    """What the command of a page writes."""
    words = shlex.split(VIEWS[name].partition(">")[0].replace("\\\n", " "))
    assert words.pop(0) == "otlp2parquet"
    patch.chdir(shop)
    result = CliRunner().invoke(main, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def plain(value: Any) -> Any:
    """A value as every engine's can be compared: times in UTC as text, numbers as Python's."""
    if isinstance(value, datetime):
        value = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        return value.replace(tzinfo=None).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str) and value.startswith("20") and value[10:11] == "T":
        return plain(datetime.fromisoformat(value))
    if hasattr(value, "item"):
        value = value.item()
    is_missing = value is None or value != value  # noqa: PLR0124 - pandas' word for it is NaN
    return None if is_missing else value


def approximate(value: Any) -> Any:
    """A value to compare with: fractions are computed in another order by each engine."""
    return pytest.approx(value, rel=1e-9) if isinstance(value, float) else value


def assert_found(found: Iterable[Iterable[Any]], name: str) -> None:
    """Insist on the rows that are expected, in their order."""
    rows = [[plain(value) for value in row] for row in found]
    expected = [[plain(value) for value in row] for row in EXPECTED[name]()]
    assert len(rows) == len(expected)
    for row, wanted in zip(rows, expected, strict=True):
        assert [approximate(value) for value in wanted] == row


def test_every_recipe_is_there_for_every_engine() -> None:
    """And nothing is on a page that is not run."""
    for engine in ENGINES:
        assert set(recipes(engine)) == set(EXPECTED), engine
    assert set(recipes("typed-views")) == {"one-attribute"}
    assert [one.place for one in BLOCKS if not one.engine] == []
    assert set(SETUP) == set(ENGINES)


@pytest.mark.parametrize("name", EXPECTED)
def test_the_shop_has_an_answer(name: str) -> None:
    """Every recipe has something to find, and the trace has what makes it worth asking."""
    assert EXPECTED[name]()
    assert len(EXPECTED["logs-of-trace"]()) > 2
    assert {row[0][:4] for row in EXPECTED["trace-tree"]()} >= {"    ", "POST", "char"}


@pytest.fixture(scope="module")
def newest(shop: Path) -> Iterable[duckdb.DuckDBPyConnection]:
    """The newest DuckDB, with the page's views."""
    with pytest.MonkeyPatch.context() as patch, duckdb.connect() as connection:
        connection.execute(views(shop, "views", patch))
        connection.execute(SETUP["duckdb"])
        yield connection


@pytest.mark.parametrize("name", EXPECTED)
def test_newest_duckdb(name: str, newest: duckdb.DuckDBPyConnection) -> None:
    """Also: ``assert_found`` is told of a row that is wrong."""
    block = recipes("duckdb")[name]
    table = newest.sql(statement(block)).to_arrow_table()
    rows = [list(row.values()) for row in table.to_pylist()]
    assert_found(rows, name)
    with pytest.raises(AssertionError):
        assert_found([*rows[:-1], [*rows[-1][:-1], "other"]], name)


@pytest.mark.parametrize("name", EXPECTED)
def test_by_query(name: str, shop: Path) -> None:
    """The views of the command have the same names and columns."""
    rows = ask(LocalStore(shop / "data"), statement(recipes("duckdb")[name]))
    assert_found([row.values() for row in rows], name)


def test_oldest_duckdb(shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them, and the typed views."""
    setup = views(shop, "views", monkeypatch) + SETUP["duckdb"]
    asked = {name: statement(block) for name, block in recipes("duckdb").items()}
    for name, rows in ask_oldest_duckdb(shop, setup, asked, tmp_path).items():
        assert_found(rows, name)
    typed = {name: statement(block) for name, block in recipes("typed-views").items()}
    setup = views(shop, "typed-views", monkeypatch)
    for name, rows in ask_oldest_duckdb(shop, setup, typed, tmp_path).items():
        assert_found(rows, name)


def test_typed_views(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A column of the view has the type that was asked for."""
    with duckdb.connect() as connection:
        connection.execute(views(shop, "typed-views", monkeypatch))
        assert_found(
            connection.execute(statement(recipes("typed-views")["one-attribute"])).fetchall(),
            "one-attribute",
        )
        types = {name: kind for name, kind, *_ in connection.execute("DESCRIBE traces").fetchall()}
    assert types["http.response.status_code"] == "BIGINT"
    assert types["host.name"] == types["http.route"] == "VARCHAR"


@pytest.mark.parametrize("name", EXPECTED)
@pytest.mark.parametrize("engine", ["polars", "pandas"])
@pytest.mark.filterwarnings("default")  # what engines deprecate in each other is not ours
def test_frames(engine: str, name: str, shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The block leaves its answer as a frame, or as rows."""
    monkeypatch.chdir(shop)
    names: dict[str, Any] = {}
    exec(SETUP[engine] + statement(recipes(engine)[name]), names)  # noqa: S102 - the page's own
    answer = names["answer"]
    if hasattr(answer, "itertuples"):
        answer = answer.itertuples(index=False, name=None)
    elif hasattr(answer, "rows"):
        answer = answer.rows()
    assert_found(answer, name)


def test_spark(shop: Path, tmp_path: Path) -> None:
    """All of them in one session."""
    asked = {name: statement(block) for name, block in recipes("spark").items()}
    failed = defaultdict(list)
    for name, rows in ask_spark(shop, SETUP["spark"], asked, tmp_path).items():
        try:
            assert_found(rows, name)
        except AssertionError as error:
            failed[name].append(str(error))
    assert not failed
