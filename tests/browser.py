"""The system's own Chromium, driven by Playwright: without a network, and noting whatever it complains of."""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from shutil import which
from typing import Any, NoReturn

import pytest

NEED_BROWSER = "DDXGRAPH_NEED_BROWSER"
"""Set where a browser is or can be installed, as in `.ci/run`: the test may not vanish there."""
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-sync",
)
OWN = ("file:", "data:", "blob:", "about:")
"""How the addresses begin of what a page may ask for without a network."""
GRAVE = {"serious", "critical"}


def browser_or_reason(found: Mapping[str, str | None], *, playwright: bool) -> tuple[str, str]:
    """A browser's path, or why there is none to drive; one of them is empty."""
    path = next(filter(None, found.values()), "")
    if not playwright:
        return "", "playwright is not installed"
    return path, "" if path else "no Chromium on this machine; none is downloaded"


def without_a_browser(reason: str, env: Mapping[str, str]) -> NoReturn:
    if env.get(NEED_BROWSER):
        pytest.fail(f"{reason}, and {NEED_BROWSER} is set: the pages must be opened in a browser here")
    pytest.skip(reason)


def chromium_path() -> str:
    """Where the browser is; skips or fails the test where there is none."""
    found = {name: which(name) for name in BROWSERS}
    path, reason = browser_or_reason(found, playwright=find_spec("playwright") is not None)
    return path or without_a_browser(reason, os.environ)


@contextmanager
def launched() -> Iterator[Any]:
    """A browser, for the tests of a file; each of them takes a context of its own with `opened`."""
    path = chromium_path()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=path, args=list(QUIET))
        try:
            yield started
        finally:
            started.close()


@contextmanager
def opened(
    browser: Any,
    address: str = "",
    *,
    width: int = 1280,
    height: int = 900,
    own: tuple[str, ...] = OWN,
    **how,
) -> Iterator[Any]:
    """A page in a context of its own, offline unless told otherwise.

    At the end it must have said nothing, raised nothing, opened no dialogue and asked for nothing foreign.

    Args:
        browser: from `launched`.
        address: what to open; nothing where it is empty.
        width: of the window, in pixels.
        height: of the window, in pixels.
        own: how the addresses begin that the page may ask for.
        **how: to Playwright's `new_context`, such as `color_scheme`.
    """
    context = browser.new_context(
        **{"offline": True, "viewport": {"width": width, "height": height}, "reduced_motion": "reduce", **how}
    )
    context.set_default_timeout(15_000)
    complaints: list[str] = []
    asked: list[str] = []

    def refused(dialog: Any) -> None:
        complaints.append(f"dialogue: {dialog.message}")
        dialog.dismiss()

    context.on("console", lambda message: complaints.append(f"console: {message.text}"))
    context.on("weberror", lambda error: complaints.append(f"error: {error.error}"))
    context.on("request", lambda request: asked.append(request.url))
    context.on("dialog", refused)
    try:
        page = context.new_page()
        if address:
            page.goto(address)
        yield page
        page.evaluate("1")  # whatever was under way is told by now
        foreign = [url[:200] for url in asked if not url.startswith(own)]
        assert not complaints, complaints
        assert not foreign, foreign
        assert len(context.pages) == 1, "it opened another window"
    finally:
        context.close()


def no_sideways_scroll(page: Any) -> bool:
    """Whether the page is as wide as its window: what is wider scrolls within itself."""
    return page.evaluate("document.documentElement.scrollWidth === document.documentElement.clientWidth")


def faults(page: Any) -> list[str]:
    """What axe-core finds that is serious or critical, contrast below 4.5 to 1 included; a line each."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [
        f"{one['id']} ({one['impact']}): {node['target']} {node['html'][:160]} {node['failureSummary'][:300]}"
        for one in found
        if one["impact"] in GRAVE
        for node in one["nodes"]
    ]


def contrast(one: str, other: str) -> float:
    """Contrast of two colours as WCAG 2 defines it, 1 to 21."""

    def light(colour: str) -> float:
        parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, bright = sorted((light(one), light(other)))
    return (bright + 0.05) / (dark + 0.05)
