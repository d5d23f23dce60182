"""``otlp2parquet tail`` against running servers, and what it tells who cannot look."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from otlp2parquet.cli.tail import tail
from otlp2parquet.cli.terminal.following import Place, read_place
from tests.components.process import free_port
from tests.support.answering import Answering, Reply
from tests.support.requests import logs_request, metrics_request, traces_request
from tests.support.server_process import COMMAND, Server, environment, logs_of
from tests.support.terminal import Program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAGE = {"OTLP2PARQUET_SERVER_PAGE": "true"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the page on."""
    with Server(tmp_path_factory.mktemp("tailed"), settings=PAGE) as running:
        yield running


def following(server: Server, folder: Path, *options: str, columns: int | None = None) -> Program:
    """``tail`` of a server; wait until it shows something before more is sent."""
    url = f"http://127.0.0.1:{server.port}"
    command: list[str | Path] = [COMMAND, "tail", "--url", url, *options]
    return Program(command, cwd=folder, env=environment() | {"TERM": "xterm"}, columns=columns)


def send_until_seen(server: Server, program: Program, text: str) -> None:
    """Send a record again and again until the program, which is starting, shows it."""
    while text not in program.out:
        assert program.process.poll() is None, program.err
        server.post(logs_of(text))


def test_it_follows_a_server_and_finds_it_again(tmp_path: Path) -> None:
    """Over a new start, with a word to whoever looks; nothing is shown twice. Ctrl-C ends it."""
    port = free_port()
    with Server(tmp_path, port=port, settings=PAGE) as first, following(first, tmp_path) as tailing:
        send_until_seen(first, tailing, "ready")
        assert first.post(logs_of("the last of the first"))[0] == 200
        assert first.post(b"\xff")[0] == 400
        tailing.wait_for("the last of the first", "REFUSED")
        assert first.stop() == 0
        tailing.wait_for("waiting for http://127.0.0.1")
        with Server(tmp_path / "again", port=port, settings=PAGE) as second:
            tailing.wait_for("again\n")
            assert second.post(logs_of("the first of the second"))[0] == 200
            tailing.wait_for("the first of the second")
            assert tailing.stop(signal.SIGINT) == 0
        assert tailing.out.count("the last of the first") == 1
        assert tailing.out.count("the first of the second") == 1
        assert "Traceback" not in tailing.err


def test_filters_are_asked_of_the_server(server: Server, tmp_path: Path) -> None:
    """Service and text; with a level nothing but logs."""
    options = ("--level", "error", "--service", "wanted", "--text", "ORDER")
    with following(server, tmp_path, *options) as tailing:
        while "order 1" not in tailing.out:
            assert tailing.process.poll() is None, tailing.err
            server.post(logs_request(1, service="other", first=1))
            server.post(traces_request(1), "traces")
            server.post(logs_request(2, service="wanted"))
        assert tailing.stop(signal.SIGINT) == 0
        assert all(" ERROR  wanted  order 1 " in line for line in tailing.lines)


def test_json_is_a_line_for_each_row_and_refusal(server: Server, tmp_path: Path) -> None:
    """With all of its columns, its table and when it came; in ASCII, which acts on no terminal."""
    with following(server, tmp_path, "--json") as tailing:
        send_until_seen(server, tailing, "ready")
        server.post(logs_of("hostile \x1b[2J \u202e"))
        server.post(metrics_request(1), "metrics")
        server.post(b"\xff")
        tailing.wait_for("QuantileValues", '"event": "refused"', "hostile")
        assert tailing.stop(signal.SIGINT) == 0
        assert tailing.out.isascii()
        assert tailing.out.replace("\n", "").isprintable()
        rows = [json.loads(line) for line in tailing.out.splitlines()]
        (row,) = (one for one in rows if str(one.get("Body", "")).startswith("hostile"))
        assert row["Body"] == "hostile \x1b[2J \u202e"
        assert (row["event"], row["table"], row["ServiceName"]) == ("row", "otel_logs", "shop")
        assert row["received"].endswith("Z")
        (refused,) = (one for one in rows if one["event"] == "refused")
        assert (refused["status"], refused["reason"]) == (400, "bad data")


def test_a_reader_that_has_left_ends_it(server: Server, tmp_path: Path) -> None:
    """As behind ``head``: without a word."""
    command: list[str | Path] = [COMMAND, "tail", "--url", f"127.0.0.1:{server.port}"]
    with Program(command, cwd=tmp_path, env=environment(), is_read=False) as tailing:
        while tailing.process.poll() is None:
            server.post(logs_of("into the void"))
        assert tailing.process.wait() == 0
        assert "Traceback" not in tailing.err


