"""Whatever a trace says is shown as text: nothing of it runs, asks for anything, or breaks the page."""

import html
from pathlib import Path

import pytest
from browser import launched, no_sideways_scroll, opened
from viewed import (
    HOSTILE,
    MEGABYTE,
    ODD,
    SCRIPTS,
    UNBROKEN,
    as_another,
    back_and_forth,
    book,
    everywhere,
    straight,
    with_replies,
    write_cases,
    write_run,
)

from ddxgraph import Step, Trace
from ddxgraph.nodes.case import MAX_VIGNETTE_CHARS
from ddxgraph.view.data.row import Judged
from ddxgraph.view.page.journey import journey_page, notebook_html
from ddxgraph.view.page.pair import pair_page, write_pair_page
from ddxgraph.view.page.run import write_run_page

pytestmark = pytest.mark.slow

JUDGED = Judged(HOSTILE, "incorrect")


@pytest.fixture(scope="module")
def browser():
    with launched() as started:
        yield started


def hostile(text: str = HOSTILE, **fields) -> Trace:
    return everywhere(back_and_forth(), text, answer=text, **fields)


def long_words() -> Trace:
    """A hypothesis of 120 characters without a space, one called `</style>`, and the rest as long."""
    return everywhere(back_and_forth(), UNBROKEN)


def labelled(label: str) -> Trace:
    trace = back_and_forth()
    options = dict.fromkeys(trace.case.options, label)

    def renamed(step: Step) -> Step:
        if step.output is None or step.output.kind != "differential":
            return step
        named = tuple(one.model_copy(update={"label": label}) for one in step.output.hypotheses)
        return step.model_copy(update={"output": step.output.model_copy(update={"hypotheses": named})})

    case = trace.case.model_copy(update={"options": options})
    return trace.model_copy(update={"case": case, "steps": tuple(map(renamed, trace.steps))})


