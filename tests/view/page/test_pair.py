"""Two journeys, or two runs, side by side: what the page says of them, gold included or left out."""

import base64
import html
import json
import re
import zlib
from pathlib import Path

import pytest
from journeys import CASE, STRAIGHT
from viewed import as_another, back_and_forth, book, many, once_back, straight, write_cases, write_run
from walks import walked

from ddxgraph import Trace
from ddxgraph.common.words import NOTICE
from ddxgraph.view.data.row import Judged
from ddxgraph.view.page.pair import pair_fragment, pair_page, write_pair_page


def text_of(markup: str) -> str:
    """What a reader sees, on one line."""
    bare = re.sub(r"<(style|script)\b.*?</\1>", " ", markup, flags=re.S)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", bare)).split())


def told(a: Trace, b: Trace, *judged: Judged | None) -> str:
    one, other = judged or (None, None)
    return text_of(pair_page(a, b, (one, other)))


def test_each_step_of_both_stands_on_the_page():
    a, b = straight(), back_and_forth()
    page = pair_page(a, b, (None, None))
    for key, trace in (("a", a), ("b", b)):
        ids = re.findall(rf'<section class="step[^"]*" id="{key}-(\d+)"', page)
        assert ids == [str(step.index) for step in trace.steps]
    assert page.count("No step here.") == len(b.steps) - len(a.steps)
    assert len(re.findall(r'\bid="([^"]+)"', page)) == len(set(re.findall(r'\bid="([^"]+)"', page)))


def test_where_the_paths_part_is_said_and_marked_once():
    page = pair_page(straight(), once_back(), (None, None))
    assert "Their paths diverge after step 7, reflection." in page
    assert page.count("The paths diverge here.") == 1
    same = pair_page(straight(), straight(), (None, None))
    assert "They take the same path." in same
    assert "The paths diverge here." not in same
    cut = straight().model_copy(update={"steps": straight().steps[:3]})
    assert "Their paths diverge after step 3, evidence on B." in told(straight(), cut)
    empty = straight().model_copy(update={"steps": ()})
    assert "Their paths diverge at the start." in told(straight(), empty)


def of_another(trace: Trace, **changes: object) -> Trace:
    return trace.model_copy(update={"case": trace.case.model_copy(update=changes)})


OTHERS = [
    {"id": "ankle", "vignette": "A swollen ankle."},
    {"vignette": "A swollen ankle."},  # two runs over benchmarks that number their cases alike
    {"question": "What is the next step?"},
    {"options": {"A": "Gout", "B": "Sprain"}},
]


@pytest.mark.parametrize("changes", OTHERS)
def test_two_cases_are_shown_as_two(changes):
    other = of_another(straight(), **changes)
    both = (Judged("B", "correct"), Judged("A", "incorrect"))
    said = told(straight(), other, *both)
    assert "two different cases, whose answers cannot be compared." in said
    assert "ecame" not in said
    assert "same answer" not in said.lower()
    assert "Gold answer: A: B. Community-acquired pneumonia; B: A. " in said
    assert other.case.vignette[:20] in said
    assert ("leg and ankle" in said) is ("id" in changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "again"},
        {"options": {}},
        {"options": dict(zip("DCBA", straight().case.options.values(), strict=True))},
    ],
)
def test_a_case_under_another_name_or_with_shuffled_options_is_the_same(changes):
    assert "different cases" not in told(straight(), of_another(straight(), **changes))


@pytest.mark.parametrize(
    ("a", "b", "said"),
    [
        ("B", "B", "The same answer."),
        ("B", "C", "Different answers."),
        ("B", None, "One answer missing."),
        (None, None, "No answer."),
    ],
)
def test_whether_the_answers_differ_is_said_in_a_sentence(a, b, said):
    pair = [straight().model_copy(update={"answer": answer}) for answer in (a, b)]
    assert f" {said} They take" in told(*pair)


def test_a_flip_is_said_where_both_are_judged():
    right, wrong = Judged("C", "correct"), Judged("C", "incorrect")
    assert "Became correct. Different answers." in told(straight(), back_and_forth(), wrong, right)
    assert "Became incorrect. Different answers." in told(back_and_forth(), straight(), right, wrong)
    assert "ecame" not in told(straight(), back_and_forth(), wrong, None)


