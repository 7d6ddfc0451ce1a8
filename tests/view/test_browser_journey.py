"""A journey's page in a real browser: its charts have their data, keys reach all of it, axe finds nothing."""

import re

import pytest
from browser import contrast, faults, launched, no_sideways_scroll, opened
from viewed import back_and_forth, of_many_options

from ddxgraph.view.data.evidence import evidence_of
from ddxgraph.view.data.row import Judged
from ddxgraph.view.page.journey import journey_page

pytestmark = pytest.mark.slow

GOLD = Judged("C", "correct")
HERE = "document.activeElement"
TEXTS = """all => all.map(text => {
  let opacity = 1;
  for (let e = text; e instanceof Element; e = e.parentElement) opacity *= getComputedStyle(e).opacity;
  return [text.textContent, getComputedStyle(text).fill, opacity];
})"""
"""What each text of a drawing says, its colour, and how opaque it is through all that it stands in."""


@pytest.fixture(scope="module")
def browser():
    with launched() as started:
        yield started


@pytest.fixture(scope="module")
def trace():
    return back_and_forth()


@pytest.fixture(scope="module")
def address(trace, tmp_path_factory):
    path = tmp_path_factory.mktemp("journey") / "page.html"
    path.write_text(journey_page(trace, GOLD), encoding="utf-8")
    return path.as_uri()


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    path = tmp_path_factory.mktemp("wide") / "page.html"
    path.write_text(journey_page(of_many_options()), encoding="utf-8")
    return path.as_uri()


def test_every_chart_has_its_data_and_the_case_its_marks(browser, trace, address):
    evidence = evidence_of(trace)
    with opened(browser, address) as page:
        # The path: a box a step, in the order of the steps, and a way back for each move back.
        boxes = page.locator("svg.path a.stop")
        assert boxes.count() == len(trace.steps)
        assert boxes.evaluate_all("all => all.map(e => e.getAttribute('href'))") == [
            f"#step-{step.index}" for step in trace.steps
        ]
        assert page.locator("svg.path path.way.back").count() == trace.backtracks == 2
        assert page.locator("svg.path text.back").count() == trace.backtracks
        # The credence: a line a hypothesis with a point for each step at which it has a credence.
        course = trace.trajectory()
        for key in evidence.hypotheses:
            points = page.locator(f'svg.chart g[data-curve="{key}"] polyline').get_attribute("points")
            assert len(points.split()) == sum(key in shares for shares in course) > 0
        assert page.locator("svg.chart polyline").count() == len(evidence.hypotheses) == 5
        # The matrix: a row a finding, a column a hypothesis, a button for each that was weighed.
        matrix = page.locator("table.matrix")
        assert matrix.locator("tbody tr").count() == len(evidence.findings) == 7
        assert matrix.locator("thead th").count() == 1 + len(evidence.hypotheses)
        assert matrix.locator("tbody button").count() == len(evidence.weights) == 13
        assert matrix.locator("tbody td").count() == 7 * 5
        # What was given up is marked so, within the drawing.
        names = page.locator("svg.chart g text")
        assert sum(name.startswith("✕ ") for name in names.all_text_contents()) == len(evidence.refuted)
        edge = page.locator("svg.chart").evaluate("e => e.getBoundingClientRect().right")
        assert names.evaluate_all("all => Math.max(...all.map(e => e.getBoundingClientRect().right))") <= edge
        # All of these are there to be seen.
        for drawing in page.locator("svg.path, svg.chart, table.matrix").all():
            box = drawing.bounding_box()
            assert box["width"] > 300
            assert box["height"] > 100
        # The case.
        marks = page.locator("#case mark")
        quoted = {finding.id: finding.quote for finding in evidence.findings.values()}
        told = dict(
            marks.evaluate_all(
                "all => all.map(e => [e.title, [...e.childNodes].filter(n => n.nodeType === 3)"
                ".map(n => n.textContent).join('')])"
            )
        )
        assert {key: text.strip(".").lower() for key, text in told.items()} == {
            key: quote.strip(".").lower() for key, quote in quoted.items()
        }
        # Everything that a step says.
        assert page.locator("#steps section.step").count() == len(trace.steps)
        assert page.locator("#steps section.step.back").count() == 2
        assert page.locator(".hypotheses tbody tr.refuted").count() == len(evidence.refuted) == 4


