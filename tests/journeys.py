"""A small case, replies to script it with, and how the walk that came of them is read."""

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from random import Random
from typing import Any

from langchain_core.exceptions import ModelConnectionError

from ddxgraph import Case, Step, Trace
from ddxgraph.nodes.call.patience import Patience
from ddxgraph.testing import Request

AT_ONCE = Patience(away_s=0, attempts=1)
"""A failed call is not made again."""

VIGNETTE = (
    "A 62-year-old man has had fever and a productive cough for three days. He has no leg swelling. "
    "Crackles are heard over the right lower lobe. His white cell count is 15,000/mm3."
)
OPTIONS = {"A": "Influenza", "B": "Pneumonia", "C": "Asthma", "D": "Heart failure"}
CASE = Case(id="cough", vignette=VIGNETTE, question="Which diagnosis is most likely?", options=OPTIONS)
FREE = Case(id="cough-free", vignette=VIGNETTE, question="Which diagnosis is most likely?")


def reading(*quotes: str, asks: str = "diagnosis") -> dict[str, Any]:
    """A reply to review_history."""
    findings = [{"quote": q, "kind": "symptom", "polarity": "present", "salience": 2} for q in quotes]
    return {"reasoning": "read", "asks": asks, "findings": findings}


def named(label: str, prior: int = 50) -> dict[str, Any]:
    """A hypothesis beside the options."""
    return {"label": label, "rationale": "possible", "prior": prior}


def differential(*others: dict[str, Any], **priors: int) -> dict[str, Any]:
    """A reply to generate_differential; options by letter, others by `named`."""
    weighed = {letter: {"rationale": "base rate", "prior": prior} for letter, prior in priors.items()}
    options = {"options": weighed} if weighed else {}
    return {"reasoning": "common things first", **options, "others": list(others)}


def weighing(**strengths: int) -> dict[str, Any]:
    """A reply to check_evidence: finding id to strength."""
    weights = [
        {"finding": finding, "reason": f"{finding} bears on it", "strength": strength}
        for finding, strength in strengths.items()
    ]
    return {"reasoning": "expected", "weights": weights, "missing": "a radiograph"}


def reflection(
    verdict: str = "conclude", refuted: Iterable[str] = (), targets: Iterable[str] = ()
) -> dict[str, Any]:
    """A reply to reflect."""
    gone = [{"hypothesis": key, "because": f"{key} does not fit"} for key in refuted]
    return {"critique": f"so: {verdict}", "refuted": gone, "verdict": verdict, "targets": list(targets)}


def answer(said: str) -> dict[str, Any]:
    """A reply to conclude."""
    return {"justification": "it fits best", "answer": said}


STRAIGHT: dict[str, Any] = {
    "review_history": reading("fever", "productive cough"),
    "generate_differential": differential(A=30, B=50, C=10, D=10),
    "check_evidence:A": weighing(F1=1, F2=0),
    "check_evidence:B": weighing(F1=1, F2=2),
    "check_evidence:C": weighing(F1=-2, F2=0),
    "check_evidence:D": weighing(F1=-1, F2=-1),
    "reflect": reflection(),
    "conclude": answer("B"),
}
"""Eight calls that lead straight to B."""

ROUND = [f"check_evidence:{letter} -> reflect [self]" for letter in "BACD"]
"""The checks of `STRAIGHT`, by falling prior."""
OPENING = [
    "review_history -> generate_differential [self]",
    "generate_differential -> check_evidence B,A,C,D [self]",
]
CONCLUDING = ["reflect -> conclude [self]", "conclude -> end [self]"]


def course(trace: Trace) -> list[str]:
    """A line a step: where, where to, about what, made by whom, and whether it goes back."""
    return [_line(step) for step in trace.steps]


def _line(step: Step) -> str:
    stop = f"{step.node}:{step.branch}" if step.branch else step.node
    about = f" {','.join(step.move.targets)}" if step.move.targets else ""
    made = f"{step.move.trigger}, back" if step.move.backtrack else step.move.trigger
    return f"{stop} -> {step.move.to}{about} [{made}]"


def timeless(trace: Trace) -> dict[str, Any]:
    """A trace without what differs from run to run."""
    steps = {"steps": {"__all__": {"latency_s"}}, "elapsed_s": True, "provenance": {"started_at"}}
    return trace.model_dump(mode="json", exclude=steps)


def in_time(work: Callable[[], Any]) -> Any:
    """What `work` returns, on a thread of its own: what hangs fails the test rather than stopping it."""
    done: Future[Any] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return done.result(60)


def prompt_of(request: Request) -> str:
    """All that the model was given, roles marked."""
    return "".join(f"\n<<{message.type}>>\n{message.content}" for message in request.messages)


ALPHABET = 'abc é病🫀"\\{}<>\n'


class Whimsy:
    """A model that answers anything: mostly what fits the schema, now and then garbage or nothing at all.

    Its replies follow from the seed and the request alone, so a walk can be repeated; and, as an engine
    would, it stops at `max_tokens`, counted as `ScriptedChatModel` counts them.
    """

    def __init__(self, seed: int, *, garbage: float = 0.1, breaks: float = 0.02) -> None:
        self._seed, self._garbage, self._breaks = seed, garbage, breaks

    def __call__(self, request: Request) -> str | Exception:
        dice = Random(f"{self._seed}|{request.branch}|{prompt_of(request)}")
        most = 4 * request.options["max_tokens"]
        fate = dice.random()
        if fate < self._breaks:
            return ModelConnectionError("refused")
        if fate < self._breaks + self._garbage:
            return dice.choice(["", "I cannot say.", "{" * most, '{"reasoning": "'])
        reply = _fitting(request.schema, request.schema.get("$defs", {}), dice)
        return json.dumps(reply, ensure_ascii=False)[:most]


def _fitting(schema: Mapping[str, Any], defs: Mapping[str, Any], dice: Random) -> Any:
    if "$ref" in schema:
        return _fitting(defs[schema["$ref"].rsplit("/", 1)[1]], defs, dice)
    choices = [schema["const"]] if "const" in schema else schema.get("enum")
    if choices:
        return dice.choice(choices)
    least = schema.get("minItems", schema.get("minLength", schema.get("minimum", 0)))
    most = schema.get("maxItems", schema.get("maxLength", schema.get("maximum", 0)))
    match schema["type"]:
        case "object":
            return {key: _fitting(value, defs, dice) for key, value in schema["properties"].items()}
        case "array":
            return [_fitting(schema["items"], defs, dice) for _ in range(dice.randint(least, most))]
        case "integer":
            return dice.randint(least, most)
        case _:
            return _words(least, most, dice)


def _words(least: int, most: int, dice: Random) -> str:
    if dice.random() < 0.3:
        start = dice.randrange(len(VIGNETTE) - least)
        return VIGNETTE[start : start + dice.randint(least, min(most, 20))]
    return "".join(dice.choices(ALPHABET, k=dice.choice([least, dice.randint(least, most), most])))
