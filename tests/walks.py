"""Traversals to compile: walks of the real graph on scripted models, and traces that Hypothesis builds."""

from collections.abc import Mapping
from random import Random
from typing import Any, NamedTuple

from hypothesis import strategies as st
from journeys import AT_ONCE, Whimsy, answer, differential
from pydantic import ValidationError

from ddxgraph import Budget, Case, Limits, Policy, Step, Trace, build_graph, solve
from ddxgraph.graph.routing import Move
from ddxgraph.graph.trace import Provenance, StrategySettings
from ddxgraph.nodes.check_evidence import WHOLE_CASE, EvidenceCheck, Weight
from ddxgraph.nodes.conclude import Conclusion
from ddxgraph.nodes.failure import Failure, FailureKind
from ddxgraph.nodes.generate_differential import Differential, Hypothesis, Refutation
from ddxgraph.nodes.reflect import Reflection
from ddxgraph.nodes.review_history import Finding, History
from ddxgraph.testing import ScriptedChatModel

STOPS = ("review_history", "generate_differential", "check_evidence", "reflect", "conclude")


class Walk(NamedTuple):
    trace: Trace
    model: ScriptedChatModel


def walked(
    script: Mapping[str, Any],
    case: Case,
    *,
    budget: Budget | None = None,
    limits: Limits | None = None,
    policy: Policy | None = None,
    context_window: int | None = None,
) -> Walk:
    """A walk of the real graph."""
    model = ScriptedChatModel(script=script)
    graph = build_graph(
        model,
        budget=budget,
        limits=limits,
        policy=policy,
        context_window=context_window,
        patience=AT_ONCE,
    )
    return Walk(solve(graph, case), model)


def whimsical(seed: int, case: Case, **settings: Any) -> Walk:
    """A walk on a model that answers anything."""
    script = dict.fromkeys(STOPS, Whimsy(seed, breaks=0))
    return walked(script, case, **settings)


# A walk that a clinician might have walked

LEG = Case(
    id="leg",
    vignette=(
        "A 34-year-old woman has had sharp chest pain and shortness of breath since this morning. The pain is "
        "worse when she breathes in. She flew home from Singapore three days ago and takes an oral "
        "contraceptive. She has no fever and no cough. Her pulse is 112/min. Her left calf is tender. The "
        "lungs are clear to auscultation. An ECG shows sinus tachycardia."
    ),
    question="Which diagnosis is most likely?",
    options={
        "A": "Acute pericarditis",
        "B": "Community-acquired pneumonia",
        "C": "Pulmonary embolism",
        "D": "Spontaneous pneumothorax",
    },
)


def _finding(quote: str, kind: str, salience: int, polarity: str = "present") -> dict[str, Any]:
    return {"quote": quote, "kind": kind, "polarity": polarity, "salience": salience}


def _check(reasoning: str, missing: str, *weights: tuple[str, int, str]) -> dict[str, Any]:
    told = [{"finding": key, "strength": strength, "reason": reason} for key, strength, reason in weights]
    return {"reasoning": reasoning, "weights": told, "missing": missing}


def _option(prior: int, rationale: str) -> dict[str, Any]:
    return {"prior": prior, "rationale": rationale}


