"""The page's document: one piece, and a policy that lets nothing else run."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import pytest

from otlp2parquet.platforms.server import page
from otlp2parquet.platforms.server.page.document import SCRIPTS, STYLES, document

FOLDER = Path(page.__file__).parent

MAKES_MARKUP = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment|DOMParser"
    r"|srcdoc|\beval\(|new Function|javascript:|setHTML"
)


def hash_of(text: str) -> str:
    """As a policy names a text."""
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def test_the_policy_allows_this_script_and_this_style_and_nothing_else() -> None:
    """Each by its hash; connections only to the server itself."""
    body, policy = document()
    html = body.decode()
    script = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    style = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    assert len(script) == len(style) == 1
    assert policy == "; ".join(
        (
            "default-src 'none'",
            f"script-src {hash_of(script[0])}",
            f"style-src {hash_of(style[0])}",
            "img-src data:",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )


def test_the_document_loads_nothing() -> None:
    """No address in it but the one of SVG's names and of its icon, no handler in its markup."""
    html = document().body.decode()
    addresses = set(re.findall(r"https?://[^\s\"'`$]+", html))
    assert addresses <= {
        "http://www.w3.org/2000/svg",
        "https://html.spec.whatwg.org/multipage/server-sent-events.html,",
    }
    markup = re.sub(r"<(script|style)>.*?</\1>", "", html, flags=re.DOTALL)
    assert not re.search(r"\s(?:on\w+|style|src)=", markup)


def test_all_files_are_part_of_it_and_listed() -> None:
    """A file that is in the folder is in the document and in the package's docstring."""
    styles = {path.name for path in FOLDER.glob("*.css")}
    scripts = {path.name for path in FOLDER.glob("*.js")}
    assert (styles, scripts) == (set(STYLES), set(SCRIPTS))
    listed = page.__doc__ or ""
    assert scripts == set(re.findall(r"\w+\.js", listed))
    assert {"document", "home"} == {path.stem for path in FOLDER.glob("[a-z]*.py")}


@pytest.mark.parametrize("name", SCRIPTS)
def test_no_script_makes_markup_of_a_text(name: str) -> None:
    """What would is in none of them, and each opens with its rule."""
    text = (FOLDER / name).read_text("utf-8")
    assert MAKES_MARKUP.findall(text) == []
    assert re.match(r"// [`A-Z].+\n(//.*\n)+", text), "what it knows and must not know"
    assert max(map(len, text.splitlines())) < 250
