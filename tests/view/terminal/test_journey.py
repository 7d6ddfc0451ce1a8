"""What a reader of the terminal sees."""

import io
import re

from langchain_core.messages import AIMessage
from rich.console import Console

from ddxgraph import Budget, Case, Traversal, build_graph
from ddxgraph.graph.generation import GenerationStrategy
from ddxgraph.nodes.settings import Limits
from ddxgraph.testing import ScriptedChatModel
from ddxgraph.view.terminal.journey import JourneyPrinter, excerpt, print_result

CASE = Case(
    vignette="A man has [bold]fever[/bold] and no cough.",
    options={"A": "Influenza [/red]", "B": "Pneumonia"},
)
HISTORY = {
    "reasoning": "",
    "asks": "next_step",
    "findings": [
        {"quote": "[bold]fever[/bold]", "kind": "symptom", "polarity": "present", "salience": 3},
        {"quote": "no cough", "kind": "pertinent_negative", "polarity": "absent", "salience": 1},
        {"quote": "a rash", "kind": "sign", "polarity": "present", "salience": 1},
    ],
}
REFUTE_A = {
    "critique": "A does not fit [x].",
    "refuted": [{"hypothesis": "A", "because": "no cough"}],
    "verdict": "widen_differential",
    "targets": [],
}


def shown(model: ScriptedChatModel, budget: Budget | None = None, width: int = 100, case: Case = CASE) -> str:
    """The whole output of a traversal, as a file would get it."""
    console = Console(file=io.StringIO(), width=width, highlight=False)
    walk = Traversal(build_graph(model, budget=budget), case)
    printer = JourneyPrinter(console, case)
    for step in walk:
        printer.step(step)
    print_result(console, walk.trace())
    return console.file.getvalue()


def weighs(strength: int) -> dict[str, object]:
    weight = {"finding": "F1", "reason": "as expected", "strength": strength}
    return {"reasoning": "", "weights": [weight], "missing": ""}


def test_findings_evidence_refutation_backtrack_and_answer_are_all_there():
    text = shown(
        ScriptedChatModel(
            script={
                "review_history": HISTORY,
                "check_evidence:A": weighs(-2),
                "check_evidence:B": weighs(1),
                "reflect": [REFUTE_A, {**REFUTE_A, "refuted": [], "verdict": "conclude"}],
                "conclude": {"justification": "B fits.", "answer": "B"},
            }
        )
    )
    assert "asks for: next step" in text
    assert 'F1    "[bold]fever[/bold]" symptom, ***' in text
    assert 'F2 no "no cough" pertinent negative, *' in text
    assert "1 dropped: not quoted from the case" in text
    assert "-- refutes" in text
    assert "+ supports" in text
    assert "x A refuted: no cough" in text
    assert "<- back to differential (self: widen differential)" in text
    assert "Answer: B. Pneumonia" in text
    assert "concluded" in text
    assert "not a medical device" in text


def test_text_of_the_case_cannot_style_or_break_the_output():
    text = shown(ScriptedChatModel())
    assert "Influenza [/red]" in text
    assert "\x1b" not in text


def test_a_spent_budget_is_said():
    text = shown(ScriptedChatModel(script={"reflect": REFUTE_A}), Budget(max_backtracks=0))
    assert "-> conclude (budget: no backtrack left to widen differential)" in text
    assert "budget: backtracks" in text


def test_a_repair_and_a_failure_are_said():
    repaired = shown(ScriptedChatModel(script={"reflect": ["{", {**REFUTE_A, "verdict": "conclude"}]}))
    assert "was repaired" in repaired
    broken = shown(ScriptedChatModel(script={"conclude": "{"}))
    assert "No answer (unparsed)" in broken
    assert "! conclude: 2 replies did not fit the schema" in broken


async def shown_once(said: str | AIMessage) -> str:
    """The output for a single generation."""
    console = Console(file=io.StringIO(), width=100, highlight=False)
    trace = await GenerationStrategy(style="cot")(CASE, ScriptedChatModel(script={"generate": said}))
    JourneyPrinter(console, CASE).step(trace.steps[0])
    print_result(console, trace)
    return console.file.getvalue()


async def test_a_single_generation_is_shown_with_its_text_and_its_answer():
    text = await shown_once("He does not [dim]cough.\nAnswer: B")
    assert " 1. Generation" in text
    assert "He does not [dim]cough." in text
    assert "Answer: B. Pneumonia" in text
    assert "from none" not in text
    assert "concluded; 1 calls" in text


async def test_a_single_generation_that_states_nothing_says_why():
    assert "No answer (unparsed): generate: the last line" in await shown_once("Perhaps B.")
    cut = AIMessage("He", response_metadata={"finish_reason": "length"})
    assert "cut off after 1 tokens" in await shown_once(cut)


def test_it_fits_a_narrow_terminal():
    assert max(len(line) for line in shown(ScriptedChatModel(), width=60).splitlines()) <= 60


def test_control_characters_of_a_text_do_not_reach_the_terminal():
    said = "\x1b[2J\x07B\u202efits\x9b2J\r :cat:"
    text = shown(ScriptedChatModel(script={"conclude": {"justification": said, "answer": "B"}}))
    assert "[2JBfits2J :cat:" in text
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text)


async def test_a_text_that_would_flood_the_terminal_is_cut_and_says_so():
    for flood in ("a" * 19_000, "b\n" * 9_500):  # nearly as long as a trace keeps a reply
        text = await shown_once(flood)
        assert len(text.splitlines()) < 45
        left = int(
            re.search(r"\(([0-9,]+) more characters", " ".join(text.split())).group(1).replace(",", "")
        )
        assert 9_000 < left < 19_000


def test_a_text_within_the_shipped_limits_is_whole():
    limits = Limits()
    longest = max(limits.reasoning_chars, limits.note_chars, limits.quote_chars)
    assert excerpt("a" * longest) == "a" * longest


def test_a_label_stands_on_one_line():
    labels = {"A": "Influenza\nof the " + "very " * 100 + "old", "B": "Pneumonia"}
    text = shown(ScriptedChatModel(), case=CASE.model_copy(update={"options": labels}))
    bars = [line for line in text.splitlines() if "%" in line and "Influenza of the very" in line]
    assert len(bars) == 2  # after the differential and after the reflection
    assert all(line.rstrip().endswith("…") for line in bars)


def test_the_path_of_the_journey_stands_with_its_answer():
    concluding = {**REFUTE_A, "refuted": [], "verdict": "conclude"}
    text = shown(ScriptedChatModel(script={"reflect": [REFUTE_A, concluding]}))
    assert "Path: H → D → E:A E:B → R ← D → E:B → R → C" in text


def test_a_change_of_credence_and_a_refutation_show_in_the_bars():
    text = shown(ScriptedChatModel(script={"reflect": {**REFUTE_A, "verdict": "conclude"}}))
    assert re.search(r"x  A .* 0%  -50 Influenza", text)
    assert re.search(r"\*  B .*100%  \+50 Pneumonia", text)