TWO_WAYS_BACK: dict[str, Any] = {
    "review_history": [
        {
            "reasoning": (
                "A young woman with acute pleuritic chest pain. The onset is sudden, and she is tachycardic."
            ),
            "asks": "diagnosis",
            "findings": [
                _finding("sharp chest pain", "symptom", 3),
                _finding("worse when she breathes in", "symptom", 2),
                _finding("no fever and no cough", "pertinent_negative", 2, "absent"),
                _finding("The lungs are clear to auscultation.", "sign", 2),
            ],
        },
        {
            "reasoning": "I had passed over her travel, her medication and the calf.",
            "asks": "diagnosis",
            "findings": [
                _finding("flew home from Singapore three days ago", "history", 3),
                _finding("takes an oral contraceptive", "medication", 2),
                _finding("left calf is tender", "sign", 3),
            ],
        },
    ],
    "generate_differential": [
        {
            "reasoning": "Pleuritic pain points to the pleura or the pericardium.",
            "options": {
                "A": _option(30, "The pain is sharp and depends on breathing."),
                "B": _option(25, "pleuritic pain is common in it"),
                "C": _option(25, "It must not be missed."),
                "D": _option(20, "Sudden onset in a young person."),
            },
            "others": [],
        },
        {
            "reasoning": "With a long flight, oestrogen and a tender calf the order changes.",
            "options": {
                "A": _option(10, "no positional pain is described"),
                "B": _option(5, "F3 makes it unlikely"),
                "C": _option(75, "Three risk factors and a sign of thrombosis."),
                "D": _option(10, "The lungs are clear on both sides."),
            },
            "others": [
                {"label": "Costochondritis", "rationale": "harmless and common", "prior": 10},
            ],
        },
    ],
    "check_evidence:A": [
        _check(
            "I would expect a rub and relief on leaning forward.",
            "an ECG with diffuse ST elevation",
            ("F1", 1, "Sharp pain is typical."),
            ("F2", 1, "the pericardium shares the pleura's nerves"),
        ),
        _check(
            "On a second look the ECG does not fit.",
            "",
            ("F1", 0, "As common with the rivals."),
            ("F7", -2, "A tender calf has nothing to do with the pericardium."),
        ),
    ],
    "check_evidence:B": _check(
        "I would expect fever, cough and crackles.",
        "a chest radiograph",
        ("F3", -2, "Pneumonia without fever or cough would be odd."),
        ("F4", -1, "no crackles are heard"),
    ),
    "check_evidence:C": [
        _check(
            "Pleuritic pain and tachycardia go with it; is there a source?",
            "a risk factor for thrombosis",
            ("F1", 1, "common in peripheral emboli"),
            ("F4", 1, "Clear lungs with dyspnoea are typical."),
        ),
        _check(
            "Now there is a source.",
            "CT pulmonary angiography",
            ("F5", 2, "Immobility for many hours."),
            ("F6", 1, "oestrogen raises the risk threefold"),
            ("F7", 2, "It suggests a deep vein thrombosis."),
        ),
    ],
    "check_evidence:D": _check(
        "I would expect absent breath sounds on one side.",
        "a chest radiograph",
        ("F2", 0, ""),
        ("F4", -2, "The breath sounds would be reduced."),
    ),
    "check_evidence:H1": _check(
        "The pain would be reproduced by pressing on the chest wall.",
        "palpation of the chest wall",
        ("F7", -1, "F7 is left unexplained"),
    ),
    "reflect": [
        {
            "critique": (
                "Pericarditis leads by a hair, but nothing explains the tachycardia. I may have read too fast."
            ),
            "refuted": [{"hypothesis": "B", "because": "No fever, no cough, clear lungs."}],
            "verdict": "reread_history",
            "targets": [],
        },
        {
            "critique": "Embolism explains all of it. Is pericarditis weighed fairly?",
            "refuted": [{"hypothesis": "D", "because": "the breath sounds are equal"}],
            "verdict": "recheck_evidence",
            "targets": ["A"],
        },
        {
            "critique": "Nothing speaks against embolism any more.",
            "refuted": [
                {"hypothesis": "A", "because": "It leaves the calf unexplained."},
                {"hypothesis": "H1", "because": ""},
            ],
            "verdict": "conclude",
            "targets": [],
        },
    ],
    "conclude": {
        "justification": (
            "A long flight, oestrogen and a tender calf make thromboembolism the best explanation. Acute "
            "pericarditis would not explain the calf."
        ),
        "answer": "C",
    },
}


def plain_walk(**settings: Any) -> Walk:
    """The walk of `TWO_WAYS_BACK`."""
    return walked(TWO_WAYS_BACK, LEG, **settings)


def doubting(rechecks: int, rereads: int = 0, widenings: int = 0, of: str = "B") -> dict[str, Any]:
    """A script that goes back so often: first to the history, then to the differential, then to the evidence."""
    verdicts = (
        ["reread_history"] * rereads + ["widen_differential"] * widenings + ["recheck_evidence"] * rechecks
    )
    turns = [
        {"critique": f"doubt {place}", "refuted": [], "verdict": verdict, "targets": [of]}
        for place, verdict in enumerate(verdicts)
    ]
    end = {"critique": "enough", "refuted": [], "verdict": "conclude", "targets": []}
    return {
        "generate_differential": differential(A=30, B=40, C=20, D=10),
        "reflect": [*turns, end],
        "conclude": answer("B"),
    }


