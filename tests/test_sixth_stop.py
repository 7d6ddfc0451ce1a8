"""A sixth stop, `order_tests` between the evidence and the reflection, through everything that deals with stops.

Its node, its prompt and its record stand in this file; one call registers it.
"""

import asyncio
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from random import Random
from typing import Any

import jsonschema
import pytest
from gated import LETTERS, PLAIN, SOUND, case, entries, held_out, model_walking, prose
from journeys import AT_ONCE, CASE, STRAIGHT, course, reflection
from pydantic import BaseModel, ConfigDict, ValidationError
from rich.console import Console

from ddxgraph import Budget, Case, GraphStrategy, RunSource, Sampling, Trace, build_graph, gate, run, solve
from ddxgraph.batch.folder import TRACES
from ddxgraph.batch.tracefile import read_traces
from ddxgraph.cli.review.screen import TraversalScreen
from ddxgraph.common.errors import BadInput, PromptError
from ddxgraph.eval.report.evaluation import evaluate
from ddxgraph.eval.report.write import write_report
from ddxgraph.eval.scoring.run import score_run
from ddxgraph.graph.replay import replay
from ddxgraph.nodes.call.consultation import Consultation, Turn
from ddxgraph.nodes.call.reply import form, list_of, text
from ddxgraph.nodes.check_evidence import CHECK_EVIDENCE
from ddxgraph.nodes.conclude import CONCLUDE
from ddxgraph.nodes.reflect import REFLECT
from ddxgraph.nodes.registry import STOPS, UnknownNode, node
from ddxgraph.nodes.stop import Briefing, TrunkStop
from ddxgraph.prompts.library import PromptSet, shipped_prompts
from ddxgraph.testing import ScriptedChatModel
from ddxgraph.training.gate.config import Decontamination
from ddxgraph.training.gate.reasons import Reason
from ddxgraph.training.styles.compile import compile_samples
from ddxgraph.training.styles.events import Thought
from ddxgraph.training.styles.journey import journey_of
from ddxgraph.training.styles.recover import recover
from ddxgraph.training.styles.registry import style_names
from ddxgraph.view.charts.networkx import journey_graph
from ddxgraph.view.charts.topology import draw_topology
from ddxgraph.view.data.path import path_of
from ddxgraph.view.data.topology import Lead, in_lines
from ddxgraph.view.page.journey import journey_page
from ddxgraph.view.page.pair import pair_page
from ddxgraph.view.terminal.journey import JourneyPrinter
from ddxgraph.view.terminal.pathline import path_line
from ddxgraph.view.terminal.screen import ASCII

SHIPPED = STOPS.names


# --- nodes/order_tests.py, as it would be


