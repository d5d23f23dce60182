"""The files of the page become one document, and a policy that allows exactly that.

Knows the files beside it and CSP. It must not know requests.
"""

from base64 import b64encode
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Final, NamedTuple

STYLES: Final = ("page.css", "views.css")

SCRIPTS: Final = (
    "base.js",
    "format.js",
    "store.js",
    "stream.js",
    "list.js",
    "details.js",
    "filters.js",
    "logs.js",
    "traces.js",
    "waterfall.js",
    "plots.js",
    "metrics.js",
    "server.js",
    "page.js",
)
"""In the order in which they need each other."""


class Document(NamedTuple):
    """What a browser gets."""

    body: bytes
    policy: str
    """The value of Content-Security-Policy."""


@cache
def document() -> Document:
    """The page. Made once: the files are part of the package."""
    style = _together(STYLES)
    # A scope of their own: nothing of the page is a global.
    script = f'(() => {{\n"use strict";\n{_together(SCRIPTS)}}})();\n'
    html = _read("index.html")
    html = html.replace("/* style */", style).replace("/* script */", script)
    return Document(html.encode(), _policy(style, script))


def _together(names: tuple[str, ...]) -> str:
    return "\n".join(_read(name) for name in names)


def _read(name: str) -> str:
    return files(__package__).joinpath(name).read_text("utf-8").replace("\r\n", "\n")


def _policy(style: str, script: str) -> str:
    """Nothing but this style and script; and no script may make markup of a text.

    ``require-trusted-types-for`` with no policy allowed has the browser refuse ``innerHTML`` and
    its like. The one image is the icon, which is in the document.
    """
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src '{_hash(script)}'",
            f"style-src '{_hash(style)}'",
            "img-src data:",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )


def _hash(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"
