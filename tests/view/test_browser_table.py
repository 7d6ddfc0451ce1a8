"""The pages of a run and of a pair in a browser: filters, order, distributions, and the journeys they open."""

from collections import Counter
from typing import NamedTuple

import pytest
from browser import faults, launched, no_sideways_scroll, opened
from viewed import as_another, back_and_forth, book, many, once_back, straight, write_cases, write_run

from ddxgraph import Trace
from ddxgraph.view.data.row import Judged
from ddxgraph.view.page.pair import pair_page, write_pair_page
from ddxgraph.view.page.run import write_run_page
from ddxgraph.view.page.table import INDEX

pytestmark = pytest.mark.slow

TRACES = 130
VERDICTS = ("correct", "incorrect", "incorrect", "abstained", "error")
"""Of the kinds of `many`, in turn."""


@pytest.fixture(scope="module")
def browser():
    with launched() as started:
        yield started


class Run(NamedTuple):
    traces: list[Trace]
    pages: dict[str, str]
    """`file` and `folder` to the address of the page."""
    blind: str


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    place = tmp_path_factory.mktemp("run")
    traces = many(TRACES)
    found = book(write_run(place / "pilot", traces), write_cases(place / "cases.jsonl", traces))
    pages = {
        "file": write_run_page(found, place / "page.html"),
        "folder": write_run_page(found, place / "pages"),
    }
    assert pages["folder"] == place / "pages" / INDEX
    blind = write_run_page(found, place / "blind.html", blind=True)
    return Run(traces, {key: path.as_uri() for key, path in pages.items()}, blind.as_uri())


def number(traces, holds) -> str:
    return f"{sum(map(holds, traces))} of {TRACES} traces"


def count(page) -> str:
    return page.locator("#count").inner_text()


def column(page, title: str) -> list[str]:
    """What the rows that are shown say under a heading."""
    heads = page.locator("#rows thead th").all_inner_texts()
    place = [head.rstrip(" ▲▼") for head in heads].index(title) + 1
    return page.locator(f"#rows tbody tr > :nth-child({place})").all_inner_texts()


def drawn(page) -> dict[str, int]:
    """For each distribution the sum of what it counts, by its caption."""
    said = {}
    for figure in page.locator("#plots figure").all():
        cells = figure.locator("td.n").all_inner_texts()
        label = "" if cells else figure.locator("svg").get_attribute("aria-label")
        counts = cells or [part.rsplit(": ", 1)[1] for part in label.split(": ", 1)[1].split("; ") if part]
        said[figure.locator("figcaption").inner_text()] = sum(int(one.replace(",", "")) for one in counts)
    return said


FILLED = """all => all.map(figure => {
  const along = figure.querySelector("table") ? "width" : "height";
  const bars = [...figure.querySelectorAll(".fill")].map(bar => Number(bar.getAttribute(along)));
  return [figure.querySelector("figcaption").textContent, bars.reduce((sum, one) => sum + one, 0)];
})"""


def filled(page) -> dict[str, float]:
    """For each distribution how much of its bars is filled."""
    return dict(page.locator("#plots figure").evaluate_all(FILLED))


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_run_is_filtered_by_what_its_traces_are_and_its_distributions_follow(browser, run, kind):
    traces = run.traces
    kinds = dict(zip(range(TRACES), VERDICTS * TRACES, strict=False))
    everything = f"{TRACES} of {TRACES} traces"
    with opened(browser, run.pages[kind]) as page:
        assert count(page) == everything
        before = filled(page)
        assert set(drawn(page)) == {"Verdict", "Backtracks", "Output tokens", "Seconds", "How it ended"}
        assert set(drawn(page).values()) == {TRACES}
        clear = page.get_by_role("button", name="Clear filters")
        assert clear.is_disabled()

        def shown(expected: str) -> None:
            assert count(page) == expected
            assert set(drawn(page).values()) == {int(expected.split(maxsplit=1)[0])}
            assert clear.is_enabled()

        fields = page.locator("#filters")
        fields.get_by_label("Verdict").select_option("incorrect")
        shown(f"{sum(verdict == 'incorrect' for verdict in kinds.values())} of {TRACES} traces")
        assert set(column(page, "Verdict")) == {"incorrect"}
        assert all(filled(page)[key] < before[key] for key in before)
        fields.get_by_label("Backtracks from").fill("1")
        shown(number(traces, lambda t: t.answer == "B" and t.backtracks == 1))
        fields.get_by_label("Backtracks to").fill("0")
        shown(f"0 of {TRACES} traces")
        clear.click()
        assert count(page) == everything
        assert filled(page) == before
        assert page.evaluate("document.activeElement.name") == "search"
        assert fields.get_by_label("Backtracks from").input_value() == ""

        fields.get_by_label("Backtracks from").fill("1")
        fields.get_by_label("Backtracks to").fill("1")
        shown(number(traces, lambda t: t.backtracks == 1))
        fields.get_by_label("Backtracks to").fill("")
        shown(number(traces, lambda t: t.backtracks >= 1))
        assert set(column(page, "Backtracks")) == {"1", "2"}
        clear.click()
        fields.get_by_label("Search").fill(" CASE-12")
        shown(f"10 of {TRACES} traces")
        assert sorted(column(page, "Case")) == [f"case-12{n}" for n in range(10)]
        clear.click()
        fields.get_by_label("How it ended").select_option("engine: connection")
        shown(number(traces, lambda t: t.outcome == "error"))
        fields.get_by_label("How it ended").select_option("budget: tokens")
        shown(number(traces, lambda t: t.ended == "budget_tokens"))
        fields.get_by_label("Benchmark").select_option("jama dev")
        shown(number(traces, lambda t: t.ended == "budget_tokens" and t.case.source == "jama"))
        clear.click()
        fields.get_by_label("Strategy").select_option("cot")
        shown(number(traces, lambda t: t.strategy.name == "cot"))


