"""A real browser without a screen, for the tests of the web page: the Chromium of the system, driven by Playwright."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome")


def find_browser() -> str:
    """The path of the browser: SLUICE_BROWSER, or the first on the PATH. Raises FileNotFoundError with what to do."""
    if chosen := os.environ.get("SLUICE_BROWSER"):
        return chosen
    for name in _NAMES:
        if found := shutil.which(name):
            return found
    raise FileNotFoundError(f"none of {', '.join(_NAMES)} is on the PATH: make browser, or name one in SLUICE_BROWSER")


@contextmanager
def running() -> Iterator[Browser]:
    """A browser that ends with the block. It asks no other host for anything."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=["--disable-gpu"])
        try:
            yield browser
        finally:
            browser.close()