def test_the_keyboard_goes_along_the_path_and_into_a_step_and_on_from_there(browser, trace, address):
    with opened(browser, address) as page:
        for _ in range(40):
            page.keyboard.press("Tab")
            if page.evaluate(f"{HERE}.matches('.stop')"):
                break
        assert page.evaluate(f"{HERE}.getAttribute('href')") == "#step-0"
        drawn = page.locator("a.stop rect").first.evaluate("e => getComputedStyle(e).strokeWidth")
        assert drawn == "4px"  # the focus is to be seen
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowLeft")
        assert page.evaluate(f"{HERE}.getAttribute('href')") == "#step-1"
        page.keyboard.press("Enter")
        assert page.evaluate(f"{HERE}.id") == "step-1"
        assert page.locator("#step-1").evaluate("e => e.getBoundingClientRect().top < innerHeight")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowDown")
        assert page.evaluate(f"{HERE}.id") == "step-3"
        page.keyboard.press("ArrowUp")
        assert page.evaluate(f"{HERE}.id") == "step-2"
        for _ in trace.steps:
            page.keyboard.press("ArrowDown")
        assert page.evaluate(f"{HERE}.id") == f"step-{len(trace.steps) - 1}"  # and stays at the last
        page.locator("#steps a[rel=prev]").last.press("Enter")
        assert page.evaluate(f"{HERE}.id") == f"step-{len(trace.steps) - 2}"
        page.locator("nav.parts a[href='#evidence']").press("Enter")
        assert page.evaluate(f"{HERE}.id") == "evidence"
        assert page.url == address  # the address is left alone


def test_a_cell_gives_its_reason_on_focus_and_on_hover_and_takes_it_back_on_escape(browser, address):
    with opened(browser, address) as page:
        tip, cells = page.locator("#tip"), page.locator(".matrix button")
        assert not tip.is_visible()
        cells.first.hover()
        assert "F1 on A Acute pericarditis: neutral" in tip.inner_text()
        assert "\nStep 15, 0: As common with the rivals.\n" in tip.inner_text()
        assert tip.inner_text().endswith("\nStep 3, +1: Sharp pain is typical.")  # and what was said before
        page.keyboard.press("Escape")
        assert not tip.is_visible()
        page.mouse.move(0, 0)
        cells.nth(2).hover()
        assert tip.is_visible()
        tip.hover()  # as whoever magnifies the page has to
        assert tip.is_visible()
        page.mouse.move(0, 0)
        assert not tip.is_visible()


def test_a_cell_that_had_to_be_scrolled_to_gives_its_reason_to_the_keyboard(browser, address):
    with opened(browser, address, width=420, height=300) as page:
        page.locator("nav.parts a").first.focus()
        page.evaluate("scrollTo(0, 0)")
        tip = page.locator("#tip")
        page.locator("[aria-label='Evidence matrix']").focus()
        for number in range(13):  # one after the other; those below the window are scrolled to
            page.keyboard.press("Tab")
            page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
            assert page.evaluate(f"{HERE}.matches('.matrix button')"), number
            assert tip.inner_text().startswith("F"), number
            assert page.evaluate(f"{HERE}.getAttribute('aria-describedby')") == "tip"
            inside = tip.evaluate(
                "e => { const r = e.getBoundingClientRect(); return r.top >= 0 && r.bottom <= innerHeight && "
                "r.left >= 0 && r.right <= innerWidth }"
            )
            assert inside, number
        page.keyboard.press("Escape")
        assert not tip.is_visible()


