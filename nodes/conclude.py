"""Conclude: the answer, the reasons for it, and the probability of each option."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from ddxgraph.nodes.call.consultation import TOP_LOGPROBS, Consultation, Turn
from ddxgraph.nodes.call.reply import form, one_of, text
from ddxgraph.nodes.call.statement import probabilities_at
from ddxgraph.nodes.case import Case
from ddxgraph.nodes.settings import Limits
from ddxgraph.nodes.stop import Briefing, Standpoint, TrunkStop

NODE: Final = "conclude"
ANSWER_CHARS: Final = 200
_CLOSES: Final = '"} \n'
"""Characters that may follow the answer's letter within its token."""


class Conclusion(BaseModel):
    """The output of the conclusion."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["conclusion"] = "conclusion"
    justification: str = ""
    answer: str | None = None
    """An option's letter, or text in a free-form case; None if there is no answer."""
    distribution: Mapping[str, float] = Field(default_factory=dict)
    """Probability of each option (by letter) or hypothesis (by id); sums to one unless empty."""
    distribution_from: Literal["logprobs", "credence", "none"] = "none"
    """`logprobs`: of the answer's token, renormalised over the options; or the `credence` of the differential."""


@cache
def output_model(letters: tuple[str, ...], limits: Limits) -> type[BaseModel]:
    """The form of the reply. The answer comes last, since its token is located from the end."""
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
        standing: one line per hypothesis, the leader first.
        credence: hypothesis id to credence.
        spent: whether a spent budget ended the journey.
        line: the line to the model.
        limits: maximum sizes in the reply.

    Returns:
        The conclusion, without an answer if the reply could not be parsed. The distribution comes from the
        log-probabilities of the answer's token, or from the credence if the engine gives none.

    Raises:
        EngineFailed: the model gave no reply.
    """
    asking = line.prompts.render(NODE, standing=standing, letters=case.letters, spent=spent)
    logprobs = TOP_LOGPROBS if case.letters else 0
    turn = Turn(NODE, asking, output_model(case.letters, limits), room(limits), logprobs=logprobs)
    output: Any = await line.ask(turn)
    if output is None:
        return Conclusion()
    reply = line.reply
    measured = letter_probabilities(reply.text, reply.logprobs, case.letters) if reply else None
    distribution = measured or over_options(credence, case.letters)
    return Conclusion(
        justification=output.justification,
        answer=output.answer,
        distribution=distribution,
        distribution_from="logprobs" if measured else "credence" if distribution else "none",
    )


def from_credence(case: Case, labels: Mapping[str, str], credence: Mapping[str, float]) -> Conclusion:
    """The conclusion without a call: the best hypothesis so far.

    Args:
        case: the case.
        labels: hypothesis id to label.
        credence: hypothesis id to credence.

    Returns:
        The hypothesis with the highest credence (the first of equals); no answer if there is no hypothesis.
    """
    distribution = over_options(credence, case.letters)
    if not distribution:
        return Conclusion(justification="The budget was spent before a differential was there.")
    best = max(distribution, key=lambda key: distribution[key])
    return Conclusion(
        justification="The budget was spent: the hypothesis with the highest credence stands.",
        answer=best if case.letters else labels[best],
        distribution=distribution,
        distribution_from="credence",
    )


def over_options(credence: Mapping[str, float], letters: Sequence[str]) -> dict[str, float]:
    """Credence renormalised over the options, or over all hypotheses in a free-form case."""
    kept = {key: credence.get(key, 0.0) for key in (letters or credence)}
    total = sum(kept.values())
    return {key: value / total for key, value in kept.items()} if total > 0 else {}


def letter_probabilities(
    text: str, tokens: Sequence[Mapping[str, Any]] | None, letters: Sequence[str]
) -> dict[str, float] | None:
    """Probability of each option's letter as the answer.

    Args:
        text: the reply, a JSON object whose last field is the letter.
        tokens: OpenAI's `logprobs.content`.
        letters: the options' letters.

    Returns:
        Letter to probability, summing to one; None if the answer's token cannot be located.
    """
    return probabilities_at(text.rfind('"') - 1, text, tokens, letters, _CLOSES)


async def _think(briefing: Briefing, line: Consultation) -> Conclusion:
    case, now = briefing.case, briefing.now
    return await conclude(case, briefing.standing, now.credence, briefing.spent, line, briefing.limits)


def _without_call(briefing: Briefing) -> Conclusion:
    labels = {key: hypothesis.label for key, hypothesis in briefing.now.hypotheses.items()}
    return from_credence(briefing.case, labels, briefing.now.credence)


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
    room=lambda briefing: room(briefing.limits),
    think=_think,
    errand="for the last call",
    without_call=_without_call,
)
