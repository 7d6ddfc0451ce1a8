"""The report: files that say the same every time, carry nothing foreign, and hide nothing that is incomplete."""

import json
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import matplotlib as mpl
import pytest
from browser import (
    BROWSERS,
    NEED_BROWSER,
    QUIET,
    browser_or_reason,
    chromium_path,
    contrast,
    without_a_browser,
)
from scoredruns import random_run, score, scored, selection

from ddxgraph.common.errors import EvaluationError
from ddxgraph.common.words import NOTICE
from ddxgraph.eval.report.evaluation import Evaluation, evaluate
from ddxgraph.eval.report.plots.picture import Picture
from ddxgraph.eval.report.plots.plots import plots
from ddxgraph.eval.report.write import DATA, MARKDOWN, PAGE, PLOTS, write_report
from ddxgraph.graph.budget import Budget

HOSTILE = '_<script>alert("x")</script>|$\\frac{1}$ `a` *b* ]]> &amp;'
VOID = {"meta", "link", "br", "img", "hr", "input"}


def some_runs() -> list[Any]:
    verdicts = ["correct"] * 20 + ["error", "unparsed", "abstained"]
    return [
        random_run("cot", strategy="cot", skill=0.4, tokens=300, samples=3),
        random_run("graph", skill=0.7, tokens=900),
        random_run("graph-small", skill=0.5, tokens=500, budget=Budget(max_calls=12)),
        random_run(
            HOSTILE, skill=0.6, tokens=900, chosen=selection(shuffle=3), model=HOSTILE, adapter=HOSTILE
        ),
        scored(
            "torn",
            [score(f"c{n}", verdict) for n, verdict in enumerate(verdicts)],
            cases=40,
            strategy="vanilla",
            chosen=selection(),
        ),
        random_run("jama", cases=30, chosen=selection("jama", split="test", limit=30, size=646)),
        random_run("vanilla-7b", strategy="vanilla", model="Tiny-7B", chosen=selection()),
        random_run("cot-7b", strategy="cot", model="Tiny-7B", skill=0.6, chosen=selection()),
    ]


class Report(NamedTuple):
    folder: Path
    evaluation: Evaluation
    pictures: list[Picture]

    def text(self, name: str) -> str:
        return (self.folder / name).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Report:
    folder = tmp_path_factory.mktemp("report") / "report"
    found = evaluate(some_runs())
    write_report(found, folder)
    return Report(folder, found, plots(found))


