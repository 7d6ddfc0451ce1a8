"""Shuffled options: whether an answer survives another order of the options. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ddxgraph.common.errors import BadInput
from ddxgraph.eval.statistics.interval import Interval, wilson
from ddxgraph.eval.statistics.paired import Paired, paired


class Choice(NamedTuple):
    """What a run chose on a case."""

    text: str | None
    """Text of the chosen option; None where the run has no answer (unparsed or abstained)."""
    correct: bool


class ShuffleSensitivity(NamedTuple):
    """Two runs that show the same options in different orders."""

    n: int
    """Cases that both runs answered."""
    changed: int
    """Of those, cases on which another option was chosen: other text, whatever its letter."""
    share: float
    """changed / n, in 0..1."""
    interval: Interval
    """Wilson's, 95%, of the share."""
    unanswered: int
    """Cases that both runs scored and at least one left without an answer."""
    accuracy: Paired
    """The second run's accuracy against the first's, over all cases that both scored."""


class LetterBias(NamedTuple):
    """How often each letter is answered, and how often it is right."""

    n: int
    """Traces with an answer; both distributions are over these."""
    answered: Mapping[str, float]
    """Letter to share of the answers, in the alphabet's order."""
    gold: Mapping[str, float]
    """Letter to share of the gold answers of the same traces."""
    distance: float
    """Total variation distance of the two, in 0..1: the smallest share of the answers that would have to move."""


def shuffle_sensitivity(
    first: Mapping[str, Choice], second: Mapping[str, Choice], seed: int = 0
) -> ShuffleSensitivity | None:
    """How much the order of the options matters.

    Sampling at a temperature changes answers too: compare runs at temperature 0, or compare the share with that
    of two runs that differ in the sampling seed only.

    Args:
        first: case id to choice, for every scored case; of several samples, the first.
        second: the same for the other run.
        seed: of the accuracy's interval.

    Returns:
        None if no case was answered by both.
    """
    common = sorted(first.keys() & second.keys())
    answered = [case for case in common if first[case].text is not None and second[case].text is not None]
    changed = sum(first[case].text != second[case].text for case in answered)
    interval = wilson(changed, len(answered))
    if interval is None:
        return None
    return ShuffleSensitivity(
        n=len(answered),
        changed=changed,
        share=changed / len(answered),
        interval=interval,
        unanswered=len(common) - len(answered),
        accuracy=paired(
            [float(first[case].correct) for case in common],
            [float(second[case].correct) for case in common],
            seed,
        ),
    )


def letter_bias(answers: Sequence[str | None], golds: Sequence[str]) -> LetterBias | None:
    """Whether some letters are answered more often than they are right.

    Args:
        answers: the letter of each scored trace; None without an answer.
        golds: the gold letters of the same traces.

    Returns:
        None if no trace has an answer.

    Raises:
        BadInput: the lengths differ.
    """
    if len(answers) != len(golds):
        raise BadInput(f"{len(answers)} answers for {len(golds)} gold letters; give one each")
    pairs = [(answer, gold) for answer, gold in zip(answers, golds, strict=True) if answer is not None]
    if not pairs:
        return None
    letters = sorted({letter for pair in pairs for letter in pair})
    given, right = (Counter(column) for column in zip(*pairs, strict=True))
    moved = sum(max(0, given[letter] - right[letter]) for letter in letters)
    return LetterBias(
        n=len(pairs),
        answered={letter: given[letter] / len(pairs) for letter in letters},
        gold={letter: right[letter] / len(pairs) for letter in letters},
        distance=moved / len(pairs),
    )
