"""Generate the differential: every option is a hypothesis with a prior, and others may be added."""

import unicodedata
from collections.abc import Collection, Iterator, Sequence
from functools import cache
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from ddxgraph.nodes.call.consultation import Consultation, Turn
from ddxgraph.nodes.call.reply import form, list_of, text, whole
from ddxgraph.nodes.case import Case
from ddxgraph.nodes.review_history import Finding, History
from ddxgraph.nodes.settings import Limits
from ddxgraph.nodes.stop import Briefing, Standpoint, TrunkStop

NODE: Final = "generate_differential"
LABEL_CHARS: Final = 120
EVEN_PRIOR: Final = 0.5
"""Prior of a hypothesis for which the model gave none."""


class Hypothesis(BaseModel):
    """A candidate answer: a diagnosis, or a next step, treatment or mechanism, as the question asks."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    """The option's letter; H1, H2, ... for a hypothesis that is not an option."""
    label: str
    letter: str | None = None
    rationale: str = ""
    prior: float = Field(default=EVEN_PRIOR, gt=0, lt=1)
    """As the model stated it, in 0..1; not normalised over the differential."""


class Refutation(BaseModel):
    """Why a hypothesis was ruled out."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    hypothesis: str
    because: str


class Differential(BaseModel):
    """All hypotheses after this visit: the options by letter, then the others in order of appearance."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["differential"] = "differential"
    reasoning: str = ""
    hypotheses: tuple[Hypothesis, ...] = ()
    revived: tuple[str, ...] = ()
    """Hypotheses that stand again, because all of them had been refuted."""
    merged: int = 0
    """Number of duplicates merged into a hypothesis of the same name."""


@cache
def output_model(letters: tuple[str, ...], others: int, limits: Limits) -> type[BaseModel]:
    """The form of the reply: each option is a field of its own, so that none is left out or repeated.

    Args:
        letters: the options' letters.
        others: maximum number of hypotheses that are not options.
        limits: maximum sizes in the reply.

    Returns:
        The form.
    """
    note, percent = text(limits.note_chars), whole(1, 99)
    fields: dict[str, Any] = {"reasoning": text(limits.reasoning_chars)}
    if letters:
        weighed = form("Weighed", rationale=note, prior=percent)
        fields["options"] = form("Options", **dict.fromkeys(letters, weighed))
    if others:
        named = form("Named", label=text(LABEL_CHARS, least=2), rationale=note, prior=percent)
        fields["others"] = list_of(named, most=others, least=0 if letters else 1)
    return form("GenerateDifferential", **fields)


async def generate_differential(
    case: Case,
    read: Sequence[Finding],
    known: Sequence[Hypothesis],
    refuted: Sequence[Refutation],
    critique: str,
    line: Consultation,
    limits: Limits,
    *,
    first: bool = False,
) -> Differential:
    """Name what could be true, or after a backtrack what else could be.

    Args:
        case: the case.
        read: findings of the review that led here. The model is told their ids, which it cannot count itself,
            since a review drops findings that are not in the case.
        known: hypotheses of earlier visits; empty at the first.
        refuted: what was ruled out, and why.
        critique: why the differential did not hold; empty at the first visit.
        line: the line to the model.
        limits: maximum sizes in the reply.
        first: whether this is the first visit although hypotheses are known, since an expert gave them.

    Returns:
        The whole differential. If the reply could not be parsed, it consists of the known hypotheses and of the
        options with even priors (so it is empty at the first visit of a free-form case).

    Raises:
        EngineFailed: the model gave no reply.
    """
    others = _others(case, known, limits)
    labels = {hypothesis.id: hypothesis.label for hypothesis in known}
    asking = line.prompts.render(
        NODE,
        noted=[f"{finding.id} {finding.quote}" for finding in read],
        letters=case.letters,
        others=others,
        again=bool(known) and not first,
        refuted=[f"{labels.get(r.hypothesis, r.hypothesis)}: {r.because}" for r in refuted],
        critique=critique,
    )
    wanted = output_model(case.letters, others, limits)
    output: Any = await line.ask(Turn(NODE, asking, wanted, room(case, limits)))
    return settle(output, case, known, [r.hypothesis for r in refuted])


