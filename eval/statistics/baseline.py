"""The baseline: what an accuracy is worth without reading the case. Pure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Baseline:
    """Always giving the same answer."""

    letter: str
    """The most frequent gold letter; the first in the alphabet where several are."""
    count: int
    """Cases that it is right on."""
    accuracy: float
    """In 0..1."""


def majority_class(golds: Sequence[str]) -> Baseline | None:
    """The accuracy of always choosing the most frequent gold letter of these very cases.

    It knows the answer key, so it is what a run must beat before it has shown anything.

    Returns:
        None for no cases. Pass no free-form golds: where texts seldom repeat, the figure means nothing.
    """
    if not golds:
        return None
    letter, count = min(Counter(golds).items(), key=lambda item: (-item[1], item[0]))
    return Baseline(letter, count, count / len(golds))


def chance(n_options: Sequence[int]) -> float | None:
    """The expected accuracy of choosing an option at random: the mean of 1 / options over cases.

    Returns:
        None for no cases, or where one has no options (free-form).
    """
    if not n_options or min(n_options) < 1:
        return None
    return sum(1 / count for count in n_options) / len(n_options)