def test_a_run_is_sorted_both_ways_and_leafed_through(browser, run):
    with opened(browser, run.pages["file"]) as page:

        def sort(title: str) -> str | None:
            head = page.locator("#rows thead th").filter(has_text=title)
            head.get_by_role("button").press("Enter")
            assert page.locator("#rows [aria-sort]").count() == 1
            return head.get_attribute("aria-sort")

        tokens = sorted((trace.usage.completion_tokens for trace in run.traces), reverse=True)
        assert sort("Output tokens") == "descending"
        assert [int(one.replace(",", "")) for one in column(page, "Output tokens")] == tokens[:100]
        pager = page.locator("#pager")
        assert "1 to 100" in pager.inner_text()
        assert pager.get_by_role("button", name="Previous").is_disabled()
        pager.get_by_role("button", name="Next").press("Enter")
        assert [int(one.replace(",", "")) for one in column(page, "Output tokens")] == tokens[100:]
        assert f"101 to {TRACES}" in pager.inner_text()
        assert pager.get_by_role("button", name="Next").is_disabled()
        assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Traces"
        assert sort("Output tokens") == "ascending"
        assert [int(one.replace(",", "")) for one in column(page, "Output tokens")] == tokens[::-1][:100]
        assert sort("Case") == "ascending"
        assert column(page, "Case") == [f"case-{n:03}" for n in range(100)]
        assert sort("Case") == "descending"
        assert column(page, "Case")[0] == f"case-{TRACES - 1}"
        page.get_by_label("Search").fill("case-00")
        assert page.locator("#pager button").count() == 0
        assert column(page, "Case") == [f"case-00{n}" for n in reversed(range(10))]


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_row_opens_its_journey_and_the_way_back_leads_to_the_row(browser, run, kind):
    with opened(browser, run.pages[kind]) as page:
        page.get_by_label("How it ended").select_option("concluded")
        page.get_by_label("Search").fill("case-0")
        rows = column(page, "Case")
        link = page.get_by_role("link", name=rows[3])
        link.press("Enter")
        page.get_by_role("heading", name=rows[3], exact=True).wait_for()
        assert page.evaluate("document.activeElement.id") == "open"
        assert not page.locator("#list").is_visible()
        trace = next(trace for trace in run.traces if trace.case.id == rows[3])
        assert page.locator("#steps section.step").count() == len(trace.steps)
        assert page.locator("svg.path a.stop").count() == len(trace.steps)
        assert page.locator("#case mark").count() > 0
        assert page.url.endswith(f"#trace={trace.id}")

        # Its own links and keys work, and leave the address to the table.
        page.locator("svg.path a.stop").first.focus()
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "step-1"
        page.locator(".matrix button").first.focus()
        assert page.locator("#tip").is_visible()
        assert page.url.endswith(f"#trace={trace.id}")

        # On and back through what the filters leave.
        around = page.locator("nav.around")
        around.get_by_role("link", name="Next").press("Enter")
        page.get_by_role("heading", name=rows[4], exact=True).wait_for()
        around.get_by_role("link", name="Previous").press("Enter")
        page.get_by_role("heading", name=rows[3], exact=True).wait_for()
        around.get_by_role("link", name="Previous").press("Enter")
        page.get_by_role("heading", name=rows[2], exact=True).wait_for()
        around.get_by_role("link", name="All traces").press("Enter")
        page.locator("#list").wait_for()
        assert page.evaluate("document.activeElement.textContent") == rows[2]
        assert column(page, "Case") == rows  # the filters are as they were

        page.get_by_role("link", name=rows[5]).press("Enter")
        page.get_by_role("heading", name=rows[5], exact=True).wait_for()
        page.go_back()
        page.locator("#list").wait_for()
        assert page.evaluate("document.activeElement.textContent") == rows[5]
        assert not page.locator("#open").is_visible()
        page.go_forward()
        page.get_by_role("heading", name=rows[5], exact=True).wait_for()


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_an_address_may_name_a_trace_and_one_that_names_none_shows_the_table(browser, run, kind):
    last = run.traces[TRACES - 2]  # in the last block
    with opened(browser, f"{run.pages[kind]}#trace={last.id}") as page:
        page.get_by_role("heading", name=last.case.id, exact=True).wait_for()
        assert page.locator("#steps section.step").count() == len(last.steps)
        for wrong in ("#trace=none", "#trace=%", "#trace=", "#trace=__proto__", "#steps"):
            page.evaluate("to => { location.hash = to }", wrong)
            page.locator("#list").wait_for()
            assert count(page) == f"{TRACES} of {TRACES} traces"
    with opened(browser, f"{run.pages[kind]}#trace=%E0%A4%A") as page:
        assert count(page) == f"{TRACES} of {TRACES} traces"


