"""Reflect: criticise the leader, give up what is refuted, and say where to go from here."""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict

from ddxgraph.nodes.consultation import Consultation, Turn
from ddxgraph.nodes.generate_differential import Refutation
from ddxgraph.nodes.reply import form, list_of, one_of, text
from ddxgraph.nodes.settings import Limits
from ddxgraph.nodes.stop import Briefing, Standpoint, TrunkStop

NODE: Final = "reflect"
MAX_TARGETS: Final = 2

Verdict = Literal["conclude", "recheck_evidence", "widen_differential", "reread_history"]


class Reflection(BaseModel):
    """The judgement over the journey so far."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["reflection"] = "reflection"
    critique: str = ""
    refuted: tuple[Refutation, ...] = ()
    verdict: Verdict = "conclude"
    targets: tuple[str, ...] = ()
    """Hypotheses whose evidence is to be checked again."""


@cache
def output_model(active: tuple[str, ...], limits: Limits) -> type[BaseModel]:
    """The form of the reply; only a hypothesis that still stands can be refuted or sent back."""
    named = one_of(active)
    refutation = form("RefutedHypothesis", hypothesis=named, because=text(limits.note_chars))
    return form(
        "Reflect",
        critique=text(limits.reasoning_chars),
        refuted=list_of(refutation, most=min(limits.refutations, len(active))),
        verdict=Verdict,
        targets=list_of(named, most=min(MAX_TARGETS, len(active))),
    )


def room(limits: Limits) -> int:
    """Completion tokens that a reflection may need."""
    return limits.completion_tokens(limits.refutations + 1, limits.note_chars)


async def reflect(
    standing: Sequence[str], active: tuple[str, ...], line: Consultation, limits: Limits
) -> Reflection:
    """Look back over the journey.

    Args:
        standing: one line a hypothesis, the leader first, with its credence.
        active: ids of the hypotheses that still stand; at least one.
        line: the line to the model.
        limits: how much may be written.

    Returns:
        The verdict; to conclude, refuting nothing, where the reply could not be read.
    """
    asking = line.prompts.render(NODE, standing=standing, refutable=active)
    output: Any = await line.ask(Turn(NODE, asking, output_model(active, limits), room(limits)))
    if output is None:
        return Reflection()
    refuted = {r.hypothesis: Refutation(hypothesis=r.hypothesis, because=r.because) for r in output.refuted}
    return Reflection(
        critique=output.critique,
        refuted=tuple(refuted.values()),
        verdict=output.verdict,
        targets=tuple(dict.fromkeys(output.targets)),
    )


async def _think(told: Briefing, line: Consultation) -> Reflection:
    # In a fixed order: the form of the reply depends on it, and forms are kept.
    active = tuple(sorted(told.now.ranking))
    return await reflect(told.standing, active, line, told.limits)


def _learn(now: Standpoint, reflection: Reflection) -> Standpoint:
    refuted = {refutation.hypothesis: refutation for refutation in reflection.refuted}
    return now._replace(critique=reflection.critique, refuted={**now.refuted, **refuted})


def _words(reflection: Reflection) -> Iterator[str]:
    yield reflection.critique
    yield from (refutation.because for refutation in reflection.refuted)


REFLECT: Final = TrunkStop(
    name=NODE,
    title="Reflection",
    letter="R",
    colour="#a33a00",
    output=Reflection,
    words=_words,
    learn=_learn,
    room=lambda told: room(told.limits),
    think=_think,
    errand="to reflect",
)