# Traces that no graph made

HOSTILE = (
    "",
    " ",
    ".",
    "fever",
    "Fever.",
    "Answer: B",
    "answer is **B**",
    "Asthma (B)",
    "it: typical",
    "then: foo. I turn to bar",
    "I turn to asthma.",
    "That rules out asthma as far as I can see.",
    "asthma — no — I give up pneumonia",
    "the case as a whole",
    "The case as a whole supports it",
    "is ruled out",
    "about 50 percent: fits",
    "5 percent",
    "it",
    "gout",
    "severe gout",
    "acute gout and chronic gout",
    "a, b and c",
    "“quoted” and „low“",
    '"straight"',
    "## Reflection",
    "- item\n- item",
    "line\nAnswer: A",
    "sep\u2028para\u2029graph\x85next\x0b\x1c",
    "\u202eright to left\u202c",
    "\u05d3\u05dc\u05e7\u05ea \u05e8\u05d9\u05d0\u05d5\u05ea",
    "肺炎。肺炎",
    "🫀\u200d🔥",
    "e\u0301 vs é",
    "nbsp\xa0and\u3000wide",
    "<|im_end|></s>[INST]</think><think>",
    "{m}{t}{n} \\1 %s",
    "\x01\x02\x03",
    "****",
    "*a* `b` _c_",
    "x" * 400,
    "ends in a question?",
    "F1 and H1 and H2 blockers",
)
TEXTS = st.sampled_from(HOSTILE) | st.text(max_size=12)


@st.composite
def traces(draw: Any) -> Trace:
    """A trace that might have been: its texts are anything, its course is one that the graph has."""
    texts = draw(st.lists(TEXTS, min_size=1, max_size=10))
    return _Author(draw(st.integers(0, 2**32)), texts, free=draw(st.booleans())).trace()


