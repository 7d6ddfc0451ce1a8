"""A page as one file: what may run in it is known by its hash, and its data cannot end the element it is in."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from ddxgraph.common.words import NOTICE
from ddxgraph.view.page.assets import asset, rendered
from ddxgraph.view.page.document import Inert, as_json, document, policy


class Read(HTMLParser):
    """The policy of a page, and the text of each of its styles and scripts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.policy = ""
        self.styles: list[str] = []
        self.scripts: list[str] = []
        self.inert: dict[str, str] = {}
        self._into: tuple[str, str] | None = None
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        known = dict(attrs)
        if tag == "meta" and known.get("http-equiv") == "Content-Security-Policy":
            self.policy = known["content"]
        if tag in {"style", "script"}:
            self._into = (tag, known["id"] if known.get("type") == "text/plain" else "")
            if self._into[1]:
                self.inert[self._into[1]] = ""
            else:
                (self.styles if tag == "style" else self.scripts).append("")

    def handle_endtag(self, tag):
        if tag in {"style", "script"}:
            self._into = None

    def handle_data(self, data):
        if self._into is None:
            return
        tag, key = self._into
        if key:
            self.inert[key] += data
        else:
            (self.styles if tag == "style" else self.scripts)[-1] += data


def sha256(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def rules(text: str) -> dict[str, list[str]]:
    return {one.split()[0]: one.split()[1:] for one in text.split("; ")}


@pytest.mark.parametrize("scripts", [["journey.js"], ["journey.js", "table.js"]])
def test_the_policy_names_the_style_and_the_script_that_the_page_holds(scripts):
    page = Read(document("t", Markup("<main></main>"), scripts=scripts))
    assert len(page.styles) == len(page.scripts) == 1
    told = rules(page.policy)
    assert told["style-src"] == [sha256(page.styles[0])]
    assert told["script-src"] == [sha256(page.scripts[0])]
    assert all(asset(name) in page.scripts[0] for name in scripts)


def test_the_policy_allows_nothing_else():
    told = rules(policy("a", "b"))
    assert told["default-src"] == ["'none'"]
    assert told["base-uri"] == told["form-action"] == ["'none'"]
    assert told["img-src"] == ["data:"]
    assert set(told) == {"default-src", "style-src", "script-src", "img-src", "base-uri", "form-action"}
    for loose in ("unsafe-inline", "unsafe-eval", "http:", "https:", "*"):
        assert loose not in policy("a", "b", sources="'self'", connects=True)


def test_a_page_that_asks_its_server_may_ask_that_server_alone():
    assert rules(policy("a", "b", connects=True))["connect-src"] == ["'self'"]
    assert rules(policy("a", "b", sources="'self' file:"))["script-src"][1:] == ["'self'", "file:"]


def test_every_page_says_what_the_software_is_not():
    assert NOTICE in document("t", Markup(""), scripts=["journey.js"])
    assert "not a medical device" in NOTICE


def test_a_page_asks_for_nothing_from_elsewhere():
    page = document("t", Markup("<p>x</p>"), scripts=["journey.js", "table.js"])
    assert not re.search(r"""(?:src|href|url\()\s*=?\s*["']?(?:https?:)?//""", page)
    assert "@import" not in page


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.sampled_from(["</script>", "<!--", "]]>", "&lt;"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.lists(VALUES, max_size=5))
def test_json_in_a_script_says_the_same_and_cannot_end_it(value):
    text = as_json(value)
    assert json.loads(text) == value
    assert not set(text) & set("<>&")
    assert text.isascii()


@pytest.mark.parametrize(
    "hostile", ["</script><b>", "<!--<script>", "</SCRIPT\n>", "&lt;/script>", "\u2028\ud800"]
)
def test_what_a_script_reads_comes_out_of_the_page_as_it_was_put_in(hostile):
    text = as_json({"said": hostile, hostile: 1})
    page = Read(document("t", Markup(""), scripts=["journey.js"], data=[Inert("table", text)]))
    assert json.loads(page.inert["table"]) == {"said": hostile, hostile: 1}
    assert len(page.scripts) == 1


def test_a_title_is_text():
    page = document("</title><script>alert(1)</script>", Markup(""), scripts=["journey.js"])
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_half_a_surrogate_pair_costs_no_page():
    page = document("t\ud800", Markup("<p>\udfff</p>"), scripts=["journey.js"])
    assert "<p>?</p>" in page
    page.encode()


def test_a_value_that_a_template_does_not_know_is_an_error_and_no_blank():
    with pytest.raises(Exception, match="undefined"):
        rendered("table.html.jinja")
