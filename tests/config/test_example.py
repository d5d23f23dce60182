"""deploy/config.toml: every setting, as a comment, with its default."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from otlp2parquet.config import Config, Flags, load
from otlp2parquet.config.example import EXAMPLES, config_file
from otlp2parquet.config.settings import settings, value_of

FILE = Path(__file__).parents[2] / "deploy" / "config.toml"
SETTING = re.compile(r"^#(?=\w+ = )", re.MULTILINE)


def test_the_file_is_current() -> None:
    """It is what the code says: `make docs` writes it again."""
    assert FILE.read_text("utf-8") == config_file()


def test_as_it_is_it_changes_nothing() -> None:
    """Whoever copies it has the defaults, and no warning."""
    loaded = load(Flags(config=FILE), environ={}, folder=Path("/nonexistent"))
    assert loaded.config == Config()
    assert loaded.warnings == ()


def test_what_stands_behind_the_comments_are_the_defaults(tmp_path: Path) -> None:
    """Each setting is there once; with all of them set, what is in effect is what was before."""
    opened = SETTING.sub("", config_file())
    flat = tomllib.loads(opened)
    for row in settings():
        value = flat
        for name in row.key.split("."):
            value = value[name]
    path = tmp_path / "config.toml"
    path.write_text(opened, "utf-8")
    loaded = load(Flags(config=path), environ={}, folder=tmp_path)
    for row in settings():
        if row.key not in EXAMPLES:
            assert value_of(loaded.config, row.key) == value_of(Config(), row.key), row.key
        assert row.key.rpartition(".")[2] in opened
    assert {key for key in EXAMPLES if loaded.sources[key] == "default"} == set()


def test_examples_stand_only_where_a_default_cannot() -> None:
    """A setting that could be written with its default is not shown with something else."""
    rows = {row.key: row for row in settings()}
    for key in EXAMPLES:
        assert rows[key].guard or key == "server.threads", key
