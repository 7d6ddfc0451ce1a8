"""Journeys to look at: walks of the real graph on a scripted model, and run folders made of them."""

import json
import re
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from walks import LEG, TWO_WAYS_BACK, doubting, walked

from ddxgraph import Budget, Case, Trace
from ddxgraph.batch.folder import ERRORS, MANIFEST, TRACES
from ddxgraph.batch.manifest import Manifest, case_set
from ddxgraph.cli.cases import gold_answers
from ddxgraph.common.jsonl import line_of
from ddxgraph.nodes.failure import Failure, FailureKind
from ddxgraph.view.data.tracebook import TraceBook

GOLD = "C"
"""The gold answer of every case of `many`."""


@cache
def back_and_forth() -> Trace:
    """Goes back twice, to the history and to the evidence; gives up A, B, D and H1; answers C."""
    return walked(TWO_WAYS_BACK, LEG).trace


@cache
def straight() -> Trace:
    """Goes back nowhere; answers B."""
    return walked(doubting(0), LEG).trace


@cache
def once_back() -> Trace:
    """Begins as `straight` does, and goes back once; answers B."""
    return walked(doubting(1), LEG).trace


def as_another(trace: Trace, number: int, *, source: str = "medqa", **changes: Any) -> Trace:
    """A trace as if of another case: another id, other figures, the same course."""
    luck = Random(number)
    usage = trace.usage.model_copy(update={"completion_tokens": luck.randint(400, 4_000)})
    case = trace.case.model_copy(update={"id": f"case-{number:03}", "source": source, "split": "dev"})
    given = {"id": f"{number:032x}", "case": case, "usage": usage, "elapsed_s": round(luck.uniform(1, 60), 1)}
    return trace.model_copy(update={**given, **changes})


def many(count: int) -> list[Trace]:
    """Traces in turn: correct with two backtracks, wrong with none, wrong with one, abstained, unscored."""
    gone = Failure(boundary="engine", kind=FailureKind.CONNECTION, node="conclude", message="refused")
    vanilla = straight().strategy.model_copy(update={"name": "cot"})
    kinds: Sequence[tuple[Trace, dict[str, Any]]] = (
        (back_and_forth(), {}),
        (straight(), {"strategy": vanilla}),
        (once_back(), {"ended": "budget_tokens"}),
        (straight(), {"answer": None, "outcome": "abstained"}),
        (straight(), {"answer": None, "outcome": "error", "ended": "failure", "failure": gone}),
    )
    return [
        as_another(kinds[number % 5][0], number, source=("medqa", "jama")[number % 2], **kinds[number % 5][1])
        for number in range(count)
    ]


def write_run(folder: Path, traces: Iterable[Trace]) -> Path:
    """A run's folder with these traces, as `ddxgraph run` leaves it."""
    listed = list(traces)
    first = listed[0] if listed else straight()
    made = Manifest(
        cases=case_set({trace.case.id: trace.case for trace in listed}.values()),
        samples=1,
        strategy=first.strategy,
        provenance=first.provenance,
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST).write_text(made.model_dump_json(), encoding="utf-8")
    add(folder, [trace for trace in listed if trace.outcome != "error"])
    add(folder, [trace for trace in listed if trace.outcome == "error"], ERRORS)
    return folder


def add(folder: Path, traces: Iterable[Trace], name: str = TRACES, end: str = "\n") -> None:
    """Append traces to a run, a line each."""
    with (folder / name).open("a", encoding="utf-8") as file:
        file.writelines(line_of(trace) + end for trace in traces)


def write_cases(path: Path, traces: Iterable[Trace], gold: str = GOLD) -> Path:
    """A case file with one gold answer for all of them."""
    lines = [json.dumps(trace.case.model_dump(mode="json") | {"answer": gold}) for trace in traces]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def book(folder: Path, cases: Path | None = None) -> TraceBook:
    """The traces of a run, read and judged."""
    made = TraceBook(folder, gold_answers(folder, cases).judge)
    made.refresh()
    return made


WHOLE = Budget(max_calls=400, max_tokens=20_000_000, max_backtracks=6)
ILLS = re.findall(
    r"\w+",
    "asthma bronchitis colitis dermatitis embolism fibrosis gastritis hepatitis ileitis jaundice keratitis "
    "lupus myocarditis nephritis otitis pancreatitis quinsy rhinitis sarcoidosis thyroiditis uveitis vasculitis "
    "whiplash xerosis yaws zoster",
)