def test_the_gold_answer_is_told_by_the_options_of_the_journey_that_was_judged():
    turned = straight().case.model_copy(
        update={"options": dict(zip("ABCD", reversed(straight().case.options.values()), strict=True))}
    )
    other = straight().model_copy(update={"case": turned})
    assert "Gold answer: C. Pulmonary embolism" in told(straight(), other, Judged("C", "incorrect"), None)
    assert "Gold answer: B. Pulmonary embolism" in told(straight(), other, None, Judged("B", "correct"))
    assert "Gold answer" not in told(straight(), other)


def test_ids_of_hypotheses_keep_their_case():
    names = ("trace x", "trace y")
    cut = straight().model_copy(update={"steps": straight().steps[:4]})
    assert "evidence on A." in str(pair_fragment((straight(), cut), (None, None), names))


def test_steps_of_a_trace_made_by_hand_are_numbered():
    unnumbered = tuple(step.model_copy(update={"index": -1}) for step in straight().steps)
    trace = straight().model_copy(update={"steps": unnumbered})
    assert pair_page(trace, trace, (None, None)) == pair_page(straight(), straight(), (None, None))


def unpacked(page: str) -> list[str]:
    """Every journey of a table's page."""
    blocks = re.findall(r'<script type="text/plain" id="block-\d+">([^<]*)</script>', page)
    return [one for text in blocks for one in json.loads(zlib.decompress(base64.b64decode(text)))]


def table_of(page: str) -> dict:
    (text,) = re.findall(r'<script type="text/plain" id="table">([^<]*)</script>', page)
    return json.loads(text)


def runs(folder: Path, cases: Path | None = None):
    traces = many(6)
    theirs = [as_another(once_back(), 1), as_another(back_and_forth(), 0, answer="B"), traces[3]]
    return (
        book(write_run(folder / "base", [traces[0], traces[1], traces[5]]), cases),
        book(write_run(folder / "tuned", theirs), cases),
    )


def test_a_page_of_two_runs_has_every_pair(tmp_path):
    a, b = runs(tmp_path, write_cases(tmp_path / "cases.jsonl", many(6)))
    seen: list[tuple[int, int]] = []
    place = write_pair_page(a, b, tmp_path / "p.html", progress=lambda *done: seen.append(done))
    page = place.read_text(encoding="utf-8")
    table = table_of(page)
    assert [row[0] for row in table["rows"]] == ["case-000", "case-001", "case-005", "case-003"]
    assert table["noun"] == "pair"
    assert seen == [(number, 4) for number in (1, 2, 3, 4)]
    pairs = unpacked(page)
    assert ["journey pair" in one for one in pairs] == [True, True, False, False]
    assert "base and tuned" in text_of(pairs[0])
    facts = text_of(re.findall(r'<ul class="facts">.*?</ul>', page, re.S)[0])
    assert (
        facts
        == "4 pairs 0 became correct 1 became incorrect 1 with different answers 1 with paths that diverge"
    )
    assert NOTICE in page


def test_a_page_of_two_runs_without_gold_answers_tells_of_none(tmp_path):
    a, b = runs(tmp_path)
    page = write_pair_page(a, b, tmp_path / "p.html").read_text(encoding="utf-8")
    assert {row[2] for row in table_of(page)["rows"]} == {"not judged"}
    assert {row[6] for row in table_of(page)["rows"]} == {""}
    assert "became" not in text_of(page)
    assert all("Gold answer" not in one for one in unpacked(page))


def test_blind_pairs_stay_blind_when_they_are_opened(tmp_path):
    a, b = runs(tmp_path, write_cases(tmp_path / "cases.jsonl", many(6)))
    page = write_pair_page(a, b, tmp_path / "p.html", blind=True).read_text(encoding="utf-8")
    assert 'class="list blind"' in page
    for one in unpacked(page):
        assert re.search(r'<article class="journey( pair)? blind">', one)


def test_two_runs_give_the_same_bytes_again(tmp_path):
    a, b = runs(tmp_path)
    first, second = (write_pair_page(a, b, tmp_path / name) for name in ("1.html", "2.html"))
    assert first.read_bytes() == second.read_bytes()


def test_runs_without_a_case_in_common_are_shown_one_below_another(tmp_path):
    traces = many(4)
    a, b = (book(write_run(tmp_path / name, part)) for name, part in (("a", traces[:2]), ("b", traces[2:])))
    page = write_pair_page(a, b, tmp_path / "p.html").read_text(encoding="utf-8")
    assert [row[3] for row in table_of(page)["rows"]] == ["only in A"] * 2 + ["only in B"] * 2


def test_a_broken_journey_stands_beside_a_whole_one():
    broken = walked(STRAIGHT | {"reflect": "no json"}, CASE).trace
    assert "Reflection" in told(walked(STRAIGHT, CASE).trace, broken)
