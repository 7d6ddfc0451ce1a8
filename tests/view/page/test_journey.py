"""A journey's page: whatever stands in a trace is shown as text, gold is where it was judged, size is kept."""

import html
import json
import re
from collections import Counter
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest
from journeys import AT_ONCE, CASE, FREE, STRAIGHT
from langchain_core.exceptions import ModelConnectionError
from viewed import back_and_forth, of_many_options
from walks import walked, whimsical

from ddxgraph import Budget, Trace
from ddxgraph.common.words import NOTICE
from ddxgraph.graph.conversation import Compaction
from ddxgraph.graph.generation import GenerationStrategy
from ddxgraph.nodes.call.consultation import Attempt
from ddxgraph.nodes.failure import Failure, FailureKind
from ddxgraph.testing import ScriptedChatModel
from ddxgraph.view.data.evidence import evidence_of
from ddxgraph.view.data.row import Judged
from ddxgraph.view.page.journey import (
    clipped,
    considered,
    journey_fragment,
    journey_page,
    matrix,
    notebook_html,
)
from ddxgraph.view.page.pair import pair_page

HOSTILE = (
    """ "'><img src=x onerror=alert(1)></script></title></q></mark><script>alert(1)</script><!--{{7*7}}&lt;"""
)
HARMLESS = " " + "a" * (len(HOSTILE) - 1)
FIXED = frozenset(
    [
        *("kind", "node", "to", "trigger", "limit", "outcome", "ended", "distribution_from"),
        *("polarity", "salience", "asks", "verdict", "boundary"),
    ]
)
"""Fields whose values are named in the code, so that nobody can write into them."""