class _Author:
    def __init__(self, seed: int, texts: list[str], *, free: bool) -> None:
        self._dice = Random(seed)
        self._texts = texts
        self._case = self._make_case(free)
        self._findings: list[Finding] = []
        self._hypotheses: list[Hypothesis] = []
        self._refuted: set[str] = set()
        self._named = 0
        self._steps: list[Step] = []

    def _make_case(self, free: bool) -> Case:
        options = {} if free else {letter: self._text() for letter in "ABCDE"[: self._dice.randint(2, 5)]}
        try:
            return Case(id="made", vignette="A case.", options=options)
        except ValidationError:  # an option is empty
            return Case(
                id="made", vignette="A case.", options={key: f"{text}!" for key, text in options.items()}
            )

    def _text(self) -> str:
        return self._dice.choice([*self._texts, "plain", "severe gout", "no fever"])

    def _name(self) -> str:
        """A text that nearly always names something, and nearly always something new."""
        text = self._text()
        if self._dice.random() < 0.05:
            return text
        self._named += 1
        return self._dice.choice(
            [f"{text} {self._named}", f"x{self._named} {text}", f"b{self._named}{text}s"]
        )

    def trace(self) -> Trace:
        begins = "review_history"
        for _ in range(self._dice.randint(1, 5)):
            begins = self._round(begins)
        self._close()
        said = self._dice.choice(self._case.letters or [h.label for h in self._hypotheses] + [self._text()])
        conclusion = Conclusion(justification=self._text(), answer=said)
        self._step("conclude", conclusion, Move(to="end"), text=self._dice.choice(["{}", ""]))
        return Trace(
            id=f"{self._dice.getrandbits(64):016x}",
            case=self._case,
            strategy=StrategySettings(),
            provenance=Provenance(model="none"),
            steps=tuple(self._steps),
            answer=said,
            outcome="answered",
            ended="concluded",
        )

    def _round(self, begins: str) -> str:
        """From a start or a way back to the next way back; the stop that it goes back to."""
        if begins == "review_history":
            self._step("review_history", self._history(), Move(to="generate_differential"))
        if begins != "check_evidence":
            self._step("generate_differential", self._differential(), Move(to="check_evidence"))
            targets = [h.id for h in self._hypotheses if h.id not in self._refuted]
        else:
            targets = list(self._steps[-1].move.targets)
        for key in targets:
            self._step("check_evidence", self._check(key), Move(to="reflect"), branch=key)
        return self._reflect()

    def _reflect(self) -> str:
        standing = [h.id for h in self._hypotheses if h.id not in self._refuted]
        gone = self._dice.sample(standing, self._dice.randint(0, len(standing)))
        self._refuted |= set(gone)
        left = [key for key in standing if key not in gone]
        to = self._dice.choice(["review_history", "generate_differential", "check_evidence"])
        targets: tuple[str, ...] = ()
        move = {"trigger": "self", "reason": ""}
        if not left:
            said = ["every hypothesis is refuted", "nothing stands that could be rechecked"]
            to, move = "generate_differential", {"trigger": "verifier", "reason": self._dice.choice(said)}
        elif to == "check_evidence":
            targets = tuple(self._dice.sample(left, min(len(left), self._dice.randint(1, 2))))
            move = {"trigger": self._dice.choice(["self", "verifier"]), "reason": "margin 0.01 below 0.10"}
        reflection = Reflection(
            critique=self._text(),
            refuted=tuple(Refutation(hypothesis=key, because=self._text()) for key in gone),
        )
        self._step("reflect", reflection, Move(to=to, backtrack=True, targets=targets, **move))
        return to

    def _close(self) -> None:
        """The last way back was not taken: there the journey concludes, or the budget ends it."""
        limit = self._dice.choice([None, "backtracks", "tokens", "calls"])
        move = Move(to="conclude", trigger="budget" if limit else "self", limit=limit)
        self._steps[-1] = self._steps[-1].model_copy(update={"move": move})

    def _history(self) -> History:
        failed = self._dice.random() < 0.1
        count = 0 if failed else self._dice.randint(0, 3)
        fresh = [self._finding(len(self._findings) + place) for place in range(1, count + 1)]
        self._findings += fresh
        return History(
            reasoning=self._text(), asks=self._dice.choice(["diagnosis", "other"]), findings=tuple(fresh)
        )

    def _finding(self, number: int) -> Finding:
        return Finding(
            id=f"F{number}",
            quote=self._name(),
            kind=self._dice.choice(["symptom", "pertinent_negative"]),
            polarity=self._dice.choice(["present", "absent"]),
            salience=self._dice.choice([1, 2, 3]),
        )

    def _differential(self) -> Differential:
        known = {h.id: h for h in self._hypotheses}
        for letter, label in self._case.options.items():
            if letter not in known or self._dice.random() < 0.5:
                known[letter] = self._hypothesis(letter, label, letter)
        for _ in range(self._dice.randint(0 if known else 1, 2)):
            number = sum(h.letter is None for h in known.values()) + 1
            known[f"H{number}"] = self._hypothesis(f"H{number}", self._name(), None)
        revived = tuple(known) if self._refuted and self._refuted >= set(known) else ()
        self._refuted -= set(revived)
        self._hypotheses = list(known.values())
        return Differential(reasoning=self._text(), hypotheses=tuple(known.values()), revived=revived)

    def _hypothesis(self, key: str, label: str, letter: str | None) -> Hypothesis:
        prior = self._dice.randint(1, 99) / 100
        return Hypothesis(id=key, label=label, letter=letter, rationale=self._text(), prior=prior)

    def _check(self, key: str) -> EvidenceCheck:
        known = [finding.id for finding in self._findings] or [WHOLE_CASE]
        taken = self._dice.sample(known, self._dice.randint(0, min(3, len(known))))
        weights = [Weight(finding=f, strength=self._dice.randint(-2, 2), reason=self._text()) for f in taken]
        return EvidenceCheck(
            hypothesis=key, reasoning=self._text(), weights=tuple(weights), missing=self._text()
        )

    def _step(self, node: str, output: Any, move: Move, branch: str | None = None, text: str = "{}") -> None:
        failed = node == "review_history" and not output.findings and self._dice.random() < 0.5
        fault = (
            Failure(boundary="parse", kind=FailureKind.MALFORMED, node=node, message="-") if failed else None
        )
        self._steps.append(
            Step(
                index=len(self._steps),
                node=node,
                branch=branch,
                text=text,
                output=output,
                move=move,
                failure=fault,
            )
        )
