"""What a set of journeys consists of, in figures."""

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import fmean, median
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from ddxgraph.training.sets.samples import Record

_FROZEN: Final = ConfigDict(extra="forbid", frozen=True)


class Spread(BaseModel):
    """How a number is spread over samples."""

    model_config = _FROZEN

    least: int
    median: float
    mean: float
    most: int


class Figures(BaseModel):
    """Samples in figures."""

    model_config = _FROZEN

    samples: int = 0
    journeys: int = 0
    """Traces that they come from; a compacted one may give several samples in the style `graph`."""
    cases: int = 0
    """By id."""
    letters: Mapping[str, int] = Field(default_factory=dict)
    """Answer letter to journeys; answers that are no letter under the empty name."""
    backtracking: int = 0
    """Journeys with at least one move back."""
    telling: int = 0
    """Samples whose text tells at least one move back."""
    rewritten: int = 0
    """Samples in a model's words."""
    words: Spread | None = None
    """Words of the assistant in a sample, divided by white space; None without samples."""
    tokens: Spread | None = None
    """Tokens that the model wrote in a journey, as the engine counted them; None without samples."""


class Tally:
    """Counts samples, one at a time; keeps some 100 bytes of each."""

    def __init__(self) -> None:
        self.words: list[int] = []
        """Words of the assistant, a number a sample."""
        self.models: Counter[str] = Counter()
        """Model (and adapter) to samples."""
        self._journeys: dict[str, tuple[str, str, bool, int]] = {}
        self._telling = self._rewritten = 0

    def add(self, record: Record) -> None:
        """Count a sample."""
        meta = record.meta
        self.words.append(words_of(record))
        self.models[f"{meta.model} with {meta.adapter}" if meta.adapter else meta.model] += 1
        self._telling += meta.told_backtracks > 0
        self._rewritten += meta.wording == "rewritten"
        self._journeys[meta.trace] = (
            meta.case,
            _letter(meta.answer),
            meta.backtracks > 0,
            meta.tokens.completion,
        )

    @property
    def per_case(self) -> Mapping[int, int]:
        """Number of journeys of a case to cases that have so many."""
        journeys = Counter(case for case, *_ in self._journeys.values())
        return dict(sorted(Counter(journeys.values()).items()))

    def figures(self) -> Figures:
        """The figures of what was counted."""
        told = self._journeys.values()
        return Figures(
            samples=len(self.words),
            journeys=len(told),
            cases=len({case for case, *_ in told}),
            letters=dict(sorted(Counter(letter for _, letter, *_ in told).items())),
            backtracking=sum(back for *_, back, _ in told),
            telling=self._telling,
            rewritten=self._rewritten,
            words=_spread(self.words),
            tokens=_spread([tokens for *_, tokens in told]),
        )


def words_of(record: Record) -> int:
    """Words of the assistant, divided by white space."""
    return sum(len(one.content.split()) for one in record.messages if one.role == "assistant")


def _letter(answer: str) -> str:
    return answer if len(answer) == 1 and answer.isupper() else ""


def _spread(numbers: Sequence[int]) -> Spread | None:
    if not numbers:
        return None
    return Spread(
        least=min(numbers), median=median(numbers), mean=round(fmean(numbers), 1), most=max(numbers)
    )
