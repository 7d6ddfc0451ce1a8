"""Every view shows what an expert changed."""

from io import StringIO

import pytest
from edited import STOPS, edited
from rich.console import Console
from viewed import book, write_cases, write_run

from ddxgraph.cli.review.screen import TraversalScreen
from ddxgraph.graph.replay import standpoint
from ddxgraph.view.charts.mermaid import journey_mermaid
from ddxgraph.view.charts.networkx import journey_graph
from ddxgraph.view.charts.path import path_chart
from ddxgraph.view.charts.picture import draw_journey
from ddxgraph.view.data.evidence import evidence_of
from ddxgraph.view.data.path import path_of
from ddxgraph.view.data.transitions import flow_of
from ddxgraph.view.page.journey import journey_page
from ddxgraph.view.page.pair import pair_page
from ddxgraph.view.page.run import write_run_page
from ddxgraph.view.terminal.journey import JourneyPrinter, print_result

CHANGED = {
    "review_history": "new finding F1",
    "generate_differential": "asks for: treatment",
    "check_evidence": "critique: think of the heart",
    "reflect": "F1 weighs -2 on B",
    "conclude": "B is ruled out: the radiograph is clear",
}


@pytest.fixture(params=STOPS)
def stop(request):
    return request.param


def printed(trace):
    console = Console(width=120, file=StringIO())
    printer = JourneyPrinter(console, trace.case)
    for step in trace.steps:
        printer.step(step)
    print_result(console, trace)
    return console.file.getvalue()


def test_in_words(stop):
    trace, changed = edited(stop), CHANGED[stop]
    assert changed in journey_page(trace)
    assert changed in pair_page(trace, edited("conclude"), (None, None))
    assert changed in printed(trace)
    assert any(changed in line for line in TraversalScreen(trace, 120).lines())


def test_in_pictures(stop, tmp_path):
    trace = edited(stop)
    path = path_of(trace)
    chart = path_chart(trace, path, evidence_of(trace))
    assert [head.name for head in chart.heads] == [
        "History",
        "Differential",
        "Evidence",
        "Reflection",
        "Conclusion",
    ]
    spots = [(place.column, place.row) for place in path.places]
    assert len(set(spots)) == len(spots), "no box lies on another"
    assert "Expert" in draw_journey(trace, tmp_path / "one.svg").read_text(encoding="utf-8")
    assert "Expert" in journey_mermaid(trace)
    assert "expert_edit" in {data.get("node") for _, data in journey_graph(trace).nodes(data=True)}


def test_what_counts_is_what_stands_in_the_end(stop):
    trace = edited(stop)
    evidence, now = evidence_of(trace), standpoint(trace.steps)
    assert evidence.refuted.keys() == now.refuted.keys()
    for key in now.hypotheses:
        assert evidence.total(key) == sum(weight.strength for weight in now.evidence.get(key, {}).values())


def test_among_others(tmp_path):
    traces = [
        edited(stop).model_copy(update={"case": edited(stop).case.model_copy(update={"id": stop})})
        for stop in STOPS
    ]
    made = book(write_run(tmp_path / "run", traces), write_cases(tmp_path / "cases.jsonl", traces, "B"))
    page = write_run_page(made, tmp_path / "page.html").read_text(encoding="utf-8")
    assert "Expert" in page
    flow = flow_of(traces)
    assert sum(ways.triggers["expert"] for ways in flow.ways.values()) >= len(STOPS)
