"""A page as one file, with style, scripts and data inline, and a policy that lets nothing else run."""

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from markupsafe import Markup

from ddxgraph.common.words import NOTICE
from ddxgraph.view.page.assets import asset, rendered

STYLE: Final = "page.css"
_IN_A_SCRIPT: Final = {ord("<"): "\\u003c", ord(">"): "\\u003e", ord("&"): "\\u0026"}


class Inert(NamedTuple):
    """Data that a page holds for its script: never executed, never shown as markup."""

    id: str
    text: str


def document(
    title: str,
    body: Markup,
    *,
    scripts: Iterable[str],
    data: Iterable[Inert] = (),
    sources: str = "",
    connects: bool = False,
) -> str:
    """Make a self-contained HTML page.

    Args:
        title: plain text.
        body: markup, with all values escaped.
        scripts: files of this folder, joined into one script.
        data: for the script.
        sources: further script sources of the policy, such as `'self'`.
        connects: whether the page may request more from its server.

    Returns:
        The page.
    """
    style, script = asset(STYLE), "\n".join(asset(name) for name in scripts)
    page = str(
        rendered(
            "page.html.jinja",
            title=title,
            body=body,
            style=Markup(style),  # noqa: S704 - files of this package
            script=Markup(script),  # noqa: S704
            policy=policy(style, script, sources=sources, connects=connects),
            data=[Inert(key, Markup(text)) for key, text in data],  # noqa: S704 - made by `as_json`, or base64
            notice=NOTICE,
        )
    )
    return page.encode(errors="replace").decode()  # a file cannot hold a lone surrogate


def policy(style: str, script: str, *, sources: str = "", connects: bool = False) -> str:
    """The content security policy: our own style and script by their hashes, and nothing from a trace.

    Args:
        style: the style sheet.
        script: the script.
        sources: further script sources, such as `'self'`.
        connects: whether the page may request more from its server.

    Returns:
        The value of the policy header.
    """
    rules = [
        "default-src 'none'",
        f"style-src '{_digest(style)}'",
        f"script-src '{_digest(script)}' {sources}".rstrip(),
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    return "; ".join([*rules, "connect-src 'self'"] if connects else rules)


def as_json(value: Mapping[str, Any] | list[Any]) -> str:
    """JSON for a script element: nothing in it can end the element or begin a comment."""
    return json.dumps(value, ensure_ascii=True, separators=(",", ":")).translate(_IN_A_SCRIPT)


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
