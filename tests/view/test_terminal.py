"""What a reader of the terminal sees."""

import io

from langchain_core.messages import AIMessage
from rich.console import Console

from ddxgraph import Budget, Case, Traversal, build_graph
from ddxgraph.graph.generation import GenerationStrategy
from ddxgraph.testing import ScriptedChatModel
from ddxgraph.view.terminal import JourneyPrinter, print_result

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


def shown(model: ScriptedChatModel, budget: Budget | None = None, width: int = 100) -> str:
    """The whole output of a traversal, as a file would get it."""
    console = Console(file=io.StringIO(), width=width, highlight=False)
    walk = Traversal(build_graph(model, budget=budget), CASE)
    printer = JourneyPrinter(console, CASE)
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
