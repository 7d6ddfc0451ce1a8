"""A run's page: a row and a journey for each trace, figures over all, gold where it was judged."""

import base64
import html
import json
import re
import zlib
from pathlib import Path

import pytest
from viewed import add, as_another, book, many, straight, write_cases, write_run

from ddxgraph.batch.folder import ERRORS, TRACES
from ddxgraph.common.errors import TraceFileError
from ddxgraph.common.words import NOTICE
from ddxgraph.view.page.run import heading_of, live_page, write_run_page


def table_of(page: str) -> dict:
    (text,) = re.findall(r'<script type="text/plain" id="table">([^<]*)</script>', page)
    return json.loads(text)


def unpacked(page: str) -> list[str]:
    blocks = re.findall(r'<script type="text/plain" id="block-\d+">([^<]*)</script>', page)
    return [one for text in blocks for one in json.loads(zlib.decompress(base64.b64decode(text)))]


def facts(page: str) -> list[str]:
    (found,) = re.findall(r'<ul class="facts">(.*?)</ul>', page, re.S)
    return [" ".join(re.sub(r"<[^>]*>", " ", one).split()) for one in found.strip().splitlines()]


def written(run, out: Path, **given) -> str:
    return write_run_page(run, out, **given).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    write_run(folder / "pilot", many(10))
    write_cases(folder / "cases.jsonl", many(10))
    return folder


@pytest.fixture(scope="module")
def judged(place):
    return book(place / "pilot", place / "cases.jsonl")


def test_each_trace_has_its_row_and_its_journey(judged, tmp_path):
    seen: list[tuple[int, int]] = []
    page = written(judged, tmp_path / "p.html", progress=lambda *done: seen.append(done))
    table = table_of(page)
    assert table["ids"] == [entry.id for entry in judged.entries]
    assert table["rows"] == [list(entry.row) for entry in judged.entries]
    assert table["live"] is False
    journeys = unpacked(page)
    assert len(journeys) == 10
    for entry, markup in zip(judged.entries, journeys, strict=True):
        assert f"<h1>{entry.case}</h1>" in markup
        assert entry.id in markup
    assert seen == [(number, 10) for number in range(1, 11)]
    assert NOTICE in page
    assert len({column["title"] for column in table["columns"]}) == 11


def test_what_stands_above_the_table_counts_what_is_in_it(judged, tmp_path):
    page = written(judged, tmp_path / "p.html")
    tokens = sum(entry.row.tokens for entry in judged.entries) / 10
    assert facts(page) == [
        "10 traces",
        "2 correct",
        "4 incorrect",
        "2 abstained",
        "2 error, unscored",
        "0.6 backtracks a trace",
        f"{tokens:,.0f} output tokens a trace",
    ]
    assert heading_of(judged).where == "medqa dev · jama dev · graph · cot"


def test_without_gold_answers_nothing_tells_of_them(place, tmp_path):
    page = written(book(place / "pilot"), tmp_path / "p.html")
    assert facts(page)[0] == "10 traces"
    assert len(facts(page)) == 3, "traces, backtracks, tokens, and no verdict"
    assert "the gold answer</button>" not in page
    rows = [
        dict(zip((c["title"] for c in table_of(page)["columns"]), row, strict=True))
        for row in table_of(page)["rows"]
    ]
    assert {row["Verdict"] for row in rows} == {"not judged", "abstained", "error"}
    assert {row["Gold"] for row in rows} == {""}
    assert not any("Gold answer" in one for one in unpacked(page))
    visible = page[page.index("<main>") : page.index("</main>")]
    assert "orrect" not in visible


def test_a_blind_page_begins_with_gold_out_of_sight(judged, tmp_path):
    page = written(judged, tmp_path / "p.html", blind=True)
    assert 'class="list blind"' in page
    visible = page[page.index("<main>") : page.index("</main>")]
    bare = re.sub(r'<(li|td|th|span)[^>]*class="[^"]*\bgold\b[^"]*"[^>]*>.*?</\1>', "", visible, flags=re.S)
    assert "correct" in visible
    assert "correct" not in bare


