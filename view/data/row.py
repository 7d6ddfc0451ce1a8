"""A trace as a row of a run's table, with the verdict on its answer. Pure."""

import math
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, Literal, NamedTuple, get_type_hints

from ddxgraph.common.words import cut

_CASE_CHARS, _ANSWER_CHARS = 80, 60

Verdict = Literal["correct", "incorrect", "unparsed", "abstained", "error"]
"""`error`: unscored, for a reason unrelated to the model."""


class Judged(NamedTuple):
    """A gold answer and a verdict. Pages can hide both, for blind reading."""

    gold: str
    """An option's letter, or words in a free-form case."""
    verdict: Verdict


Judge = Callable[[Mapping[str, Any]], Judged | None]
"""Judges a trace, given as a plain JSON object; None if its gold answer is not known."""


class Column(NamedTuple):
    """A column of a table, as the script of the page reads it."""

    title: str
    kind: Literal["text", "choice", "number"]
    """How it is filtered: `text` by search, `choice` by a list of its values, `number` by a range."""
    plot: bool = False
    """Whether its distribution is drawn."""
    gold: bool = False
    """Whether it shows gold answers, which blind reading hides."""


def columns_of(row: type) -> tuple[Column, ...]:
    """The columns of a table, as the fields of its rows are annotated."""
    return tuple(hint.__metadata__[0] for hint in get_type_hints(row, include_extras=True).values())


class TraceRow(NamedTuple):
    """The row of a trace."""

    case: Annotated[str, Column("Case", "text")]
    sample: Annotated[int, Column("Sample", "number")]
    answer: Annotated[str, Column("Answer", "text")]
    verdict: Annotated[str, Column("Verdict", "choice", plot=True, gold=True)]
    gold: Annotated[str, Column("Gold", "text", gold=True)]
    backtracks: Annotated[int, Column("Backtracks", "number", plot=True)]
    tokens: Annotated[int, Column("Output tokens", "number", plot=True)]
    seconds: Annotated[float, Column("Seconds", "number", plot=True)]
    ended: Annotated[str, Column("How it ended", "choice", plot=True)]
    benchmark: Annotated[str, Column("Benchmark", "choice")]
    strategy: Annotated[str, Column("Strategy", "choice")]


COLUMNS: Final = columns_of(TraceRow)


def row_of(record: Mapping[str, Any], judged: Judged | None) -> TraceRow:
    """The row of a trace.

    Args:
        record: the trace as a plain JSON object.
        judged: its gold answer and verdict, if known.

    Raises:
        ValueError: a field of the record has an impossible value.
    """
    case, usage = record["case"], record.get("usage") or {}
    steps = record.get("steps") or ()
    seconds = float(record.get("elapsed_s", 0.0))
    if not math.isfinite(seconds):  # JSON cannot hold it
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
    """How the traversal ended; if it failed, with which error."""
    ended = str(record.get("ended", "")).replace("_", ": ", 1)
    failure = record.get("failure") or {}
    if record["outcome"] in {"error", "unparsed"} and failure:
        return f"{failure.get('boundary', 'failure')}: {str(failure.get('kind', 'other')).replace('_', ' ')}"
    return ended