class Elements(HTMLParser):
    """Every element of a page with the names of its attributes; and what it shows."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: Counter[tuple[str, tuple[str, ...]]] = Counter()
        self.links: set[str] = set()
        self.shown = ""
        self.comments = 0
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.found[tag, tuple(sorted(name for name, _ in attrs))] += 1
        self.links |= {value or "" for name, value in attrs if name in {"href", "src", "xlink:href"}}

    def handle_data(self, data):
        self.shown += data

    def handle_comment(self, data):
        self.comments += 1


def full() -> Trace:
    """A trace in which every part that a page can show is there."""
    trace = back_and_forth()
    gone = Failure(boundary="engine", kind=FailureKind.OTHER, node="reflect", message="broke")
    odd = Attempt(text="no json", error="cannot be read")
    steps = list(trace.steps)
    steps[1] = steps[1].model_copy(update={"attempts": (odd,), "failure": gone})
    turned = steps[15].move.model_copy(update={"trigger": "budget", "reason": "spent"})
    steps[15] = steps[15].model_copy(update={"move": turned})
    made = trace.provenance.model_copy(
        update={"adapter": "lora", "adapter_sha256": "ab", "engine": "vllm", "sampling": {"top": "p"}}
    )
    return trace.model_copy(
        update={
            "steps": tuple(steps),
            "failure": gone,
            "outcome": "unparsed",
            "ended": "budget_calls",
            "provenance": made,
            "case": trace.case.model_copy(update={"source": "medqa", "split": "dev"}),
            "compactions": (Compaction(before=3, text="in short", estimated_tokens=9),),
        }
    )


def laced(trace: Trace, payload: str) -> Trace:
    """The trace with a text added to whatever anybody could have written into it."""

    def lace(value: Any, name: str) -> Any:
        if isinstance(value, dict):
            more = payload if name in {"credence", "distribution", "sampling"} else ""
            return {key + more: lace(one, key) for key, one in value.items()}
        if isinstance(value, list):
            return [lace(one, name) for one in value]
        return value + payload if isinstance(value, str) and name not in FIXED else value

    record = lace(json.loads(trace.to_json()), "")
    record["steps"][0]["output"]["findings"][0]["quote"] = payload  # so that it is marked in the case
    return Trace.model_validate(record)


def pages_of(trace: Trace) -> dict[str, str]:
    judged = Judged("C" + trace.case.id[3:], "correct")
    return {
        "journey": journey_page(trace),
        "judged": journey_page(trace, judged),
        "blind": journey_page(trace, judged, blind=True),
        "pair": pair_page(trace, trace, (judged, None)),
    }


@pytest.mark.parametrize("kind", ["journey", "judged", "blind", "pair"])
def test_what_stands_in_a_trace_becomes_no_element_and_no_attribute(kind):
    trace = laced(full(), HOSTILE)
    assert HOSTILE in trace.steps[3].branch, "the texts are laced, ids included"
    assert HOSTILE in next(iter(trace.distribution))
    page, plain = pages_of(trace)[kind], pages_of(laced(full(), HARMLESS))[kind]
    ours, theirs = Elements(page), Elements(plain)
    assert ours.found == theirs.found
    assert ours.comments == theirs.comments == 0
    assert not any(name.startswith("on") for _, names in ours.found for name in names)
    assert all(link.startswith("#") or link == "data:," for link in ours.links)
    assert sum(count for (tag, _), count in ours.found.items() if tag == "script") == 1
    assert "alert(1)" in ours.shown
    assert "<img" not in page
    assert "{{7*7}}" in ours.shown, "nor is it taken for a template's"


def test_a_hostile_text_is_shown_as_it_was_written():
    read = Elements(journey_page(laced(full(), HOSTILE)))
    assert HOSTILE.strip() in read.shown
    assert any(tag == "mark" for tag, _ in read.found), "and marked where a finding quotes it"


def test_a_hostile_model_writes_nothing_but_text():
    script = dict.fromkeys(
        ("review_history", "generate_differential", "check_evidence", "reflect", "conclude"), HOSTILE * 3
    )
    trace = walked(script, CASE).trace
    read = Elements(journey_page(trace))
    assert not any(name.startswith("on") for _, names in read.found for name in names)
    assert "img" not in {tag for tag, _ in read.found}
    assert HOSTILE.strip() in read.shown


@pytest.mark.parametrize("seed", range(6))
def test_a_walk_at_random_has_a_page_with_a_section_a_step(seed):
    trace = whimsical(seed, [CASE, FREE][seed % 2]).trace
    page = journey_page(trace)
    assert re.findall(r'<section class="step[^"]*" id="step-(\d+)"', page) == [
        str(step.index) for step in trace.steps
    ]
    assert len(page.encode()) < 1_000_000


def test_the_same_trace_gives_the_same_bytes():
    trace = full()
    again = Trace.model_validate_json(trace.to_json())
    for kind, page in pages_of(trace).items():
        assert pages_of(again)[kind] == page
    assert notebook_html(again) == notebook_html(trace)


def broken() -> Trace:
    return walked(STRAIGHT | {"reflect": ModelConnectionError("refused")}, CASE).trace


@pytest.mark.parametrize(
    "made",
    [
        full,
        broken,
        lambda: back_and_forth().model_copy(update={"steps": (), "answer": None}),
        lambda: walked(STRAIGHT, CASE, budget=Budget(max_calls=4)).trace,
        lambda: whimsical(3, FREE).trace,
    ],
    ids=["full", "broken", "empty", "budget", "free"],
)
def test_every_page_says_what_the_software_is_not(made: Callable[[], Trace]):
    trace = made()
    assert html.unescape(journey_page(trace)).count(NOTICE) == 1
    assert html.unescape(journey_page(trace, Judged("A", "incorrect"), blind=True)).count(NOTICE) == 1
    assert html.unescape(pair_page(trace, trace, (None, None))).count(NOTICE) == 1
    assert NOTICE in html.unescape(html.unescape(notebook_html(trace)))


async def test_a_single_generation_has_a_page_without_path_to_speak_of_and_without_credence():
    trace = await GenerationStrategy(style="cot", patience=AT_ONCE)(CASE, ScriptedChatModel())
    page = journey_page(trace)
    assert 'id="credence"' not in page
    assert 'id="evidence"' not in page
    assert 'id="step-0"' in page
    assert "A. Influenza" in page


def test_a_journey_without_a_step_has_a_page():
    page = journey_page(back_and_forth().model_copy(update={"steps": ()}))
    assert "No step was taken." in page
    assert 'id="path"' not in page


GOLD = "Sphingolipidosis of the gold kind"


@pytest.mark.parametrize("verdict", ["correct", "incorrect", "unparsed", "abstained", "error"])
def test_the_gold_answer_is_where_it_was_judged_and_nowhere_else(verdict):
    trace = whimsical(3, FREE).trace
    page = journey_page(trace, Judged(GOLD, verdict))
    assert GOLD in page
    assert f"verdict {verdict}" in page
    bare = journey_page(trace)
    assert GOLD not in bare
    assert "goldline" not in _body(bare)
    assert "gold" not in {word for one in re.findall(r'class="([^"]*)"', _body(bare)) for word in one.split()}
    both = pair_page(trace, trace, (None, None))
    assert GOLD not in both
    assert "Gold answer" not in _body(both)


def _body(page: str) -> str:
    """The page without its style and script."""
    return page[page.index("<main>") : page.index("</main>")]


def test_the_gold_option_is_marked_among_the_options():
    page = _body(journey_page(back_and_forth(), Judged("C", "correct")))
    (line,) = re.findall(r"<li dir=\"auto\">(?:(?!</li>).)*tag gold(?:(?!</li>).)*</li>", page)
    assert "Pulmonary embolism" in line
    assert "tag gold" not in _body(journey_page(back_and_forth()))


def test_all_that_tells_of_gold_is_hidden_in_a_blind_page():
    trace, judged = back_and_forth(), Judged("C", "correct")
    assert '<article class="journey blind">' in journey_page(trace, judged, blind=True)
    assert '<article class="journey">' in journey_page(trace, judged)
    assert '<article class="journey">' in journey_page(trace, blind=True), "there is nothing to hide"
    for page in (
        journey_page(trace, judged, blind=True),
        pair_page(trace, trace, (judged, judged), blind=True),
    ):
        read = _Hidden(_body(page))
        assert "correct" not in read.seen
        assert "Gold answer" not in read.seen
        assert "gold" not in read.seen.replace("Show the gold answer", "")
        assert "Gold answer" in read.hidden
    assert ".blind .gold { display: none; }" in journey_page(trace)


class _Hidden(HTMLParser):
    """What is inside an element of class `gold`, and what is not."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.seen = self.hidden = ""
        self._open: list[bool] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        if tag not in {"br", "path", "rect", "polyline", "circle"}:
            self._open.append("gold" in (dict(attrs).get("class") or "").split())

    def handle_endtag(self, tag):
        if tag not in {"br", "path", "rect", "polyline", "circle"}:
            self._open.pop()

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_data(self, data):
        if any(self._open):
            self.hidden += data
        else:
            self.seen += data


