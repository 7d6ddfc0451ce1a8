"""The style `longstep`: titles and items in the order walked."""

import pytest
from journeys import CASE, STRAIGHT, reading
from walks import plain_walk, walked

from ddxgraph import Budget, Policy
from ddxgraph.training.styles.compile import compile_journey
from ddxgraph.training.styles.events import (
    Asked,
    Checked,
    Concluded,
    Halted,
    Missing,
    Named,
    Noted,
    Refuted,
    Revived,
    Thought,
    Weighed,
    WentBack,
)
from ddxgraph.training.styles.longstep import steps_told
from ddxgraph.training.styles.phrases import ASIDES, EVENTS
from ddxgraph.training.styles.quoting import Name
from ddxgraph.training.styles.recover import recover

A, B = Name("Influenza", "A"), Name("Pneumonia", "B")
OPTIONS = {"A": "Influenza", "B": "Pneumonia"}
GOUT = Name("Gout")


def titles(text: str) -> list[str]:
    return [line[3:] for line in text.split("\n") if line.startswith("## ")]


def test_the_titles_in_the_order_walked():
    assert titles(compile_journey(plain_walk().trace, "longstep").messages[-1].content) == [
        "Review of the history",
        "Differential",
        "Evidence for and against Acute pericarditis (A)",
        "Evidence for and against Community-acquired pneumonia (B)",
        "Evidence for and against Pulmonary embolism (C)",
        "Evidence for and against Spontaneous pneumothorax (D)",
        "Reflection",
        "Going back to the history",
        "Second reading of the history",
        "Differential, revised",
        "Second look at the evidence for and against Pulmonary embolism (C)",
        "Second look at the evidence for and against Acute pericarditis (A)",
        "Evidence for and against Costochondritis",
        "Second look at the evidence for and against Spontaneous pneumothorax (D)",
        "Reflection",
        "Going back to the evidence",
        "Second look at the evidence for and against Acute pericarditis (A)",
        "Reflection",
        "Conclusion",
    ]


JOURNEY = (
    Asked("diagnosis"),
    Thought("review_history", "A short story."),
    Noted("fever", "present", "symptom", 2),
    Noted("rash", "absent", "pertinent_negative", 1),
    Named(A, 30, "common"),
    Named(GOUT, 5),
    Checked(A),
    Weighed("fever", 2, "typical"),
    Weighed("", -1),
    Missing("a swab"),
    Checked(GOUT),
    Refuted(GOUT, "no joint"),
    WentBack("review_history"),
    Refuted(A),
    WentBack("generate_differential", (), "all_refuted"),
    Revived(),
    Halted("room"),
    Concluded("B"),
)


@pytest.mark.parametrize("seed", "abcdefgh")
def test_each_event_has_its_line(seed):
    text = steps_told(JOURNEY, OPTIONS, seed)
    for line in (
        "- “fever” (symptom, present; relevant)",
        "- “rash” (pertinent negative, absent; background)",
        "- Influenza (A), about 30 percent: common",
        "- “Gout”, about 5 percent",
        "- “fever” strongly supports it: typical",
        "- The case as a whole speaks against it",
        "What would settle it: a swab",
        "## Evidence for and against Gout",
        "- Gout is ruled out: no joint",
        "- Influenza (A) is ruled out",
    ):
        assert line in text.split("\n")
    assert text.endswith("\n\nAnswer: B")
    assert recover(text, OPTIONS) == JOURNEY
    lines = text.split("\n")
    assert lines[lines.index("## Evidence for and against Gout") + 1] in ASIDES["nothing"]
    assert lines[lines.index("## Going back to the history") + 2] in ASIDES["nothing_new"]


@pytest.mark.parametrize(
    ("script", "settings", "kind"),
    [
        ({"reflect": {"critique": "", "refuted": [], "verdict": "conclude", "targets": []}}, {}, None),
        (
            {
                "reflect": [
                    {
                        "critique": "",
                        "refuted": [{"hypothesis": key, "because": "no"} for key in "ABCD"],
                        "verdict": "conclude",
                        "targets": [],
                    },
                    {"critique": "", "refuted": [], "verdict": "conclude", "targets": []},
                ]
            },
            {},
            "back:all_refuted",
        ),
        ({"check_evidence:B": {}}, {"policy": Policy(min_margin=0.99)}, "back:too_close"),
        ({}, {"budget": Budget(max_calls=4)}, "halted:room"),
    ],
)
def test_why_it_went_back_or_stopped(script, settings, kind):
    trace = walked({**STRAIGHT, **script}, CASE, **settings).trace
    text = compile_journey(trace, "longstep").messages[-1].content
    if kind is None:
        assert "Going back" not in text
        return
    wordings = [wording.split("{m}")[0] for wording in EVENTS[kind]]
    assert any(line.startswith(tuple(wordings)) for line in text.split("\n")), text


def test_a_reading_that_failed_asks_for_nothing():
    trace = walked({**STRAIGHT, "review_history": ["garbage", "garbage", reading("fever")]}, CASE).trace
    assert trace.steps[0].failure is not None
    text = compile_journey(trace, "longstep").messages[-1].content
    assert titles(text)[0] == "Differential"
