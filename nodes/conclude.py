"""Conclude: the answer, why, and how probability is spread over the options."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from ddxgraph.nodes.case import Case
from ddxgraph.nodes.consultation import TOP_LOGPROBS, Consultation, Turn
from ddxgraph.nodes.reply import form, one_of, text
from ddxgraph.nodes.settings import Limits
from ddxgraph.nodes.statement import probabilities_at
from ddxgraph.nodes.stop import Briefing, Standpoint, TrunkStop

NODE: Final = "conclude"
ANSWER_CHARS: Final = 200
_CLOSES: Final = '"} \n'
"""What may follow the answer's letter, within its token."""


class Conclusion(BaseModel):
    """The end of a journey."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["conclusion"] = "conclusion"
    justification: str = ""
    answer: str | None = None
    """An option's letter, or text in a free-form case; None where there is none."""
    distribution: Mapping[str, float] = Field(default_factory=dict)
    """Probability of each option (by letter) or hypothesis (by id); sums to one unless empty."""
    distribution_from: Literal["logprobs", "credence", "none"] = "none"
    """Token log-probabilities renormalised over the options, or the differential's credence."""


@cache
def output_model(letters: tuple[str, ...], limits: Limits) -> type[BaseModel]:
    """The form of the reply. The answer stands last: its token is found from the end of the reply."""
    answer = one_of(letters) if letters else text(ANSWER_CHARS, least=1)
    return form("Conclude", justification=text(limits.reasoning_chars), answer=answer)


def room(limits: Limits) -> int:
    """Completion tokens that a conclusion may need."""
    return limits.completion_tokens(1, ANSWER_CHARS)


async def conclude(
    case: Case,
    standing: Sequence[str],
    credence: Mapping[str, float],
    spent: bool,
    line: Consultation,
    limits: Limits,
) -> Conclusion:
    """Give the answer.

    Args:
        case: the case.
        standing: one line a hypothesis, the leader first.
        credence: hypothesis id to credence.
        spent: the budget ended the journey.
        line: the line to the model.
        limits: how much may be written.

    Returns:
        The conclusion; without an answer where the reply could not be read. The distribution comes from the
        answer token's log-probabilities, or from the credence where the engine gives none.
    """
    asking = line.prompts.render(NODE, standing=standing, letters=case.letters, spent=spent)
    logprobs = TOP_LOGPROBS if case.letters else 0
    turn = Turn(NODE, asking, output_model(case.letters, limits), room(limits), logprobs=logprobs)
    output: Any = await line.ask(turn)
    if output is None:
        return Conclusion()
    reply = line.reply
    told = letter_probabilities(reply.text, reply.logprobs, case.letters) if reply else None
    spread = told or over_options(credence, case.letters)
    return Conclusion(
        justification=output.justification,
        answer=output.answer,
        distribution=spread,
        distribution_from="logprobs" if told else "credence" if spread else "none",
    )


def from_credence(case: Case, labels: Mapping[str, str], credence: Mapping[str, float]) -> Conclusion:
    """The conclusion that needs no call: the best hypothesis so far (the first of equals)."""
    spread = over_options(credence, case.letters)
    if not spread:
        return Conclusion(justification="The budget was spent before a differential was there.")
    best = max(spread, key=lambda key: spread[key])
    return Conclusion(
        justification="The budget was spent: the hypothesis with the highest credence stands.",
        answer=best if case.letters else labels[best],
        distribution=spread,
        distribution_from="credence",
    )


def over_options(credence: Mapping[str, float], letters: Sequence[str]) -> dict[str, float]:
    """Credence renormalised over the options; over all hypotheses in a free-form case."""
    kept = {key: credence.get(key, 0.0) for key in (letters or credence)}
    total = sum(kept.values())
    return {key: value / total for key, value in kept.items()} if total > 0 else {}


def letter_probabilities(
    text: str, tokens: Sequence[Mapping[str, Any]] | None, letters: Sequence[str]
) -> dict[str, float] | None:
    """Probability of each option's letter at the answer's place.

    Args:
        text: the reply, a JSON object whose last field is the letter.
        tokens: OpenAI's `logprobs.content`.
        letters: the options.

    Returns:
        Letter to probability, summing to one; None where the answer's token cannot be found.
    """
    return probabilities_at(text.rfind('"') - 1, text, tokens, letters, _CLOSES)


async def _think(told: Briefing, line: Consultation) -> Conclusion:
    return await conclude(told.case, told.standing, told.now.credence, told.spent, line, told.limits)


def _without_call(told: Briefing) -> Conclusion:
    labels = {key: hypothesis.label for key, hypothesis in told.now.hypotheses.items()}
    return from_credence(told.case, labels, told.now.credence)


def _learn(now: Standpoint, conclusion: Conclusion) -> Standpoint:
    return now._replace(conclusion=conclusion)


def _words(conclusion: Conclusion) -> Iterator[str]:
    yield conclusion.justification


CONCLUDE: Final = TrunkStop(
    name=NODE,
    title="Conclusion",
    letter="C",
    colour="#0060a8",
    output=Conclusion,
    words=_words,
    learn=_learn,
    room=lambda told: room(told.limits),
    think=_think,
    errand="for the last call",
    without_call=_without_call,
)