class Page(HTMLParser):
    """Checks that tags are closed in order, and keeps what is asked about."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def page(report) -> Page:
    return Page(report.text(PAGE))


def test_the_folder_holds_all_forms(report):
    files = {path.relative_to(report.folder).as_posix() for path in report.folder.rglob("*.*")}
    drawn = {f"{PLOTS}/{picture.name}.{kind}" for picture in report.pictures for kind in ("svg", "png")}
    assert files == {MARKDOWN, PAGE, DATA} | drawn
    kinds = {picture.name.split("-")[0] for picture in report.pictures}
    assert kinds == {
        *("accuracy", "models", "gains", "scaling", "length", "reliability", "coverage", "difficulty"),
        "differences",
    }
    assert Evaluation.model_validate_json(report.text(DATA)) == report.evaluation


def test_the_same_evaluation_gives_the_same_bytes(tmp_path):
    def files() -> dict[str, bytes]:
        write_report(evaluate(some_runs()[1:3]), tmp_path / "again")
        return {path.name: path.read_bytes() for path in (tmp_path / "again").rglob("*.*")}

    first = files()
    assert len(first) > 10
    assert files() == first


def test_the_page_needs_nothing_else(report, page):
    text = report.text(PAGE)
    assert len(text.encode()) < 2_000_000
    assert page.tags["script"] == page.tags["iframe"] == page.tags["img"] == 0
    for tag, attributes in page.attributes:
        for name in ("src", "href", "xlink:href", "action", "srcset"):
            value = attributes.get(name) or "#"
            assert value.startswith(("#", "data:")), (tag, value)
    assert "@import" not in text
    assert set(re.findall(r"url\((.)", text)) <= {"#"}


def test_no_id_stands_twice_and_every_link_leads_somewhere(page):
    ids = Counter(attributes["id"] for _, attributes in page.attributes if "id" in attributes)
    assert not {name for name, count in ids.items() if count > 1}
    links = {a["href"] for tag, a in page.attributes if tag in {"a", "use"} and "href" in a}
    links |= {a["xlink:href"] for _, a in page.attributes if "xlink:href" in a}
    assert {link for link in links if link and link.removeprefix("#") not in ids} == set()


def test_the_page_can_be_heard(report, page):
    assert page.tags["caption"] == page.tags["table"] > 5
    heads = [attributes for tag, attributes in page.attributes if tag == "th"]
    assert all(head.get("scope") in {"col", "row", "colgroup", "rowgroup"} for head in heads)
    told = [a for tag, a in page.attributes if tag == "svg"]
    assert [a["aria-label"] for a in told] == [picture.alt for picture in report.pictures]
    assert {a["role"] for a in told} == {"img"}
    assert page.tags["h1"] == page.tags["main"] == 1
    assert [a["lang"] for tag, a in page.attributes if tag == "html"] == ["en"]


def test_a_plot_comes_with_its_numbers(report, page):
    assert page.tags["details"] >= len(report.pictures)
    for picture in report.pictures:
        assert picture.table.rows
        assert {len(row) for row in picture.table.rows} == {len(picture.table.head)}
        assert picture.alt.startswith(picture.title.split(":")[0])


def test_hostile_names_stay_text(report):
    for name in (PAGE, MARKDOWN):
        assert "<script" not in report.text(name)
        assert "&lt;script&gt;" in report.text(name)
    for picture in report.pictures:
        assert "<script" not in picture.svg
        ElementTree.fromstring(picture.svg)
    scaling = next(picture for picture in report.pictures if picture.name.startswith("scaling-1"))
    shown = "".join(ElementTree.fromstring(scaling.svg).itertext())
    assert "$\\frac" in shown  # neither set as a formula nor left out


def test_every_row_of_a_markdown_table_has_the_same_cells(report):
    tables = re.findall(r"(?:^\|.*\n)+", report.text(MARKDOWN), re.MULTILINE)
    assert len(tables) >= 8
    for table in tables:
        assert len({len(re.split(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1, table


def test_what_is_incomplete_says_so_wherever_its_figure_stands(report):
    said = report.text(PAGE).split("<h2", 1)[0]
    assert "INCOMPLETE: of torn, 18 of 40 traces are unscored (17 missing, 1 timeout)" in said
    for name in (PAGE, MARKDOWN):
        rows = [
            line
            for line in report.text(name).splitlines()
            if "torn" in line and re.search(r"\d%|\d\.\d", line)
        ]
        assert len(rows) > 5
        assert [row for row in rows if "incomplete" not in row.lower() and "temperature 0.0" not in row] == []
        assert "50.00 to 95.00% (incomplete)" in report.text(name)
    for picture in report.pictures:
        rows = [row for row in picture.table.rows if "torn" in " ".join(row)]
        assert all("incomplete" in " ".join(row) for row in rows)
        told = [part for part in re.split(r"; |\. ", picture.alt) if "torn" in part]
        assert all("incomplete" in part for part in told), told


def test_a_sample_never_stands_in_the_test_column_unmarked(report):
    text = report.text(MARKDOWN)
    table = text[text.index("## In the form") : text.index("Published (Huang")]
    assert table.count("[MedQA dev, 40 of 1,272") == 7
    assert "[JAMA test, 30 of 646]" in table


def test_published_rows_are_marked(report):
    assert report.text(MARKDOWN).count("*published:*") == 25
    assert "Published (Huang et al. 2025, arXiv 2501.06458, Table 1)" in report.text(PAGE)


def test_published_figures_in_the_plots_are_told_apart_in_words(report):
    assert "Grey hollow diamonds are published figures (Huang et al. 2025" in report.text(PAGE)
    models, gains = (
        next(picture for picture in report.pictures if picture.name.startswith(kind))
        for kind in ("models-1", "gains-1")
    )
    shown = list(ElementTree.fromstring(models.svg).itertext())
    assert sum(text.startswith("published: ") for text in shown) == 25
    shown = list(ElementTree.fromstring(gains.svg).itertext())
    plain = [text.replace("\N{NO-BREAK SPACE}", " ") for text in shown]
    (told,) = (text for text in plain if text.startswith("published, on whole test splits: a Qwen2.5 7B, b"))
    assert "GPT-4o" not in told
    assert "size unknown, not drawn: GPT-4o, published, +2.3" in shown
    assert sum("published" in row for row in models.table.rows) == 25


def test_the_progress_is_told_after_each_run_part_and_plot(tmp_path):
    told: list[tuple[int, int]] = []
    found = evaluate(some_runs()[1:3], progress=lambda done, total: told.append((done, total)))
    assert told == [(done, len(told)) for done in range(1, len(told) + 1)]
    assert len(told) > 2
    told.clear()
    write_report(found, tmp_path / "report", progress=lambda done, total: told.append((done, total)))
    count = len(list((tmp_path / "report" / PLOTS).glob("*.svg")))
    assert told == [(done, count) for done in range(1, count + 1)]


def test_an_evaluation_of_before_the_plots_of_models_is_read(report):
    old = json.loads(report.text(DATA))
    del old["models"], old["gains"]
    assert Evaluation.model_validate(old).runs == report.evaluation.runs


def test_the_notice_stands_above_the_figures(report):
    for name in (PAGE, MARKDOWN):
        text = report.text(name)
        assert text.index(NOTICE) < text.index("Abstained")


def test_plots_of_an_earlier_report_go_and_other_files_are_not_touched(tmp_path):
    small = evaluate([scored("a", [score("c0", "correct")])])
    write_report(small, tmp_path / "report")
    (tmp_path / "report" / PLOTS / "old.svg").touch()
    (tmp_path / "report" / "mine.txt").touch()
    write_report(small, tmp_path / "report")
    assert not (tmp_path / "report" / PLOTS / "old.svg").exists()
    assert (tmp_path / "report" / "mine.txt").exists()


def test_a_folder_with_other_things_is_not_written_to(tmp_path):
    (tmp_path / "run.json").touch()
    small = evaluate([scored("a", [score("c0", "correct")])])
    with pytest.raises(EvaluationError, match="holds other files"):
        write_report(small, tmp_path)
    with pytest.raises(EvaluationError, match="is a file"):
        write_report(small, tmp_path / "run.json")
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_a_run_of_which_nothing_ended_is_reported(tmp_path):
    found = evaluate([scored("torn", [score("c0", "error")], cases=2)])
    Page(write_report(found, tmp_path / "report").read_text(encoding="utf-8"))
    assert not list((tmp_path / "report" / PLOTS).iterdir())


def test_drawing_leaves_matplotlib_as_it_was():
    before = dict(mpl.rcParams)
    plots(evaluate([scored("a", [score("c0", "correct")])]))
    assert dict(mpl.rcParams) == before


@pytest.fixture(scope="module")
def chromium() -> str:
    return chromium_path()


def test_where_a_browser_is_needed_its_absence_fails_and_elsewhere_it_is_skipped_with_its_reason():
    path, reason = browser_or_reason(dict.fromkeys(BROWSERS), playwright=True)
    assert (path, reason) == ("", "no Chromium on this machine; none is downloaded")
    assert browser_or_reason({"chromium": "/usr/bin/chromium"}, playwright=False)[1]
    with pytest.raises(pytest.fail.Exception, match="must be opened in a browser"):
        without_a_browser(reason, {NEED_BROWSER: "1"})
    with pytest.raises(pytest.skip.Exception, match="no Chromium on this machine"):
        without_a_browser(reason, {})


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light")])
def test_a_browser_shows_it_without_network_and_without_complaint(report, chromium, width, scheme):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=list(QUIET))
        try:
            context = browser.new_context(
                offline=True, viewport={"width": width, "height": 900}, color_scheme=scheme
            )
            shown = context.new_page()
            said: list[str] = []
            asked: list[str] = []
            shown.on("console", lambda message: said.append(message.text))
            shown.on("pageerror", lambda error: said.append(str(error)))
            shown.on("request", lambda request: asked.append(request.url))
            shown.goto((report.folder / PAGE).as_uri())
            assert shown.locator("figure svg").count() == len(report.pictures)
            boxes = [svg.bounding_box() for svg in shown.locator("figure svg").all()]
            assert all(box and box["width"] > 300 and box["height"] > 100 for box in boxes)
            assert (
                shown.evaluate("document.documentElement.scrollWidth") == width
            )  # tables scroll, it does not
            ink = shown.evaluate("getComputedStyle(document.body).color")
            paper = shown.evaluate("getComputedStyle(document.body).backgroundColor")
            assert contrast(ink, paper) > 7
            first = shown.locator("figure svg text").first.evaluate("e => getComputedStyle(e).fill")
            assert contrast(first, paper) > 4.5
            shown.keyboard.press("Tab")
            assert shown.evaluate("document.activeElement.tagName") == "A"
            assert said == []
            assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
        finally:
            browser.close()