def test_a_notebook_gets_the_page_in_a_frame_that_can_run_its_own_script_alone():
    trace = full()
    shown = notebook_html(trace)
    (attrs,) = [dict(found) for found in _Frames(shown).found]
    assert attrs["sandbox"] == "allow-scripts"
    assert attrs["srcdoc"] == journey_page(trace)
    assert trace._repr_html_() == shown
    hostile = _Frames(notebook_html(laced(trace, HOSTILE)))
    assert [tag for tag, _ in hostile.every] == ["iframe"]


class _Frames(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.every: list[tuple[str, Any]] = []
        self.feed(text)
        self.close()

    @property
    def found(self) -> list[Any]:
        return [attrs for tag, attrs in self.every if tag == "iframe"]

    def handle_starttag(self, tag, attrs):
        self.every.append((tag, attrs))


def swollen(chars: int, letter: str = "x") -> Trace:
    """A trace whose replies are so long."""
    trace = back_and_forth()
    steps = tuple(step.model_copy(update={"text": letter * chars}) for step in trace.steps)
    return trace.model_copy(update={"steps": steps})


@pytest.mark.parametrize("letter", ["x", '"', "病", "\U0001f9e0", "<"])
def test_a_long_journey_is_cut_to_less_than_a_megabyte_and_says_how_much_is_left_out(letter):
    page = journey_page(swollen(100_000, letter))
    assert len(page.encode()) < 1_000_000
    told = [int(one.replace(",", "")) for one in re.findall(r"([\d,]+) more characters in the trace", page)]
    shown = [len(html.unescape(one)) for one in re.findall(r"<h4>Reply</h4><pre dir=\"auto\">([^<]*)", page)]
    assert len(shown) == 17
    assert all(kept >= 100 for kept in shown)
    assert set(told) >= {100_000 - kept for kept in shown}


def test_a_journey_of_usual_length_is_shown_whole():
    page = journey_page(back_and_forth())
    assert "more characters in the trace" not in page
    for step in back_and_forth().steps:
        assert step.text in html.unescape(page)
        assert step.prompt in html.unescape(page)


def test_a_wide_journey_fits_a_page():
    assert len(journey_page(of_many_options()).encode()) < 1_000_000


def test_a_text_is_clipped_to_the_letter():
    assert clipped("<bcdef", 6) == "&lt;bcdef"
    assert clipped("a<cdef", 2) == 'a&lt;<span class="more"> … 4 more characters in the trace</span>'


def test_half_a_surrogate_pair_costs_no_page():
    trace = back_and_forth()
    torn = trace.steps[0].model_copy(
        update={
            "text": "torn \ud83d",
            "output": trace.steps[0].output.model_copy(update={"reasoning": "torn \ud83d"}),
        }
    )
    page = journey_page(trace.model_copy(update={"steps": (torn, *trace.steps[1:])}))
    page.encode()
    assert "torn ?" in page


def test_hypotheses_stand_by_what_was_thought_of_them_at_the_end():
    trace = back_and_forth()
    told = considered(trace.trajectory(), evidence_of(trace))
    assert [one.id for one in told].index("C") == 0
    assert [one.last for one in told] == sorted((one.last for one in told), reverse=True)
    by_id = {one.id: one for one in told}
    assert by_id["A"].first == trace.trajectory()[1]["A"]
    assert (by_id["B"].refuted_at, by_id["B"].because) == (6, "No fever, no cough, clear lungs.")
    assert by_id["C"].refuted_at is None
    assert by_id["C"].total == 7
    assert considered([{}], evidence_of(trace)) == []


def test_a_cell_gives_the_weight_that_counts_and_what_was_said_before():
    rows = {row.finding: row for row in matrix(evidence_of(back_and_forth()))}
    assert list(rows) == ["F1", "F2", "F3", "F4", "F5", "F6", "F7"]
    assert rows["F3"].absent
    assert not rows["F1"].absent
    cells = {cell.hypothesis: cell for cell in rows["F1"].cells}
    assert (cells["A"].strength, cells["B"].strength) == (0, None)
    head, *said = cells["A"].tip.split("\n")
    assert head == "F1 on A Acute pericarditis: neutral."
    assert said[-1] == "Step 3, +1: Sharp pain is typical."
    assert said[0].startswith("Step 15, 0: ")
    assert cells["B"].tip == ""


def test_a_fragment_is_what_the_page_holds():
    trace = full()
    assert str(journey_fragment(trace, Judged("C", "correct"))) in journey_page(trace, Judged("C", "correct"))
