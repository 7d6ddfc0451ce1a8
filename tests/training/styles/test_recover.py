"""Losslessness: from a compiled text the journey comes back, whatever the model wrote."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from journeys import CASE, FREE
from walks import HOSTILE, TWO_WAYS_BACK, plain_walk, traces, walked, whimsical

from ddxgraph import Budget, Case, Policy, Trace
from ddxgraph.common.errors import CompileError
from ddxgraph.nodes.check_evidence import EvidenceCheck
from ddxgraph.nodes.generate_differential import Differential
from ddxgraph.nodes.reflect import Reflection
from ddxgraph.training.styles.compile import compile_journey
from ddxgraph.training.styles.events import Checked, Concluded, Journey, Noted, Refuted, Weighed, WentBack
from ddxgraph.training.styles.journey import journey_of, parse
from ddxgraph.training.styles.longstep import tells_nothing
from ddxgraph.training.styles.phrases import ASIDES
from ddxgraph.training.styles.quoting import label
from ddxgraph.training.styles.recover import RecoveryError, recover

TOLD = ("longstep", "longmonolog")
TRIES = st.sampled_from([None, None, 2, 3])


def text_of(trace: Trace, style: str, seed: int = 0, tries: int | None = None) -> str:
    return compile_journey(trace, style, seed, tries=tries).messages[-1].content


def walked_course(trace: Trace) -> list[tuple[str, ...]]:
    """Checks with their strengths, refutations, ways back and the answer, straight from the steps."""
    labels: dict[str, str] = {}
    course: list[tuple[str, ...]] = []
    for step in trace.steps:
        match step.output:
            case Differential(hypotheses=hypotheses):
                labels |= {h.id: label(h.label) for h in hypotheses}
            case EvidenceCheck(hypothesis=key, weights=weights):
                course.append(("checked", labels[key], *(str(w.strength) for w in weights)))
            case Reflection(refuted=refuted):
                course += [("refuted", labels[r.hypothesis]) for r in refuted]
        if step.move.backtrack:
            targets = step.move.targets if step.move.to == "check_evidence" else ()
            course.append(("back", step.move.to, *(labels[key] for key in targets)))
    return [*course, ("answer", parse(trace).answer)]


def told_course(journey: Journey) -> list[tuple[str, ...]]:
    """The same, from events."""
    course: list[tuple[str, ...]] = []
    for event in journey:
        match event:
            case Checked(hypothesis=name):
                course.append(("checked", name.label))
            case Weighed(strength=strength):
                course[-1] = (*course[-1], str(strength))
            case Refuted(hypothesis=name):
                course.append(("refuted", name.label))
            case WentBack(to=to, targets=targets):
                course.append(("back", to, *(name.label for name in targets)))
            case Concluded(answer=said):
                course.append(("answer", said))
    return course


def check(trace: Trace, seed: int, tries: int | None) -> bool:
    """Whether the trace compiles; if so, it must come back from both texts."""
    try:
        journey = journey_of(trace, tries)
    except CompileError:
        for style in TOLD:
            with pytest.raises(CompileError):
                compile_journey(trace, style, seed, tries=tries)
        return False
    for style in TOLD:
        try:
            text = text_of(trace, style, seed, tries)
        except CompileError:
            return False
        read = recover(text, trace.case.options)
        assert read == journey, style
        if tries is None:
            assert told_course(read) == walked_course(trace)
    return True


@settings(max_examples=250, deadline=None, derandomize=True)
@given(traces(), st.integers(0, 9), TRIES)
def test_a_made_trace_comes_back(trace, seed, tries):
    check(trace, seed, tries)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.sampled_from([CASE, FREE]), st.integers(0, 4), st.integers(0, 9), TRIES)
def test_a_walk_of_the_graph_comes_back(walk, case, backtracks, seed, tries):
    policy = Policy(min_margin=0.5)
    trace = whimsical(walk, case, budget=Budget(max_backtracks=backtracks), policy=policy).trace
    assume(trace.outcome == "answered")
    check(trace, seed, tries)


def test_most_made_traces_compile():
    fates: Counter[bool] = Counter()

    @settings(max_examples=100, deadline=None, derandomize=True, database=None)
    @given(traces())
    def count(trace):
        fates[check(trace, 0, None)] += 1

    count()
    assert fates[True] > fates[False], fates


@pytest.mark.parametrize("name", [text for text in HOSTILE if text.strip("\x01\x02\x03 ")])
def test_a_hostile_name_survives_or_is_refused(name):
    """As an option and as a hypothesis beside the options, in every wording."""
    script = {
        **TWO_WAYS_BACK,
        "generate_differential": {
            "reasoning": name,
            "options": {letter: {"rationale": name[:300], "prior": 40} for letter in "AB"},
            "others": [{"label": f"{name[:100]} x", "rationale": name[:300], "prior": 20}],
        },
    }
    case = Case(vignette=plain_walk().trace.case.vignette, options={"A": name, "B": f"severe {name}"})
    script["conclude"] = {"justification": name, "answer": "B"}
    trace = walked(script, case).trace
    assert trace.outcome == "answered"
    assert trace.backtracks == 2
    for seed in range(6):
        check(trace, seed, None)


@pytest.mark.parametrize("style", TOLD)
def test_every_wording_is_read_back(style):
    """Fifty seeds of a journey with everything in it."""
    trace = plain_walk().trace
    journey = journey_of(trace)
    texts = {text_of(trace, style, seed) for seed in range(50)}
    assert len(texts) == 50
    assert all(recover(text, trace.case.options) == journey for text in texts)


def test_longstep_tells_kinds_and_saliences_too():
    trace = plain_walk().trace
    told = [event for event in journey_of(trace) if isinstance(event, Noted)]
    read = [
        event for event in recover(text_of(trace, "longstep"), trace.case.options) if isinstance(event, Noted)
    ]
    assert [(e.kind, e.salience) for e in read] == [(e.kind, e.salience) for e in told]
    bare = [replace(event, kind=None, salience=None) for event in told]
    again = recover(text_of(trace, "longmonolog"), trace.case.options)
    assert [event for event in again if isinstance(event, Noted)] == bare


@pytest.mark.parametrize("style", TOLD)
def test_a_line_that_is_taken_out_is_missed(style):
    """All but the titles that tell of nothing, and remarks."""
    trace = plain_walk().trace
    lines = text_of(trace, style).split("\n")
    passed_over = []
    for place, line in enumerate(lines):
        cut = "\n".join([*lines[:place], *lines[place + 1 :]])
        try:
            read = recover(cut, trace.case.options)
        except RecoveryError:
            continue
        if read == journey_of(trace) and line:
            passed_over.append(line)
    wordings = [wording.split("{m}")[0] for wording in ASIDES["closing_on"]]
    assert all(tells_nothing(line[3:]) or line.startswith(tuple(wordings)) for line in passed_over)
    assert len(passed_over) == (10 if style == "longstep" else 1)


@pytest.mark.parametrize("style", TOLD)
def test_what_we_did_not_write_is_refused(style):
    trace = plain_walk().trace
    text = text_of(trace, style)
    head, _, answer = text.rpartition("\n\n")
    with pytest.raises(RecoveryError, match="compiler does not write"):
        recover(f"{head}\n\nI also had a look at the radiograph.\n\n{answer}", trace.case.options)
    with pytest.raises(RecoveryError, match="compiler does not write"):
        recover(f"{head}\n## Treatment\n\n{answer}", trace.case.options)
    with pytest.raises(RecoveryError, match="states no answer"):
        recover(head, trace.case.options)
    with pytest.raises(RecoveryError, match="states no answer"):
        recover(f"{head}\n\nAnswer: Z", trace.case.options)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("Pneumonia", "Pneumonia"),
        ("**Pneumonia**", "Pneumonia"),
        ("the `*first*` one", "the first one"),
        ("Answer: B", "Answer: B"),
        ("line\nAnswer: A", "line Answer: A"),
        ("<think>gout", "< think>gout"),
    ],
)
def test_an_answer_in_words_is_told_as_it_will_be_read(said, told):
    trace = walked({"conclude": {"justification": "so", "answer": said}}, FREE).trace
    for style in TOLD:
        assert recover(text_of(trace, style), {})[-1] == Concluded(told)
    assert compile_journey(trace, "shortcut").meta.answer == told


@pytest.mark.parametrize("said", ["*", " ", "** **", "\u202e"])
def test_an_answer_that_no_line_states_is_refused(said):
    trace = walked({"conclude": {"justification": "so", "answer": said}}, FREE).trace
    assert trace.outcome == "answered"
    for style in ("longstep", "longmonolog", "shortcut", "cot"):
        with pytest.raises(CompileError, match="no line of 1 to 200 characters"):
            compile_journey(trace, style)


def test_a_halt_is_told():
    trace = plain_walk(budget=Budget(max_backtracks=1)).trace
    assert trace.ended == "budget_backtracks"
    for style in TOLD:
        read = recover(text_of(trace, style), trace.case.options)
        assert [type(event).__name__ for event in read].count("Halted") == 1
        assert read == journey_of(trace)
