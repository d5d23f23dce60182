"""The OpenTelemetry SDK for the web, bundled as a page loads it: packages of npm, by esbuild.

Knows npm and esbuild. Must not know browsers, nor who receives what a page sends.
"""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

from .cache import npm_folder

SOURCE = Path(__file__).with_name("browser_js")
FILES = ("package.json", "package-lock.json", "page.mjs")


def build_browser_sdk() -> Path:
    """The folder with the packages of the SDK and what bundles them, made on first use."""
    return npm_folder("browser-sdk", SOURCE, FILES)


def bundled(code: str) -> bytes:
    """A module as one script, with all that it imports of the SDK."""
    folder = build_browser_sdk()
    done = subprocess.run(
        [folder / "node_modules" / ".bin" / "esbuild", "--bundle", "--format=esm"],
        cwd=folder,
        input=code.encode(),
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise ValueError(done.stderr.decode("utf-8", "replace"))
    return done.stdout


@cache
def page_script() -> bytes:
    """The page of ``page.mjs``, bundled."""
    return bundled((SOURCE / "page.mjs").read_text("utf-8"))
