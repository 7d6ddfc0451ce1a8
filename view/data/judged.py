"""What is known of a trace beside itself: its gold answer, and whether it met it."""

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

Verdict = Literal["correct", "incorrect", "unparsed", "abstained", "error"]
"""`error`: unscored, for no fault of the model."""


class Judged(NamedTuple):
    """A gold answer and a verdict. Pages can hide both, for blind reading."""

    gold: str
    """An option's letter, or words in a free-form case."""
    verdict: Verdict


Judge = Callable[[Mapping[str, Any]], Judged | None]
"""Judges a trace, given as a plain JSON object; None where its gold answer is not known."""


def unjudged(record: Mapping[str, Any]) -> Judged | None:  # noqa: ARG001 - a Judge
    """The judge who knows no gold answer."""
    return None