def test_a_folder_whose_journeys_are_missing_says_so_and_keeps_its_table(browser, run, tmp_path):
    page_of = write_run_page(book(write_run(tmp_path / "few", run.traces[:3])), tmp_path / "pages")
    (tmp_path / "pages" / "blocks" / "0.js").unlink()
    context = browser.new_context(offline=True)
    try:
        page = context.new_page()
        page.goto(page_of.as_uri())
        page.get_by_role("link", name="case-001").click()
        alarm = page.locator(".alarm")
        alarm.wait_for()
        assert "blocks/0.js is missing beside this page" in alarm.inner_text()
        page.get_by_role("link", name="All traces").click()
        assert count(page) == "3 of 3 traces"
    finally:
        context.close()


def test_blind_reading_hides_the_gold_answers_of_the_table_and_of_what_it_opens(browser, run):
    with opened(browser, run.blind) as page:
        assert page.locator(".gold:visible").count() == 0
        heads = page.locator("#rows thead th:visible").all_inner_texts()
        assert "Verdict" not in heads
        assert "Gold" not in heads
        assert "correct" not in page.inner_text("main")
        page.get_by_role("link", name="case-000").click()
        page.get_by_role("heading", name="case-000", exact=True).wait_for()
        assert page.locator(".gold:visible").count() == 0
        page.get_by_role("button", name="Show the gold answer").press("Enter")
        assert page.locator(".gold:visible").count() == 3
        page.go_back()
        page.locator("#list").wait_for()
        assert page.locator(".gold:visible").count() == 0
        page.get_by_role("button", name="Show the gold answer").click()
        assert "correct" in column(page, "Verdict")
        assert page.locator("#filters").get_by_label("Verdict").is_visible()


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light")])
def test_a_run_fits_its_window_and_axe_finds_nothing_in_the_table_or_in_what_it_opens(
    browser, run, width, scheme
):
    with opened(browser, run.pages["file"], width=width, color_scheme=scheme) as page:
        for part in page.locator("details").all():
            part.evaluate("e => { e.open = true }")
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert faults(page) == []
        page.get_by_role("link", name="case-000").click()
        page.get_by_role("heading", name="case-000", exact=True).wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert faults(page) == []


# Pairs

HERE = "The paths diverge here."