def of_many_options(letters: int = 26, wordy: int = 8, budget: Budget = WHOLE) -> Trace:
    """A long journey over so many options, whose model writes a good deal at every stop.

    Args:
        letters: options.
        wordy: sentences of free thought; its notes have a quarter of that. 30 fill what the limits allow.
        budget: none ends the journey unless told otherwise.
    """
    words = " ".join(f"finding{number} of the {ill} kind is noted;" for number, ill in enumerate(ILLS))
    case = Case(
        id="wide",
        vignette=f"A man of 60 is seen. {words} " * 4,
        question="Which diagnosis is most likely?",
        options={chr(65 + n): f"Acute {ill}" for n, ill in enumerate(ILLS[:letters])},
    )
    prose = 'It is said that "nothing" fits <better> & that the rest is open. '
    thought, note = (prose * wordy)[:2_000], (prose * (wordy // 4))[:300]

    def reads(request: Any) -> dict[str, Any]:
        found = [f"finding{n} of the {ill} kind is noted" for n, ill in enumerate(ILLS[:8])]
        kinds = {"kind": "symptom", "polarity": "present", "salience": 2}
        return {
            "reasoning": thought,
            "asks": "diagnosis",
            "findings": [{"quote": quote, **kinds} for quote in found],
        }

    def names(request: Any) -> dict[str, Any]:
        options = {letter: {"rationale": note, "prior": 40} for letter in case.options}
        return {"reasoning": thought, "options": options, "others": []}

    def weighs(request: Any) -> dict[str, Any]:
        given = [{"finding": f"F{n}", "reason": note, "strength": n % 5 - 2} for n in range(1, 9)]
        return {"reasoning": thought, "weights": given, "missing": prose}

    turns = [
        {"critique": thought, "refuted": [], "verdict": verdict, "targets": []}
        for verdict in ("widen_differential", "reread_history", "widen_differential", "conclude")
    ]
    script = {
        "review_history": reads,
        "generate_differential": names,
        "check_evidence": weighs,
        "reflect": turns,
        "conclude": {"justification": thought, "answer": "B"},
    }
    return walked(script, case, budget=budget).trace


# Traces that mean harm

SCRIPTS = (
    "<script>window.hit=1</script>",
    "<img src=x onerror=window.hit=1>",
    "</style><style>body{display:none}</style>",
    "</script><script>window.hit=1</script>",
    '"><svg onload=window.hit=1>',
    "' onmouseover='window.hit=1' onfocus='window.hit=1' autofocus x='",
    '" onmouseover="window.hit=1" onfocus="window.hit=1" autofocus x="',
    "<a href=javascript:window.hit=1>x</a>",
    "<iframe srcdoc='<script>parent.hit=1</script>'></iframe>",
    "<!--<script>",
    "]]><![CDATA[",
    "{{7*7}}{% raw %}${7*7}",
    "<base href=http://evil.example/><link rel=stylesheet href=http://evil.example/x.css>",
    "<meta http-equiv=refresh content='0;url=http://evil.example/'>",
    "@import 'http://evil.example/y.css'; url(http://evil.example/z)",
)
ODD = (
    "\ufffd\ufffd",
    "\u0301\u0301\u0301 lone marks" + "\u0316" * 40,
    "zero\u200bwidth\u200d\u200c\ufeff",
    "התקף לב חריף ومرض السكري",
    "\u200f\u061c\u202e\u2066 turned round",
    "病" * 60,
    "🫀\u200d🔥" * 20,
    "a\u00adb\u2028c\u2029d\x85e\x0b",
)
HOSTILE = " ".join([*SCRIPTS, *ODD])
"""Everything at once."""
UNBROKEN = "pseudo" * 20
"""A word of 120 characters."""
MEGABYTE = 1_000_000


def everywhere(trace: Trace, text: str, **fields: Any) -> Trace:
    """A trace with this text in every place that holds free text, cut to what the place takes.

    An option's text ends with its letter: a case file takes no two options that say the same.
    """
    record = trace.model_dump(mode="json")
    _put(record, text)
    record["case"]["id"] = record["case"]["split"] = text[:200]
    record["case"]["source"] = text[:2_000]
    record["case"]["options"] = {letter: text[:1_999] + letter for letter in trace.case.options}
    record["id"] = f"{text[:40]}/../?#%{trace.id}"
    return Trace.model_validate({**record, **fields})


_FREE = frozenset(
    re.findall(
        r"\w+",
        "vignette question source split model adapter adapter_sha256 engine prompt_set code_version started_at "
        "reason quote label rationale reasoning critique because missing justification statement rule text "
        "prompt message error system opening",
    )
)


def _put(node: Any, text: str) -> None:
    if isinstance(node, dict):
        for key, value in node.items():
            if key in _FREE and (isinstance(value, str) or key.startswith("adapter")):
                node[key] = text
            else:
                _put(value, text)
    elif isinstance(node, list):
        for one in node:
            _put(one, text)


def with_replies(trace: Trace, reply: str) -> Trace:
    """A trace whose every reply is this one."""
    steps = [step.model_copy(update={"text": reply}) for step in trace.steps]
    return trace.model_copy(update={"steps": tuple(steps)})
