"""Every piece of code in the documents is what it says: it parses, and the commands exist.

Statements that find something are run elsewhere (``test_cookbook``, ``tests/query``,
``tests/clients``, ``tests/catalogs``).
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import tomllib
from typing import TYPE_CHECKING, Any

import click
import pytest
import yaml

from otlp2parquet.cli import main
from otlp2parquet.config import load
from otlp2parquet.config.settings import settings

from .documents import PROJECT, Block, all_blocks, pages

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = "otlp2parquet"
HELP = ["-h", "--help"]
"""Click remembers a command's help option from the first context that it meets."""
LANGUAGES = {
    "bash", "console", "go", "html", "java", "javascript", "json", "properties", "python", "rust",
    "sh", "sql", "text", "toml", "xml", "yaml", "csharp",
}  # fmt: skip
"""``text`` is what a program prints; everything else is checked here or run elsewhere."""

IN_PROSE = re.compile(rf"`({PROGRAM} [^`\n]+)`")


def by_place(*languages: str) -> list[Any]:
    """Blocks as parameters that are named by their places."""
    return [pytest.param(one, id=one.place) for one in all_blocks(*languages)]


def test_every_block_says_its_language() -> None:
    """So that a reader sees it in colours, and none is passed over here; DESIGN.md draws."""
    found = {one.place: one.language for one in all_blocks() if one.page != "DESIGN.md"}
    assert {place: name for place, name in found.items() if name not in LANGUAGES} == {}


@pytest.mark.parametrize("block", by_place("sh", "bash"))
def test_shell(block: Block) -> None:
    """A shell understands it; ``…`` stands for what differs from reader to reader."""
    done = subprocess.run(
        ["bash", "-n"], input=block.code, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("block", by_place("python"))
def test_python(block: Block) -> None:
    """It compiles."""
    compile(block.code, block.place, "exec")


@pytest.mark.parametrize("block", by_place("toml"))
def test_toml(block: Block, tmp_path: Path) -> None:
    """It is TOML, and a configuration of ours is one that the server takes."""
    found = tomllib.loads(block.code)
    if set(found) & {row.key.partition(".")[0] for row in settings()}:
        (tmp_path / "config.toml").write_text(block.code, "utf-8")
        loaded = load(environ={}, folder=tmp_path)
        assert loaded.warnings == ()


@pytest.mark.parametrize("block", by_place("yaml", "json"))
def test_data(block: Block) -> None:
    """It is what it is called."""
    read = yaml.safe_load if block.language == "yaml" else json.loads
    assert read(block.code)


def commands(line: str) -> list[list[str]]:
    """The words behind each ``otlp2parquet`` of a line of a shell, up to the command's end."""
    # A command in a substitution is one, too.
    plain = line.replace('"$(', " ; ").replace("$(", " ; ").replace(')"', " ; ")
    lexer = shlex.shlex(plain, posix=True, punctuation_chars="|&;<>()")
    lexer.whitespace_split = True
    found: list[list[str]] = []
    is_ours, is_first = False, True
    for word in lexer:
        if set(word) <= set("|&;<>()"):
            is_ours, is_first = False, True
        elif is_first and (word == PROGRAM or word.endswith(f"bin/{PROGRAM}")):
            found.append([])
            is_ours, is_first = True, False
        elif is_ours:
            found[-1].append(word)
        else:
            # A variable that is set may precede a command; elsewhere the word is an argument.
            is_first = is_first and re.match(r"\w+=", word) is not None
    return found


def check_command(words: list[str]) -> None:
    """Insist that each word of a command is known where it stands."""
    command: click.Command = main
    context = click.Context(main, info_name=PROGRAM, help_option_names=HELP)
    if words and words[0].startswith("-") and words[0] not in {"-h", "--help", "-V", "--version"}:
        words = ["serve", *words]
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        below = command.get_command(context, words[0])
        assert below is not None, f"{command.name} has no command {words[0]!r}"
        command, words = below, words[1:]
        context = click.Context(command, parent=context, help_option_names=HELP)
    given, _, _ = command.make_parser(context).parse_args(list(words))
    for parameter in command.params:
        value = given.get(parameter.name or "")
        if isinstance(parameter.type, click.Choice) and isinstance(value, str):
            assert value in parameter.type.choices or value.isupper(), f"{parameter.name} {value}"


@pytest.mark.parametrize("block", by_place("sh", "bash"))
def test_commands(block: Block) -> None:
    """Every command line of ours has a command and options that there are."""
    for line in block.code.replace("\\\n", " ").splitlines():
        code = re.sub(r"(^|\s)#.*", "", line)
        for words in commands(code):
            check_command(words)


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(PROJECT).as_posix())
def test_commands_in_prose(page: Path) -> None:
    """Also those inside of sentences; what a reader puts in is written in capitals."""
    for text in IN_PROSE.findall(page.read_text("utf-8")):
        for words in commands(text.replace("[", "").replace("]", "").replace("…", "")):
            check_command([word for word in words if word != "…"])


@pytest.mark.parametrize(
    "words",
    [
        "otlp2parquet flysh",
        "otlp2parquet query --formt csv x",
        "a | otlp2parquet schema --format x",
    ],
)
def test_a_command_that_is_not_there(words: str) -> None:
    """It is noticed."""
    (found,) = commands(words)
    with pytest.raises((AssertionError, click.UsageError)):
        check_command(found)