class OrderedTests(BaseModel):
    """Tests that would tell the hypotheses apart."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reasoning: str = ""
    tests: tuple[str, ...] = ()


async def order_tests(told: Briefing, line: Consultation) -> OrderedTests:
    asking = line.prompts.render("order_tests", standing=told.standing)
    wanted = form("OrderTests", reasoning=text(2_000), tests=list_of(text(200), most=3))
    output: Any = await line.ask(Turn("order_tests", asking, wanted, told.limits.completion_tokens(3, 200)))
    return OrderedTests(reasoning=output.reasoning, tests=tuple(output.tests)) if output else OrderedTests()


ORDER_TESTS = TrunkStop(
    name="order_tests",
    title="Tests",
    letter="T",
    colour="#7a5c00",
    output=OrderedTests,
    words=lambda ordered: [ordered.reasoning, *ordered.tests],
    room=lambda told: told.limits.completion_tokens(3, 200),
    think=order_tests,
)

# --- prompts/order_tests.jinja, as it would be

PROMPT = "Stop: tests.{% for line in standing %} {{ line }}.{% endfor %} Which tests would tell these apart?"

THOUGHT, TEST = "Imaging separates the lung from the heart.", "a chest radiograph in two planes"
SCRIPT = STRAIGHT | {
    "order_tests": {"reasoning": THOUGHT, "tests": [TEST, "troponin"]},
    "reflect": [reflection("recheck_evidence", targets="A"), reflection(refuted="C")],
}


@contextmanager
def registered(folder: Path) -> Iterator[PromptSet]:
    """The stop is registered; the prompts that a graph with it takes."""
    shutil.copytree(shipped_prompts().folder, folder, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    (folder / "order_tests.jinja").write_text(PROMPT, encoding="utf-8")
    with STOPS.extended(ORDER_TESTS, after=CHECK_EVIDENCE):
        yield PromptSet(folder)
    assert STOPS.names == SHIPPED


@pytest.fixture
def prompts(tmp_path) -> Iterator[PromptSet]:
    with registered(tmp_path / "prompts") as made:
        yield made


def walk(prompts: PromptSet, known: Case = CASE, budget: Budget | None = None) -> Trace:
    model = ScriptedChatModel(script=SCRIPT)
    return solve(build_graph(model, prompts=prompts, patience=AT_ONCE, budget=budget), known)


@pytest.fixture
def trace(prompts) -> Trace:
    """Orders tests twice, since the evidence is rechecked once."""
    return walk(prompts)


# --- the graph and its trace


def test_it_has_its_place_between_the_evidence_and_the_reflection(prompts, tmp_path):
    graph = build_graph(ScriptedChatModel(), prompts=prompts).get_graph()
    drawn = graph.draw_mermaid()
    ways = {line.strip() for line in drawn.splitlines() if "->" in line or "-.->" in line}
    assert {way for way in ways if "order_tests" in way} == {
        "check_evidence --> order_tests;",
        "order_tests -.-> reflect;",
        "order_tests -.-> conclude;",
        "order_tests -.-> __end__;",
    }
    assert "check_evidence --> reflect;" not in ways
    leads = [Lead(edge.source, edge.target.strip("_")) for edge in graph.edges if edge.source[0] != "_"]
    assert "order_tests -> reflect, conclude, end" in list(in_lines(leads))
    picture = draw_topology(leads, tmp_path / "graph.svg").read_text(encoding="utf-8")
    assert "Tests" in picture


def test_a_journey_makes_it_and_its_trace_goes_through_json_unchanged(trace):
    assert [line for line in course(trace) if "order_tests" in line] == [
        "check_evidence:B -> order_tests [self]",
        "check_evidence:A -> order_tests [self]",
        "check_evidence:C -> order_tests [self]",
        "check_evidence:D -> order_tests [self]",
        "order_tests -> reflect [self]",
        "check_evidence:A -> order_tests [self]",
        "order_tests -> reflect [self]",
    ]
    first = next(step for step in trace.steps if step.node == "order_tests")
    assert first.output == OrderedTests(reasoning=THOUGHT, tests=(TEST, "troponin"))
    assert first.prompt.startswith("Stop: tests. B Pneumonia: ")
    again = Trace.model_validate_json(trace.to_json())
    assert again == trace
    assert type(again.steps[first.index].output) is OrderedTests
    jsonschema.validate(json.loads(trace.to_json()), Trace.model_json_schema(mode="serialization"))
    assert [*replay(trace.steps)][first.index].credence == first.credence


def test_more_backtracks_than_shipped_stops_would_allow_are_no_recursion(prompts):
    script = SCRIPT | {"reflect": reflection("reread_history")}
    graph = build_graph(ScriptedChatModel(script=script), prompts=prompts, budget=Budget(max_backtracks=6))
    trace = solve(graph, CASE)
    assert (trace.outcome, trace.ended, trace.backtracks) == ("answered", "budget_backtracks", 6)


def test_where_the_budget_has_no_room_for_it_the_journey_concludes(prompts):
    trace = walk(prompts, budget=Budget(max_calls=7))
    assert "order_tests -> conclude [budget]" in course(trace)
    assert (trace.outcome, trace.ended) == ("answered", "budget_calls")


def test_unless_it_is_registered_no_trace_may_hold_it(tmp_path):
    with registered(tmp_path / "prompts") as prompts:
        line = walk(prompts).to_json()
    with pytest.raises(ValidationError, match=r"no node 'order_tests': the known ones are review_history, "):
        Trace.model_validate_json(line)
    with pytest.raises(UnknownNode, match="order_tests"):
        node("order_tests")


def test_a_set_without_its_prompt_is_refused_before_any_case_is_taken():
    shipped = shipped_prompts()
    with STOPS.extended(ORDER_TESTS, after=CHECK_EVIDENCE):
        with pytest.raises(PromptError, match=r"no order_tests\.jinja"):
            shipped_prompts()
        with pytest.raises(PromptError, match="lacks order_tests"):
            build_graph(ScriptedChatModel(), prompts=shipped)
    assert shipped_prompts().hash == shipped.hash


@pytest.mark.parametrize(
    ("change", "after", "fault"),
    [
        ({"name": "reflect"}, CHECK_EVIDENCE, "two nodes have the name 'reflect'"),
        ({"title": "Evidence"}, CHECK_EVIDENCE, "two nodes have the title 'Evidence'"),
        ({"letter": "G"}, CHECK_EVIDENCE, "two nodes have the letter 'G'"),
        ({}, CONCLUDE, "nothing can follow conclude, the last stop"),
        ({}, ORDER_TESTS, "the graph has no stop 'order_tests'; it has review_history, "),
    ],
)
def test_a_stop_that_does_not_fit_is_refused_where_it_is_registered(change, after, fault):
    fields = {name: getattr(ORDER_TESTS, name) for name in ORDER_TESTS.__dataclass_fields__}
    with pytest.raises(BadInput, match=fault):
        STOPS.register(TrunkStop(**{**fields, **change}), after=after)
    assert STOPS.names == SHIPPED


def test_a_record_that_lacks_something_is_an_error_where_it_is_made():
    with pytest.raises(TypeError, match="think"):
        TrunkStop(**{name: getattr(REFLECT, name) for name in ("name", "title", "letter", "colour", "words")})


# --- how it is shown


def test_pages_pictures_and_the_terminal_show_it(trace, tmp_path):
    page = journey_page(trace)
    assert page.count(THOUGHT) >= 2
    assert page.count(">Tests<") >= 1
    assert THOUGHT in pair_page(trace, trace, (None, None))
    assert "Tests" in trace.draw(tmp_path / "journey.svg").read_text(encoding="utf-8")
    assert "Tests<br/>Imaging separates" in trace.to_mermaid()
    console = Console(file=StringIO(), width=100)
    printer = JourneyPrinter(console, trace.case)
    for step in trace.steps:
        printer.step(step)
    assert console.file.getvalue().count(THOUGHT) == 2
    assert "D > E:B E:A E:C E:D > T > R <- E:A > T > R > C" in path_line(trace.steps, (), ASCII)
    assert any(data.get("title") == "Tests" for _, data in journey_graph(trace).nodes(data=True))
    screen = "\n".join(TraversalScreen(trace, 100).lines())
    assert "TESTS\n    Imaging separates" in screen
    columns = {place.step.node: place.column for place in path_of(trace).places}
    assert [columns[name] for name in STOPS.names] == [0, 1, 2, 3, 4, 5]


# --- what is trained on it


@pytest.mark.parametrize("style", style_names())
def test_every_style_tells_it(trace, style):
    (sample,) = compile_samples(trace, style)
    told = "\n".join(message.content for message in sample.messages)
    assert THOUGHT in told
    assert TEST in told


@pytest.mark.parametrize("style", style_names("journey"))
def test_what_a_style_tells_of_it_is_read_back(trace, style):
    (sample,) = compile_samples(trace, style)
    journey = journey_of(trace)
    assert Thought("order_tests", TEST) in journey
    assert recover(sample.messages[-1].content, trace.case.options) == journey


# --- from a run to a report


def make_run(folder: Path, prompts: PromptSet, quoting: str = "") -> Path:
    """Eight cases; the tests of the first quote something."""

    def ordering(request) -> dict[str, Any]:
        asked = str(request.messages[1].content)
        words = quoting if "Patient 0." in asked else prose(Random(asked), 12)
        return {"reasoning": words, "tests": [prose(Random(asked), 4)]}

    model = model_walking(SOUND)
    model = ScriptedChatModel(script={**model.script, "order_tests": ordering}, record=False)
    strategy = GraphStrategy(patience=AT_ONCE, prompts=prompts, sampling=Sampling(seed=100))

    async def work() -> None:
        cases = [known.case for known in entries(8)]
        async for _ in run(cases, model, strategy=strategy, out=folder):
            pass

    asyncio.run(work())
    return folder


def test_the_gate_reads_its_words(prompts, tmp_path):
    question = case(99, id="test-3")
    quoted = " ".join(question.vignette.split()[10:50])
    folder = make_run(tmp_path / "run", prompts, quoting=quoted)
    assert all("order_tests" in [step.node for step in trace.steps] for trace in read_traces(folder / TRACES))
    config = PLAIN.model_copy(update={"decontamination": Decontamination()})
    kept = gate([RunSource(folder, entries(8))], config, held_out=held_out(question))
    assert kept.report.rejected == {Reason.TEST_QUESTION_IN_REASONING: 1}
    assert "case-0" not in {each.trace.case.id for each in kept}


def test_a_run_of_it_is_scored_and_reported(prompts, tmp_path):
    folder = make_run(tmp_path / "run", prompts)
    rows = entries(8, golds=LETTERS)
    scored = score_run(folder, rows)
    assert (scored.pairs, scored.accuracy) == (8, 1.0)
    report = write_report(evaluate([scored]), tmp_path / "report")
    assert "100.0%" in report.read_text(encoding="utf-8")