def room(case: Case, limits: Limits) -> int:
    """Completion tokens that a visit may need."""
    free = max(limits.others, 1) if case.options else limits.hypotheses
    named = limits.completion_tokens(free, limits.note_chars + LABEL_CHARS)
    return named + len(case.letters) * (limits.note_chars + 60) // 2


def _others(case: Case, known: Sequence[Hypothesis], limits: Limits) -> int:
    """How many hypotheses that are not options a visit may name; after a backtrack at least one."""
    if not case.options:
        return limits.hypotheses
    return max(limits.others, 1) if known else limits.others


def settle(
    output: Any, case: Case, known: Sequence[Hypothesis], refuted: Collection[str] = ()
) -> Differential:
    """Merge the named hypotheses into the known ones; a second mention updates the prior.

    Args:
        output: the parsed reply; None if it could not be parsed.
        case: the case.
        known: hypotheses of earlier visits.
        refuted: ids of those that were ruled out.

    Returns:
        The whole differential.
    """
    options = getattr(output, "options", None)
    by_id: dict[str, Hypothesis] = {h.id: h for h in known}
    for letter, label in case.options.items():
        weighed = getattr(options, letter, None)
        if weighed is not None:
            by_id[letter] = _hypothesis(letter, label, weighed, letter)
        else:
            by_id.setdefault(letter, Hypothesis(id=letter, label=label, letter=letter))
    names = {name_key(h.label): h.id for h in by_id.values()}
    merged = 0
    for named in getattr(output, "others", None) or ():
        key = name_key(named.label)
        twin = names.get(key)
        if twin is None:
            number = sum(h.letter is None for h in by_id.values()) + 1
            names[key] = f"H{number}"
            by_id[f"H{number}"] = _hypothesis(f"H{number}", named.label.strip(), named, None)
        else:
            merged += 1
            if by_id[twin].letter is None and twin in {h.id for h in known}:
                by_id[twin] = by_id[twin].model_copy(update={"prior": named.prior / 100})
    none_left = bool(refuted) and all(key in refuted for key in by_id)
    return Differential(
        reasoning=getattr(output, "reasoning", ""),
        hypotheses=tuple(by_id.values()),
        revived=tuple(by_id) if none_left else (),
        merged=merged,
    )


def _hypothesis(key: str, label: str, given: Any, letter: str | None) -> Hypothesis:
    return Hypothesis(id=key, label=label, letter=letter, rationale=given.rationale, prior=given.prior / 100)


def name_key(label: str) -> str:
    """Two names are the same if this is: their letters and digits, case folded."""
    folded = unicodedata.normalize("NFKC", label).casefold()
    return " ".join(
        "".join(c if c == "+" or unicodedata.category(c)[0] in "LNM" else " " for c in folded).split()
    )


def _noted(briefing: Briefing) -> Sequence[Finding]:
    """The findings whose ids the model is told: those of the last review, or all of them after an edit."""
    if briefing.edited:
        return list(briefing.now.findings.values())
    return briefing.before.findings if isinstance(briefing.before, History) else ()


async def _think(briefing: Briefing, line: Consultation) -> Differential:
    now = briefing.now
    return await generate_differential(
        briefing.case,
        _noted(briefing),
        list(now.hypotheses.values()),
        list(now.refuted.values()),
        now.critique,
        line,
        briefing.limits,
        first=not briefing.again,
    )


def _learn(now: Standpoint, differential: Differential) -> Standpoint:
    hypotheses = {hypothesis.id: hypothesis for hypothesis in differential.hypotheses}
    if not differential.revived:
        return now._replace(hypotheses=hypotheses)
    refuted = {key: why for key, why in now.refuted.items() if key not in differential.revived}
    return now._replace(hypotheses=hypotheses, refuted=refuted)


def _words(differential: Differential) -> Iterator[str]:
    yield differential.reasoning
    yield from (hypothesis.rationale for hypothesis in differential.hypotheses)


GENERATE_DIFFERENTIAL: Final = TrunkStop(
    name=NODE,
    title="Differential",
    letter="D",
    colour="#8f3f88",
    output=Differential,
    words=_words,
    learn=_learn,
    room=lambda briefing: room(briefing.case, briefing.limits),
    think=_think,
)
