"""The controls: a path without a detour, and a brief chain of thought."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from journeys import CASE, FREE, OPTIONS, STRAIGHT, reading, reflection, weighing
from walks import LEG, TWO_WAYS_BACK, plain_walk, traces, walked

from ddxgraph import Budget
from ddxgraph.common.errors import CompileError
from ddxgraph.nodes.call.statement import stated
from ddxgraph.training.styles.compile import compile_journey
from ddxgraph.training.styles.detours import Detours
from ddxgraph.training.styles.events import Checked, Named, Noted, Refuted, Revived, Thought, WentBack
from ddxgraph.training.styles.journey import parse
from ddxgraph.training.styles.quoting import Name
from ddxgraph.training.styles.recover import recover
from ddxgraph.training.styles.shortcut import path_of

NAMES = [Name(text, letter) for letter, text in OPTIONS.items()]
PNEUMONIA = NAMES[1]


def told(style: str, seed: int = 0) -> str:
    return compile_journey(plain_walk().trace, style, seed).messages[-1].content


def test_the_path_alone():
    for seed in range(20):
        text = told("shortcut", seed)
        for other in (
            "pericarditis",
            "pneumonia",
            "pneumothorax",
            "Costochondritis",
            "(A)",
            "(B)",
            "(D)",
            "rivals",
        ):
            assert other not in text
        assert not re.search(r"ruled out|[Gg]oing back|go back|[Ss]econd|Reflection|\bagain\b|revised", text)
        assert "Pulmonary embolism (C)" in text


def test_it_holds_all_findings_the_last_weights_and_a_clean_justification():
    path = path_of(parse(plain_walk().trace))
    assert not any(isinstance(event, WentBack | Refuted | Revived) for event in path)
    assert [e.hypothesis.label for e in path if isinstance(e, Named)] == ["Pulmonary embolism"]
    assert [e.hypothesis.label for e in path if isinstance(e, Checked)] == ["Pulmonary embolism"]
    assert sum(isinstance(event, Noted) for event in path) == 7
    assert [e.text for e in path if isinstance(e, Thought)] == [
        "A long flight, oestrogen and a tender calf make thromboembolism the best explanation."
    ]


def test_it_is_a_journey_of_its_own():
    """In the form of `longstep`, so that the same reader reads it."""
    trace = plain_walk().trace
    assert recover(told("shortcut"), trace.case.options) == path_of(parse(trace))


def test_a_weight_that_was_replaced_is_gone():
    script = {
        **STRAIGHT,
        "check_evidence:B": [weighing(F1=-2, F2=1), weighing(F1=2)],
        "reflect": [reflection("recheck_evidence", targets=["B"]), reflection()],
    }
    text = (
        compile_journey(walked(script, CASE, budget=Budget(max_backtracks=1)).trace, "shortcut")
        .messages[-1]
        .content
    )
    assert "“fever” strongly supports it" in text
    assert "“productive cough” supports it" in text
    assert "against it" not in text


def test_an_answer_that_no_hypothesis_has_as_its_name():
    script = {
        "review_history": reading("fever"),
        "generate_differential": {
            "reasoning": "so",
            "others": [{"label": "Influenza", "rationale": "", "prior": 50}],
        },
        "conclude": {"justification": "Influenza it is not.", "answer": "Legionella"},
    }
    trace = walked(script, FREE).trace
    for style in ("shortcut", "cot"):
        text = compile_journey(trace, style).messages[-1].content
        assert text.endswith("\n\nAnswer: Legionella")
        assert stated(text, {}).answer == "Legionella"
    assert "Influenza" not in compile_journey(trace, "shortcut").messages[-1].content


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("It fits best.", "It fits best."),
        ("Crackles decide it. Influenza would not explain them.", "Crackles decide it."),
        ("INFLUENZA would not explain the crackles", ""),
        (
            "Pneumonia explains it, e.g. the crackles. D does not.",
            "Pneumonia explains it, e.g. the crackles.",
        ),
        ("A is weaker. A high count fits.", "A high count fits."),
        ("Unlike the rivals it explains the cough.", ""),
        ("I ruled it out at first, but I was wrong. Fever fits.", "Fever fits."),
        ("More likely than not. The count is high.", "The count is high."),
        ("Hepatitis C is unrelated.", ""),
        ("", ""),
    ],
)
def test_what_leads_off_the_path(text, left):
    assert Detours(NAMES, PNEUMONIA).straight(text) == left


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("It fits best. Unlike gout it burns.", "It fits best."),
        ("Pneumonia explains the crackles, unlike the rivals.", "Pneumonia explains the crackles."),
        ("The count is high; influenza would not do that.", "The count is high."),
        ("Crackles, fever and pus decide it, not influenza.", "Crackles, fever and pus decide it."),
        ("It fits, unlike influenza.", ""),
        ("Influenza would not explain the crackles.", ""),
        ("", ""),
    ],
)
def test_of_a_conclusion_the_clauses_on_the_path_are_kept(text, left):
    assert Detours(NAMES, PNEUMONIA).clauses(text) == left


@pytest.mark.parametrize(
    ("justification", "conclusion"),
    [
        ("Influenza does not explain the crackles.", "What speaks for Pneumonia (B) is “productive cough”."),
        ("Crackles and pus decide it, unlike influenza.", "Crackles and pus decide it."),
        ("", None),
    ],
)
def test_a_conclusion_is_never_empty_while_the_model_gave_one(justification, conclusion):
    script = {
        **STRAIGHT,
        "review_history": reading("fever", "productive cough"),
        "check_evidence:B": weighing(F1=0, F2=2),
        "conclude": {"justification": justification, "answer": "B"},
    }
    path = path_of(parse(walked(script, CASE).trace))
    told = [event.text for event in path if isinstance(event, Thought) and event.stop == "conclude"]
    assert told == ([conclusion] if conclusion else [])


def test_a_name_that_holds_the_right_one_is_another():
    detours = Detours([Name("Pneumonia", "A"), Name("Viral pneumonia", "B")], Name("Pneumonia", "A"))
    assert detours.straight("Pneumonia fits.") == "Pneumonia fits."
    assert detours.straight("Viral pneumonia fits.") == ""
    held = Detours([Name("Pneumonia", "A"), Name("Viral pneumonia", "B")], Name("Viral pneumonia", "B"))
    assert held.straight("Viral pneumonia fits.") == "Viral pneumonia fits."
    assert held.straight("Pneumonia fits.") == ""


@settings(max_examples=100, deadline=None, derandomize=True)
@given(traces(), st.integers(0, 3))
def test_the_controls_of_any_trace(trace, seed):
    for style in ("shortcut", "cot"):
        try:
            text = compile_journey(trace, style, seed).messages[-1].content
        except CompileError:
            continue
        assert stated(text, trace.case.options).answer == parse(trace).answer
        if style == "shortcut":
            assert not re.search(
                r"^(- .* is ruled out|## (Going back|Second|Reflection))", text, re.MULTILINE
            )


def test_the_brief_chain():
    lines = told("cot").split("\n")
    assert lines[0] == "1. The question asks for a diagnosis."
    assert lines[1].startswith("2. The key findings are “sharp chest pain”")
    assert lines[2].startswith("3. For Pulmonary embolism (C): “flew home from Singapore three days ago” (")
    assert (
        lines[3]
        == "4. Against Acute pericarditis (A), the closest alternative: it leaves the calf unexplained."
    )
    assert lines[-1] == "Answer: C"
    assert len(lines) == 7


def test_the_scripts_letters_are_those_of_the_case():
    assert set(TWO_WAYS_BACK["generate_differential"][0]["options"]) == set(LEG.options)