def refusal(*options: str, folder: Path | None = None, **env: str) -> str:
    """What it says where it cannot look, and that it ends with 1."""
    runner = CliRunner()
    arguments = list(options)
    if folder is not None:
        arguments += ["--config", str(folder / "config.toml")]
    # No setting of whoever runs the tests.
    names = [name for name in environment() if name.startswith("OTLP2PARQUET_")]
    done = runner.invoke(tail, arguments, env=dict.fromkeys(names) | env)
    assert done.exit_code == 1, done.output
    return done.output


def test_where_the_page_is_off_it_names_the_setting(tmp_path: Path) -> None:
    """And both ways to have it on."""
    with Server(tmp_path) as server:
        told = refusal("--url", f"127.0.0.1:{server.port}")
    assert f"the live view of http://127.0.0.1:{server.port} is off" in told
    assert "otlp2parquet dev" in told
    assert "server.page = true" in told


def test_tokens_come_from_options_environment_or_configuration(tmp_path: Path) -> None:
    """Without one, and with another one, it says so; the address comes from the configuration."""
    tokens = {"OTLP2PARQUET_SERVER_AUTH_TOKENS": "open-sesame"}
    with Server(tmp_path / "server", settings=PAGE | tokens) as server:
        url = f"http://127.0.0.1:{server.port}"
        told = refusal("--url", url)
        assert f"{url} wants a token: --token" in told
        assert "wants another token" in refusal("--url", url, "--token", "nope")
        assert "wants another token" in refusal("--url", url, OTLP2PARQUET_TOKEN="nope")  # noqa: S106
        (tmp_path / "config.toml").write_text(
            f'[server]\nlisten_addr = "0.0.0.0:{server.port}"\n'
            '[server.auth]\ntokens = ["open-sesame", "other"]\n'
        )
        with Program([COMMAND, "tail"], cwd=tmp_path, env=environment()) as tailing:
            while "ready" not in tailing.out:
                assert tailing.process.poll() is None, tailing.err
                server.post(logs_of("ready"), Authorization="Bearer open-sesame")
            assert tailing.stop(signal.SIGTERM) != 1
        wrong = refusal("--token", "nope", folder=tmp_path)
        assert f"http://127.0.0.1:{server.port} wants another token" in wrong


def test_where_nobody_answers_it_says_what_to_start() -> None:
    """At the first try: later a server may be on its way back."""
    told = refusal("--url", f"http://127.0.0.1:{free_port()}")
    assert "nobody answers at http://127.0.0.1" in told
    assert "otlp2parquet dev" in told


@pytest.mark.parametrize(
    ("reply", "word"),
    [
        (Reply("<html>", fields={"Content-Type": "text/html"}), "no live view"),
        (Reply("not found", status=404), "no live view"),
        (Reply('{"error":"full \\u001b[2J"}', status=503), r"answers 503: full \x1b[2J"),
        (Reply("[]", status=500), "answers 500: Internal Server Error"),
    ],
)
def test_another_server_is_told_from_ours(reply: Reply, word: str) -> None:
    """And what it says does nothing on a terminal."""
    with Answering(lambda _: reply) as server:
        assert word in refusal("--url", server.endpoint)


def test_tls_that_is_not_trusted_is_told_as_such() -> None:
    """Not as nobody who answers."""
    with Answering(lambda _: Reply()) as server:
        told = refusal("--url", server.endpoint.replace("http://", "https://"))
    assert "cannot speak TLS with https://127.0.0.1" in told


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("localhost", "http://localhost:4318"),
        ("https://otel.example/otlp/", "https://otel.example:443/otlp"),
        ("[::1]:9", "http://[::1]:9"),
        ("http://host:1/live", "http://host:1"),
    ],
)
def test_urls_as_people_write_them(url: str, shown: str) -> None:
    """With or without scheme, port and path; the page asked for is always the live view's."""
    place = read_place(url, "")
    assert place.url == shown
    assert place.path.endswith("/live")


@pytest.mark.parametrize("url", ["ftp://host", "http://", "http://host:port", "http://host:99999"])
def test_other_urls_are_refused_with_what_was_expected(url: str) -> None:
    """As is a token that no header takes."""
    with pytest.raises(ValueError, match="expected one such as"):
        read_place(url, "")
    with pytest.raises(ValueError, match="header"):
        read_place("localhost", "new\nline")
    assert isinstance(read_place("localhost", "fine"), Place)


def test_a_level_nobody_knows_is_a_usage_error() -> None:
    """Before anything is asked of a server."""
    done = CliRunner().invoke(tail, ["--level", "loud"])
    assert done.exit_code == 2
    assert "trace, debug, info, warn, error, fatal" in done.output
