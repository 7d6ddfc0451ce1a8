"""The strict rule: the gold answer against the answer that a strategy states by its own rule."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ddxgraph.eval.scoring.freeform import normalised, same

SCORER: Final = "1"
"""Version of the strict rule; stands in every report."""


class Verdict(StrEnum):
    """What a trace is worth. All but `ERROR` are scored; only `CORRECT` counts as correct."""

    CORRECT = "correct"
    INCORRECT = "incorrect"
    UNPARSED = "unparsed"
    """No answer could be read by the strategy's own rule, or the answer is none of the options."""
    ABSTAINED = "abstained"
    ERROR = "error"
    """Unscored: an engine, a judge or code broke, not the model's reasoning."""


@dataclass(frozen=True, slots=True)
class Score:
    """A trace's score and what it cost; or that of a (case, sample) whose every attempt failed."""

    case: str
    sample: int
    verdict: Verdict
    answer: str | None
    """As the trace states it: a letter, or text in a free-form case."""
    gold: str
    choice: str | None
    """The text of the option answered, so that runs with shuffled options can be compared; in a free-form case
    the answer normalised. None where there is no answer, or it is none of the options."""
    loose_first: bool | None
    """Correct by the first answer that the looser rule of published code finds; None for errors and free form."""
    loose_last: bool | None
    """The same by the last one."""
    distribution: Mapping[str, float]
    """As the trace has it: option letter (hypothesis id in a free-form case) to probability; may be empty."""
    completion_tokens: int
    """Over all calls of the trace, repairs and failed nodes included."""
    prompt_tokens: int
    calls: int
    repairs: int
    """Calls made because a reply did not fit its schema."""
    backtracks: int
    elapsed_s: float
    """Wall time of the traversal, in seconds."""
    ended: str
    """Why the traversal ended, as the trace has it."""
    failure: str
    """Kind of the failure where the verdict is `ERROR`, such as `timeout` or `judge timeout`; else empty."""
    trace: str
    """The trace's id."""

    @property
    def correct(self) -> bool | None:
        """Whether the answer is the gold one; None where the trace is unscored."""
        return None if self.verdict is Verdict.ERROR else self.verdict is Verdict.CORRECT


def verdict_of(outcome: str, answer: str | None, gold: str, options: Mapping[str, str]) -> Verdict:
    """The strict rule; pure.

    The strategy decides what its answer is, and the scorer never looks for another one. With options it must be
    the gold letter as it stands: `b`, `B.` and an option's text are no letters. An answer that is none of the
    options (a strategy is anybody's code) is `UNPARSED`. Without options the normalised texts are compared.

    Args:
        outcome: as the trace has it: answered, abstained, unparsed, error.
        answer: as the trace has it.
        gold: a letter of the options; text where there are none.
        options: letter to text; empty for a free-form case.
    """
    match outcome:
        case "error":
            return Verdict.ERROR
        case "abstained":
            return Verdict.ABSTAINED
        case "unparsed":
            return Verdict.UNPARSED
    if choice_of(answer, options) is None or answer is None:
        return Verdict.UNPARSED
    correct = answer == gold if options else same(answer, gold)
    return Verdict.CORRECT if correct else Verdict.INCORRECT


def choice_of(answer: str | None, options: Mapping[str, str]) -> str | None:
    """What an answer says, whatever its letter: its option's text; a free-form answer normalised."""
    if answer is None:
        return None
    return options.get(answer) if options else normalised(answer) or None
