"""Canaries: prompts whose greedy continuation is known, for a base model and for an adapter on it.

A server's answers to them show which weights it computes with. Greedy tokens and their log-probabilities are
compared. Between engines and number formats, log-probabilities of the same weights differ by hundredths of a nat.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ddxgraph.common.errors import AdapterError
from ddxgraph.common.files import read_regular
from ddxgraph.serving.adapters.files import Adapter

CANARY_FILE: Final = "canaries.json"
CANARY_VERSION: Final = 1
TOKENS: Final = 16
"""Length of a continuation."""
TOLERANCE: Final = 0.1
"""Mean difference in nats up to which log-probabilities count as those of the same weights."""
ENOUGH: Final = 0.25
"""Share of the tokens that must be comparable. After a near tie that rounding decides, the rest are not."""

PROMPTS: Final = (
    "A 24-year-old woman has dysuria and urinary frequency for 2 days. Think it through step by step.",
    "A 67-year-old man has fever, productive cough and crackles at the right base. What is your differential?",
    "A 58-year-old man has crushing chest pain and ST elevation in leads II, III and aVF. What comes next?",
    "Which findings would make you give up your leading diagnosis, and why?",
    "A 5-year-old boy has a barking cough and stridor. List the hypotheses before you conclude.",
    "A 31-year-old woman has weight loss, tremor and a diffuse goitre. Review the history first.",
)

_FROZEN: Final = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Continuation(BaseModel):
    """A model's greedy continuation of a prompt."""

    model_config = _FROZEN

    tokens: tuple[int, ...]
    logprobs: tuple[float, ...]
    """Of each token, natural logarithm."""
    margins: tuple[float, ...] = ()
    """By how much each token's log-probability exceeds the second best one's; unknown for a server."""

    @model_validator(mode="after")
    def _as_many_of_each(self) -> Self:
        if not len(self.tokens) == len(self.logprobs) == (len(self.margins) or len(self.tokens)):
            raise ValueError("a continuation has a log-probability, and a margin, for each of its tokens")
        return self


class Canary(BaseModel):
    """A prompt and its known continuations."""

    model_config = _FROZEN

    prompt: str
    prompt_tokens: tuple[int, ...]
    """With the chat template, as sent."""
    base: Continuation
    adapted: Continuation
    adapted_by_base: tuple[float, ...]
    """The base model's log-probabilities of the adapter's tokens."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        known = (self.base.tokens, self.base.margins, self.adapted.margins, self.adapted_by_base)
        if not all(len(each) == len(self.adapted.tokens) > 0 for each in known):
            raise ValueError("a canary's continuations are of one length, with all their margins")
        return self


class CanarySet(BaseModel):
    """The canaries of one adapter; `canaries.json` in its folder."""

    model_config = _FROZEN

    version: Literal[1] = CANARY_VERSION
    adapter_sha256: str
    base_model: str
    dtype: str
    """Number format of the weights at the computation."""
    made_with: dict[str, str] = Field(default_factory=dict)
    """Versions of the libraries."""
    canaries: tuple[Canary, ...] = Field(min_length=1)

    @property
    def signal(self) -> float:
        """Mean difference between adapter and base over the adapter's own tokens, in nats."""
        return _mean(
            abs(adapted - base)
            for canary in self.canaries
            for adapted, base in zip(canary.adapted.logprobs, canary.adapted_by_base, strict=True)
        )


def read_canaries(adapter: Adapter) -> CanarySet | None:
    """Read the canaries in an adapter's folder; None if it has none.

    Raises:
        AdapterError: the file is damaged, or was made for other files than those beside it.
    """
    path = adapter.folder / CANARY_FILE
    if not path.exists():
        return None
    try:
        canaries = CanarySet.model_validate_json(read_regular(path))
    except (OSError, ValidationError) as error:
        raise AdapterError(
            f"{path} cannot be read; make it anew: ddxgraph adapters canaries {adapter.folder}"
        ) from error
    if canaries.adapter_sha256 != adapter.sha256:
        raise AdapterError(
            f"{path} was made for other weights or another configuration than those beside it: the adapter has "
            f"changed since; make it anew: ddxgraph adapters canaries {adapter.folder}"
        )
    return canaries


def write_canaries(canaries: CanarySet, folder: Path) -> Path:
    """Write canaries into their adapter's folder.

    Returns:
        The file.

    Raises:
        AdapterError: the file cannot be written.
    """
    path = folder / CANARY_FILE
    try:
        path.write_text(canaries.model_dump_json(indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise AdapterError(f"cannot write {path}: {error.strerror or error}") from error
    return path


class Agreement(NamedTuple):
    """How well a server's continuations agree with known ones."""

    asked: int
    """Tokens of the known continuations."""
    compared: int
    """Tokens before the first different one of each continuation."""
    difference: float
    """Mean difference between log-probabilities, in nats. A different token counts as the margin by which the
    known one was better: the server's weights differ by at least that."""

    def holds(self, tolerance: float) -> bool:
        """Whether both come from the same weights."""
        return self.compared >= ENOUGH * self.asked and self.difference <= tolerance


def agreement(served: Sequence[Continuation], known: Sequence[Continuation]) -> Agreement:
    """Compare a server's continuations with known ones, prompt by prompt."""
    compared, differences = 0, list[float]()
    for answer, canary in zip(served, known, strict=True):
        for place, (token, expected) in enumerate(zip(answer.tokens, canary.tokens, strict=False)):
            if token != expected:
                differences.append(canary.margins[place])
                break
            compared += 1
            differences.append(abs(answer.logprobs[place] - canary.logprobs[place]))
    return Agreement(sum(len(canary.tokens) for canary in known), compared, _mean(differences))


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return sum(listed) / len(listed) if listed else 0.0