def test_the_same_run_gives_the_same_bytes(place, judged, tmp_path):
    once = written(judged, tmp_path / "1.html")
    again = written(book(place / "pilot", place / "cases.jsonl"), tmp_path / "2.html")
    assert once == again


def test_the_same_run_in_a_folder_has_the_same_journeys(judged, tmp_path):
    page = written(judged, tmp_path / "pages")
    (block,) = (tmp_path / "pages" / "blocks").iterdir()
    packed = re.findall(r'"([^"]*)"', block.read_text(encoding="ascii"))[0]
    single = written(judged, tmp_path / "p.html")
    assert json.loads(zlib.decompress(base64.b64decode(packed))) == unpacked(single)
    assert table_of(page) == table_of(single)


def test_an_empty_run_has_a_page(tmp_path):
    folder = write_run(tmp_path / "none", many(1))
    (folder / TRACES).unlink()
    (folder / ERRORS).unlink()
    page = written(book(folder), tmp_path / "p.html")
    assert facts(page) == ["0 traces"]
    assert table_of(page)["rows"] == []


def test_one_trace_is_spoken_of_in_the_singular(tmp_path):
    page = written(book(write_run(tmp_path / "one", many(1))), tmp_path / "p.html")
    assert facts(page)[0] == "1 trace"


def test_a_trace_that_is_none_is_named_and_no_page_is_written(tmp_path):
    folder = write_run(tmp_path / "run", many(2))
    text = (folder / TRACES).read_text(encoding="utf-8")
    (folder / TRACES).write_text(text.replace('"node":"reflect"', '"node":"nowhere"', 1), encoding="utf-8")
    with pytest.raises(TraceFileError, match=r"traces\.jsonl, trace 0+: .*node"):
        write_run_page(book(folder), tmp_path / "p.html")
    assert not (tmp_path / "p.html").exists()


HOSTILE = "</script><script>alert(1)</script><!--\"'"


def test_a_hostile_run_becomes_no_element(tmp_path):
    trace = as_another(straight(), 1, answer=HOSTILE, source=HOSTILE)
    named = trace.model_copy(
        update={
            "case": trace.case.model_copy(update={"id": HOSTILE}),
            "strategy": trace.strategy.model_copy(update={"name": HOSTILE}),
            "id": HOSTILE,
        }
    )
    cases = write_cases(tmp_path / "cases.jsonl", [named])
    page = written(book(write_run(tmp_path / "run", [named]), cases), tmp_path / "p.html")
    assert "<script>alert" not in page
    assert page.count("<script") == page.count("</script>") == 3
    assert table_of(page)["ids"] == [HOSTILE]
    assert "<script" not in unpacked(page)[0]
    assert HOSTILE in html.unescape(unpacked(page)[0])


def test_a_live_page_holds_rows_alone_and_asks_its_server(judged):
    page = live_page(judged, 10)
    table = table_of(page)
    assert (table["live"], table["seen"]) == (True, 10)
    assert table["rows"] == [list(entry.row) for entry in judged.entries]
    assert "at" not in table
    assert "block-0" not in page
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    assert "connect-src &#39;self&#39;" in policy
    assert NOTICE in page
    assert 'class="list blind"' in live_page(judged, 10, blind=True)


def test_a_failed_attempt_is_a_row_until_its_trace_has_ended(tmp_path):
    traces = many(5)
    folder = write_run(tmp_path / "run", traces)
    run = book(folder)
    assert [row[3] for row in table_of(live_page(run, 5))["rows"]].count("error") == 1
    add(folder, [as_another(straight(), 4)])
    run.refresh()
    assert [row[3] for row in table_of(live_page(run, 6))["rows"]].count("error") == 0
    assert len(run) == 5
