"""A trace as a row of a run's table. Pure."""

import math
from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple

from ddxgraph.common.words import cut
from ddxgraph.view.data.judged import Judged

_CASE_CHARS, _ANSWER_CHARS = 80, 60


class Column(NamedTuple):
    """A column of a table, as the page's script reads it."""

    title: str
    kind: Literal["text", "choice", "number"]
    """`text` is searched, a `choice` is picked from a list, a `number` lies between two."""
    plot: bool = False
    """Its distribution is drawn."""
    gold: bool = False
    """It tells of the gold answer, so blind reading hides it."""


class TraceRow(NamedTuple):
    """What a table says of a trace, in the order of `COLUMNS`."""

    case: str
    sample: int
    answer: str
    verdict: str
    gold: str
    backtracks: int
    tokens: int
    """Output tokens."""
    seconds: float
    ended: str
    benchmark: str
    strategy: str


COLUMNS: Final = (
    Column("Case", "text"),
    Column("Sample", "number"),
    Column("Answer", "text"),
    Column("Verdict", "choice", plot=True, gold=True),
    Column("Gold", "text", gold=True),
    Column("Backtracks", "number", plot=True),
    Column("Output tokens", "number", plot=True),
    Column("Seconds", "number", plot=True),
    Column("How it ended", "choice", plot=True),
    Column("Benchmark", "choice"),
    Column("Strategy", "choice"),
)


def row_of(record: Mapping[str, Any], judged: Judged | None) -> TraceRow:
    """The row of a trace.

    Args:
        record: the trace as a plain JSON object.
        judged: its gold answer, where known.
    """
    case, usage = record["case"], record.get("usage") or {}
    steps = record.get("steps") or ()
    seconds = float(record.get("elapsed_s", 0.0))
    if not math.isfinite(seconds):  # no JSON could tell it to the page
        raise ValueError("its time is not a finite number")
    return TraceRow(
        case=cut(case["id"], _CASE_CHARS),
        sample=int(record.get("sample", 0)),
        answer=cut(record["answer"] or "–", _ANSWER_CHARS),
        verdict=judged.verdict if judged else _unjudged(record["outcome"]),
        gold=cut(judged.gold, _ANSWER_CHARS) if judged else "",
        backtracks=sum(bool((step.get("move") or {}).get("backtrack")) for step in steps),
        tokens=int(float(usage.get("completion_tokens", 0))),
        seconds=round(seconds, 1),
        ended=_ended(record),
        benchmark=" ".join(filter(None, (case.get("source"), case.get("split")))) or "–",
        strategy=str((record.get("strategy") or {}).get("name", "graph")),
    )


def _unjudged(outcome: str) -> str:
    return "not judged" if outcome == "answered" else outcome


def _ended(record: Mapping[str, Any]) -> str:
    """How it ended; what broke, where something did."""
    ended = str(record.get("ended", "")).replace("_", ": ", 1)
    failure = record.get("failure") or {}
    if record["outcome"] in {"error", "unparsed"} and failure:
        return f"{failure.get('boundary', 'failure')}: {str(failure.get('kind', 'other')).replace('_', ' ')}"
    return ended
