"""Chromium, driven by Playwright: the page as a person has it.

Knows how the browser is found and started. It must not know the page. The browser is the one of
the distribution: Playwright's own download is not needed, only its driver, which is in the wheel.
"""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from playwright.sync_api import sync_playwright

from .cache import ComponentError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")

ARGUMENTS = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",  # a container's is small
)


def find_chromium() -> str:
    """The program. Raises ``ComponentError`` where there is none."""
    for name in NAMES:
        found = shutil.which(name)
        if found is not None:
            return found
    message = "chromium is not installed; the tests of the page need it (apt-get install chromium)"
    raise ComponentError(message)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser without a window. While it runs, this thread can have no event loop of its own."""
    program = find_chromium()
    arguments = list(ARGUMENTS)
    if os.geteuid() == 0:
        arguments.append("--no-sandbox")  # it refuses to have one for root
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        try:
            yield browser
        finally:
            browser.close()