def test_the_gold_answer_goes_and_comes_back_by_the_keyboard_and_blind_reading_begins_without(
    browser, trace, address, tmp_path
):
    told = ".gold:visible"
    with opened(browser, address) as page:
        button = page.get_by_role("button", name="Hide the gold answer")
        assert page.locator(told).count() == 3  # the verdict, the answer, the mark at the option
        button.focus()
        page.keyboard.press("Space")
        assert page.locator(told).count() == 0
        assert page.evaluate(f"{HERE}.getAttribute('aria-pressed')") == "true"
        assert page.evaluate(f"{HERE}.textContent") == "Show the gold answer"
        page.keyboard.press("Enter")
        assert page.locator(told).count() == 3
    blind = tmp_path / "blind.html"
    blind.write_text(journey_page(trace, GOLD, blind=True), encoding="utf-8")
    with opened(browser, blind.as_uri()) as page:
        assert page.locator(told).count() == 0
        assert "correct" not in page.inner_text("main")
        assert "gold" not in page.inner_text("main").replace("Show the gold answer", "")
        page.get_by_role("button", name="Show the gold answer").press("Enter")
        assert page.locator(told).count() == 3


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_it_fits_a_desk_and_a_hand_by_day_and_by_night_and_axe_finds_nothing(browser, address, width, scheme):
    with opened(browser, address, width=width, color_scheme=scheme) as page:
        assert page.evaluate("document.documentElement.scrollWidth") == width
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        ink = page.evaluate("getComputedStyle(document.body).color")
        assert contrast(ink, paper) > 10
        assert (
            contrast(paper, "rgb(0, 0, 0)") > 15 if scheme == "light" else contrast(paper, "rgb(0, 0, 0)") < 2
        )
        for part in page.locator("details").all():
            part.evaluate("e => { e.open = true }")
        assert page.evaluate("document.documentElement.scrollWidth") == width
        # axe does not look at the texts of drawings.
        for said, fill, opacity in page.locator("svg text").evaluate_all(TEXTS):
            assert opacity == 1, said
            assert contrast(fill, paper) > 4.5, (said, fill)
        assert faults(page) == []
        page.locator(".matrix button").first.focus()
        assert page.locator("#tip").is_visible()
        assert faults(page) == []


@pytest.mark.parametrize("width", [1280, 390])
def test_a_journey_over_26_options_fits_too(browser, wide, width):
    with opened(browser, wide, width=width) as page:
        assert no_sideways_scroll(page)
        assert page.locator("svg.chart polyline").count() == 26
        assert page.locator("svg.path path.way.back").count() == 3
        assert page.locator(".matrix thead th").count() == 27


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_paper_what_cannot_be_used_there_is_left_out_and_the_ink_is_dark(browser, address, scheme):
    with opened(browser, address, width=700, color_scheme=scheme) as page:
        assert page.locator("nav").is_visible()
        page.emulate_media(media="print", color_scheme=scheme)
        for part in ("nav", "button.hide", "#steps details", "#steps p.turn"):
            assert page.locator(part).count() > 0
            assert page.locator(f"{part}:visible").count() == 0, part
        for part in ("h1", "#glance", "#case mark", "svg.path", "svg.chart", ".matrix", "#made"):
            assert page.locator(part).first.is_visible(), part
        assert page.locator("#steps .output:visible").count() == page.locator("#steps .step").count()
        for part in ("body", "svg.path a.stop text", "#case mark", ".matrix button.w-2"):
            ink = page.locator(part).first.evaluate(
                "e => e instanceof SVGElement ? getComputedStyle(e).fill : getComputedStyle(e).color"
            )
            assert contrast(ink, "rgb(255, 255, 255)") > 4.5, part  # browsers print no backgrounds
        wide = [svg.bounding_box()["width"] for svg in page.locator("svg.path, svg.chart").all()]
        assert max(wide) <= 700


def test_nothing_in_it_runs_but_its_own_script(browser, trace, tmp_path):
    """The policy holds even where a page should let markup through: here it is put in by hand."""
    page_text = journey_page(trace, GOLD)
    broken = re.sub(
        "<main>",
        "<main><script>window.hit = 1</script><img src=x onerror='window.hit = 1'>"
        "<style>body { display: none }</style><iframe srcdoc='<script>parent.hit = 1</script>'></iframe>",
        page_text,
        count=1,
    )
    path = tmp_path / "broken.html"
    path.write_text(broken, encoding="utf-8")
    context = browser.new_context(offline=True)
    try:
        page = context.new_page()
        refused: list[str] = []
        page.on("console", lambda message: refused.append(message.text))
        page.goto(path.as_uri())
        assert page.evaluate("window.hit") is None
        assert page.locator("h1").is_visible()
        assert sum("Content Security Policy" in text for text in refused) >= 4
    finally:
        context.close()