class Pairs(NamedTuple):
    address: str
    flips: Counter


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Of six cases the first run has 0 to 4, the second 0 to 3 and 5; the gold answer is C, or B for case 3."""
    place = tmp_path_factory.mktemp("pairs")
    right, wrong, once = back_and_forth(), straight(), once_back()
    one = [as_another(trace, n) for n, trace in enumerate([wrong, right, right, once, wrong])]
    other = [as_another(trace, n) for n, trace in enumerate([right, wrong, right, once])]
    other.append(as_another(wrong, 5))
    cases = write_cases(place / "cases.jsonl", [*one, other[-1]])
    page = write_pair_page(
        book(write_run(place / "vanilla", one), cases),
        book(write_run(place / "graph", other), cases),
        place / "pair.html",
    )
    flips = Counter(
        ["became correct", "became incorrect", "both correct", "both not correct", "not judged", "not judged"]
    )
    return Pairs(page.as_uri(), flips)


def test_two_runs_are_paired_and_what_flipped_is_counted(browser, pairs):
    with opened(browser, pairs.address) as page:
        assert count(page) == "6 of 6 pairs"
        assert column(page, "Case") == [f"case-00{n}" for n in range(6)]
        assert Counter(column(page, "Flip")) == pairs.flips
        facts = page.locator("header .facts").inner_text().split("\n")
        assert "1 became correct" in facts
        assert "1 became incorrect" in facts
        assert "2 with different answers" in facts
        assert column(page, "Answers") == [
            "different",
            "different",
            "the same",
            "the same",
            "only in A",
            "only in B",
        ]
        assert column(page, "Paths")[2:] == ["the same", "the same", "only one", "only one"]
        page.locator("#filters").get_by_label("Flip").select_option("became correct")
        assert count(page) == "1 of 6 pairs"
        assert column(page, "Case") == ["case-000"]
        assert set(drawn(page).values()) == {1}


def test_a_pair_opens_and_says_at_which_step_its_paths_part(browser, pairs):
    with opened(browser, pairs.address) as page:
        page.get_by_role("link", name="case-000").press("Enter")
        page.get_by_role("heading", name="case-000", exact=True).wait_for()
        a, b = straight().steps, back_and_forth().steps
        common = next(n for n, (x, y) in enumerate(zip(a, b, strict=False)) if x.branch != y.branch)
        assert common == 2
        assert page.get_by_text(f"Their paths diverge after step {common}, differential.").is_visible()
        assert page.get_by_text(HERE).count() == 1
        assert page.get_by_text(HERE).evaluate("e => e.nextElementSibling.children[0].id") == f"a-{common}"
        assert page.get_by_text("Became correct.").is_visible()
        assert page.locator("svg.path").count() == page.locator("svg.chart").count() == 2
        assert page.locator("section.step[id^=a-]").count() == len(a)
        assert page.locator("section.step[id^=b-]").count() == len(b)
        assert page.get_by_text("No step here.").count() == len(b) - len(a)
        page.locator("svg.path").nth(1).locator("a.stop").nth(3).press("Enter")
        assert page.evaluate("document.activeElement.id") == "b-3"
        page.get_by_role("link", name="Next").press("Enter")
        page.get_by_role("heading", name="case-001", exact=True).wait_for()
        page.goto(f"{pairs.address}#trace=2")
        page.get_by_role("heading", name="case-002", exact=True).wait_for()
        assert page.get_by_text("They take the same path.").is_visible()
        assert page.get_by_text(HERE).count() == 0
        page.goto(f"{pairs.address}#trace=5")  # what one run lacks is shown alone
        page.get_by_role("heading", name="case-005", exact=True).wait_for()
        assert page.locator("#steps section.step").count() == len(a)


def test_two_single_journeys_stand_side_by_side(browser, tmp_path):
    path = tmp_path / "two.html"
    judged = Judged("C", "incorrect")
    path.write_text(pair_page(straight(), once_back(), (judged, judged)), encoding="utf-8")
    for width in (1280, 390):
        with opened(browser, path.as_uri(), width=width) as page:
            assert no_sideways_scroll(page)
            assert page.get_by_text("Their paths diverge after step 7, reflection.").is_visible()
            assert page.get_by_text(HERE).evaluate("e => e.nextElementSibling.children[1].id") == "b-7"
            a, b = (page.locator(f"#{side}-3").bounding_box() for side in "ab")
            beside = b["x"] > a["x"] + a["width"] / 2 and abs(a["y"] - b["y"]) < 2
            below = b["y"] > a["y"] and abs(a["x"] - b["x"]) < 2
            assert beside if width == 1280 else below
            page.get_by_role("button", name="Hide the gold answer").click()
            assert page.locator(".gold:visible").count() == 0


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light")])
def test_a_pair_fits_its_window_and_axe_finds_nothing(browser, pairs, width, scheme):
    with opened(browser, pairs.address, width=width, color_scheme=scheme) as page:
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert faults(page) == []
        page.get_by_role("link", name="case-000").click()
        page.get_by_role("heading", name="case-000", exact=True).wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert faults(page) == []