TRACES = {
    "everything at once": hostile,
    "each of its own": lambda: everywhere(back_and_forth(), SCRIPTS[0], answer=SCRIPTS[1]),
    "an end of the style": lambda: labelled("</style>"),
    "a word of 120 characters": lambda: labelled(UNBROKEN),
    "long words everywhere": long_words,
    "a name of 200 characters": lambda: everywhere(straight(), "W" * 200),
    "a vignette at its limit": lambda: everywhere(
        straight(), ("病 <b>'\"& word " * 8_000)[:MAX_VIGNETTE_CHARS]
    ),
    "a vignette without a space": lambda: everywhere(straight(), "m" * MAX_VIGNETTE_CHARS),
    "a reply of a megabyte": lambda: with_replies(back_and_forth(), '"<&> ' * (MEGABYTE // 5)),
    "a reply of one word": lambda: with_replies(back_and_forth(), "W" * MEGABYTE),
    "odd letters": lambda: everywhere(back_and_forth(), " ".join(ODD)),
    "odd letters, each alone": lambda: labelled(ODD[1]),
    "text that turns round": lambda: everywhere(back_and_forth(), ODD[4]),
}


def unharmed(page) -> None:
    """Nothing ran, the page is there, nothing is broken out of its place, and it keeps to its window."""
    assert page.evaluate("window.hit") is None
    assert page.locator("body").is_visible()
    assert page.locator("h1:visible").count() == 1
    assert page.locator(".notice").inner_text().startswith("Research software")
    assert no_sideways_scroll(page)
    # Nothing in it is an element, or an attribute, that the templates have not.
    foreign = "img, iframe, object, embed, base, link:not([rel=icon]), meta[http-equiv=refresh], svg[onload]"
    assert page.locator(foreign).count() == 0
    assert page.locator("style").count() == 1
    assert page.locator("script:not([type]):not([src^='blocks/'])").count() == 1
    handlers = page.evaluate(
        "[...document.querySelectorAll('*')].flatMap(e => e.getAttributeNames()).filter(n => n.startsWith('on'))"
    )
    assert handlers == []
    links = page.evaluate("[...document.querySelectorAll('a')].map(e => e.getAttribute('href'))")
    assert all(link.startswith("#") for link in links)


def everything_touched(page) -> None:
    """Hover and focus whatever takes it."""
    for part in page.locator("details").all():
        part.evaluate("e => { e.open = true }")
    page.evaluate(
        "document.querySelectorAll('a, button, [tabindex]').forEach(e => e.focus({preventScroll: true}))"
    )
    cells = page.locator(".matrix button")
    if cells.count():
        cells.first.hover()
        assert page.locator("#tip").is_visible()
        assert page.locator("#tip *").count() == 0


@pytest.mark.parametrize("name", TRACES)
def test_a_hostile_trace_is_shown_as_text(browser, tmp_path, name):
    path = tmp_path / "page.html"
    path.write_text(journey_page(TRACES[name](), JUDGED), encoding="utf-8")
    for width in (1280, 390):
        with opened(browser, path.as_uri(), width=width) as page:
            unharmed(page)
            everything_touched(page)
            unharmed(page)


def test_what_it_says_is_to_be_read_in_full(browser, tmp_path):
    trace = hostile()
    path = tmp_path / "page.html"
    path.write_text(journey_page(trace), encoding="utf-8")
    with opened(browser, path.as_uri()) as page:
        shown = page.locator(".vignette").first.text_content()
        for script in SCRIPTS:
            assert script in shown
        assert "{{7*7}}" in shown
        assert "49" not in shown
        assert page.locator(".vignette").first.get_attribute("dir") == "auto"


def test_text_from_right_to_left_stands_so(browser, tmp_path):
    path = tmp_path / "page.html"
    path.write_text(journey_page(everywhere(straight(), "ألم في الصدر منذ ثلاثة أيام")), encoding="utf-8")
    with opened(browser, path.as_uri()) as page:
        for part in (".vignette", ".options li", "#step-1 .output", "pre"):
            found = page.locator(part).first.evaluate("e => getComputedStyle(e).direction")
            assert found == "rtl", part
        assert page.locator("nav.parts").evaluate("e => getComputedStyle(e).direction") == "ltr"


def write_hostile(folder: Path) -> tuple[Path, Path, Path]:
    """Two runs whose traces mean harm, and their cases."""
    texts = [HOSTILE, *SCRIPTS, UNBROKEN, *ODD]
    traces = [everywhere(back_and_forth(), text, answer=text[:2_000]) for text in texts]
    others = [everywhere(straight(), text, answer=text[:2_000]) for text in texts]
    cases = write_cases(folder / "cases.jsonl", {one.case.id: one for one in traces}.values())
    return write_run(folder / "one", traces), write_run(folder / "two", others), cases


@pytest.mark.parametrize("kind", ["page.html", "pages"])
def test_a_run_of_hostile_traces_is_a_table_of_text_that_opens_each(browser, tmp_path, kind):
    one, _, cases = write_hostile(tmp_path)
    known = book(one, cases)
    address = write_run_page(known, tmp_path / kind).as_uri()
    for width in (1280, 390):
        with opened(browser, address, width=width) as page:
            unharmed(page)
            links = page.locator("#rows tbody a")
            assert links.count() == len(known)
            page.get_by_label("Search").fill("<script>window.hit")
            assert 0 < links.count() < len(known)
            page.get_by_role("button", name="Clear filters").click()
            for select in page.locator("#filters select").all():
                select.select_option(index=1)
            unharmed(page)
            page.get_by_role("button", name="Clear filters").click()
            for place in (0, 1, 4, 16, 17) if width == 1280 else (0, 16):
                name = links.nth(place).inner_text()
                links.nth(place).click()
                page.locator("#open h1").wait_for()
                assert page.locator("#open h1").inner_text()[:30] == name[:30]
                unharmed(page)
                everything_touched(page)
                page.go_back()
                page.locator("#list").wait_for()
            assert page.evaluate("window.hit") is None


def test_a_pair_of_hostile_runs_is_text_too(browser, tmp_path):
    one, two, cases = write_hostile(tmp_path)
    address = write_pair_page(book(one, cases), book(two, cases), tmp_path / "pair.html").as_uri()
    two_path = tmp_path / "two.html"
    two_path.write_text(pair_page(hostile(), long_words(), (JUDGED, None)), encoding="utf-8")
    for width in (1280, 390):
        with opened(browser, address, width=width) as page:
            unharmed(page)
            for place in (0, 1, 16):
                page.locator("#rows tbody a").nth(place).click()
                page.locator("#open h1").wait_for()
                unharmed(page)
                page.go_back()
                page.locator("#list").wait_for()
        with opened(browser, two_path.as_uri(), width=width) as page:
            unharmed(page)


def test_in_a_notebook_it_stays_in_its_frame(browser, tmp_path):
    """The notebook's page has no policy of its own, so that only the frame keeps what is in it."""
    path = tmp_path / "notebook.html"
    path.write_text(
        f"<!DOCTYPE html><title>notebook</title><p>a cell</p>{notebook_html(hostile())}", encoding="utf-8"
    )
    with opened(browser, path.as_uri()) as page:
        frame = page.frames[1]
        frame.locator("h1").wait_for()
        assert page.locator("iframe").count() == 1
        assert page.locator("body > *").count() == 2
        assert page.evaluate("window.hit") is None
        assert frame.evaluate("window.hit") is None
        assert frame.evaluate("origin") == "null"
        reached = "() => { try { return String(parent.document.title) } catch (error) { return error.name } }"
        assert frame.evaluate(reached) == "SecurityError"
        assert frame.evaluate("() => { try { return localStorage.length } catch (e) { return e.name } }") == (
            "SecurityError"
        )
        assert page.title() == "notebook"
        # What makes it of use works in there.
        frame.locator(".matrix button").first.hover()
        assert frame.locator("#tip").is_visible()
        frame.locator("a.stop").nth(1).press("Enter")
        assert frame.evaluate("document.activeElement.id") == "step-1"


def test_the_frame_of_a_notebook_is_one_element_whatever_the_trace_says():
    markup = notebook_html(hostile())
    head, _, rest = markup.partition('srcdoc="')
    page, _, tail = rest.partition('"')
    assert head.count("<") == 1
    assert tail.endswith("></iframe>")
    assert "<" not in page + tail.removesuffix("</iframe>")
    assert html.unescape(page).startswith("<!DOCTYPE html>")


def test_a_trace_of_another_case_is_no_less_hostile(browser, tmp_path):
    """The heading of a run's page tells of benchmarks and strategies, which are anybody's text too."""
    folder = tmp_path / f"run <b> {UNBROKEN}"
    plan = straight().strategy.model_copy(update={"name": SCRIPTS[0]})
    traces = [
        as_another(straight(), n, source=text, strategy=plan) for n, text in enumerate([HOSTILE, UNBROKEN])
    ]
    address = write_run_page(book(write_run(folder, traces)), tmp_path / "page.html").as_uri()
    for width in (1280, 390):
        with opened(browser, address, width=width) as page:
            unharmed(page)
            assert "<b>" in page.locator("h1").inner_text()
