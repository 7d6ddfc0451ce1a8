"""Reflect: criticise the leading hypothesis, rule out what is refuted, and decide where to go."""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict

from ddxgraph.nodes.call.consultation import Consultation, Turn
from ddxgraph.nodes.call.reply import form, list_of, one_of, text
from ddxgraph.nodes.generate_differential import Refutation
from ddxgraph.nodes.settings import Limits
from ddxgraph.nodes.stop import Briefing, Standpoint, TrunkStop

NODE: Final = "reflect"
MAX_TARGETS: Final = 2

Verdict = Literal["conclude", "recheck_evidence", "widen_differential", "reread_history"]


class Reflection(BaseModel):
    """The output of one reflection."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["reflection"] = "reflection"
    critique: str = ""
    refuted: tuple[Refutation, ...] = ()
    verdict: Verdict = "conclude"
    targets: tuple[str, ...] = ()
    """Hypotheses whose evidence should be checked again."""


@cache
def output_model(active: tuple[str, ...], limits: Limits) -> type[BaseModel]:
    """The form of the reply, which can refute or recheck only hypotheses that still stand."""
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
    """Look back on the journey.

    Args:
        standing: one line per hypothesis with its credence, the leader first.
        active: ids of the hypotheses that still stand; at least one.
        line: the line to the model.
        limits: maximum sizes in the reply.

    Returns:
        The reflection. If the reply could not be parsed, it refutes nothing and concludes.

    Raises:
        EngineFailed: the model gave no reply.
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


async def _think(briefing: Briefing, line: Consultation) -> Reflection:
    # Sorted, because forms are cached and depend on the order.
    active = tuple(sorted(briefing.now.ranking))
    return await reflect(briefing.standing, active, line, briefing.limits)


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
    room=lambda briefing: room(briefing.limits),
    think=_think,
    errand="to reflect",
)
