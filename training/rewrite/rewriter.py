"""Has a model rewrite monologues. If the check refuses a rewrite, the template's text stays.

The model is shown the template's text and a list of what it tells: no case and no gold answer. The journey's own
answer is part of the text.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing
from typing import Any, Final, NamedTuple

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage

from ddxgraph.batch.pool import batches
from ddxgraph.batch.runner import GRACE_S
from ddxgraph.common.errors import BadInput, RewritesUnfinished
from ddxgraph.graph.trace import Trace, provenance_of
from ddxgraph.nodes.call.consultation import Allowance, Consultation, Turn, Wording
from ddxgraph.nodes.call.patience import Patience
from ddxgraph.nodes.call.usage import Usage, estimate_tokens, total_usage
from ddxgraph.nodes.failure import EngineFailed, Failure, FailureKind
from ddxgraph.nodes.settings import Sampling
from ddxgraph.prompts.library import PromptSet
from ddxgraph.training.rewrite.check import CHECK, Fault, FaultKind, check_rewrite, milestones
from ddxgraph.training.rewrite.store import RewriteKey, RewriteLog, RewriteTry, rewriter_digest, text_digest
from ddxgraph.training.styles.compile import Message, Sample
from ddxgraph.training.styles.events import Journey
from ddxgraph.training.styles.journey import journey_of
from ddxgraph.training.styles.registry import rewritten_styles

PROMPTS: Final = ("rewrite",)
"""The rewriter's prompt set."""

_NODE: Final = "rewrite"  # no node of a trace: only the call's label
_ONE_CALL: Final = Allowance(calls=1, tokens=1 << 40)
_SPARE_TOKENS: Final = 256
_LEAST_STREAK: Final = 16
"""Fewest failures in a row that end a pass, at any concurrency."""


class Draft(NamedTuple):
    """A monologue to rewrite."""

    trace: str
    """The trace's id."""
    journey: Journey
    options: Mapping[str, str]
    text: str
    """As the templates tell it."""


class Rewritten(NamedTuple):
    """The outcome for a monologue."""

    trace: str
    text: str
    """The accepted rewrite, or the template's text."""
    accepted: bool
    faults: tuple[Fault, ...]
    """Of the last try; empty if it is accepted."""
    tries: int
    usage: Usage
    """Over all tries, including those of earlier passes."""


def draft_of(trace: Trace, sample: Sample) -> Draft:
    """The monologue of a compiled trace.

    Args:
        trace: the traversal's record.
        sample: what `compile_journey` made of it, in a style that is rewritten.

    Raises:
        BadInput: the sample is of another style or another trace.
    """
    styles = rewritten_styles()
    if sample.meta.style not in styles or sample.meta.trace != trace.id:
        raise BadInput(
            f"only the {' or '.join(map(repr, styles))} sample of trace {trace.id} can be rewritten; this one is "
            f"{sample.meta.style!r} of {sample.meta.trace}"
        )
    journey = journey_of(trace, sample.meta.tries)
    return Draft(trace.id, journey, trace.case.options, sample.messages[-1].content)


def withdrawn(rewritten: Rewritten, template: str, fault: Fault) -> Rewritten:
    """Refuse an accepted rewrite after all.

    Args:
        rewritten: the outcome so far.
        template: the text that replaces the rewrite.
        fault: why it is refused.

    Returns:
        The new outcome.
    """
    return rewritten._replace(text=template, accepted=False, faults=(fault,))


def retold(sample: Sample, rewritten: Rewritten) -> Sample:
    """A sample whose reply is the outcome's text; its other messages stay."""
    reply = Message(role="assistant", content=rewritten.text)
    return sample.model_copy(update={"messages": (*sample.messages[:-1], reply)})


class Rewriter:
    """A chat model with the rewriter's prompt.

    Args:
        model: the chat model. If its profile has the length of its context, a text that does not fit is not sent.
        sampling: temperature 0.7 and seed 0 by default. The second try of a monologue has the next seed and is
            told why the first was refused.
        prompts: a set that holds `rewrite`; the shipped one by default.
        patience: see `Patience`.
        attempts: maximum tries per monologue, at least 1.

    Raises:
        BadInput: `attempts` is less than 1.
    """

    def __init__(
        self,
        model: BaseChatModel,
        *,
        sampling: Sampling | None = None,
        prompts: PromptSet | None = None,
        patience: Patience | None = None,
        attempts: int = 2,
    ) -> None:
        if attempts < 1:
            raise BadInput(f"a monologue cannot be rewritten in {attempts} tries: allow 1 or more")
        prompts = prompts or PromptSet(names=PROMPTS)
        sampling = sampling or Sampling(temperature=0.7, seed=0)
        self.attempts = attempts
        self.wording = Wording(model, prompts, sampling, patience or Patience())
        self.provenance = provenance_of(model, sampling, prompts.hash)
        self.digest = rewriter_digest(self.provenance)
        """Identifies the model, its adapter, sampling and prompt."""

    async def rewrite(self, draft: Draft, log: RewriteLog) -> Rewritten:
        """Have a monologue rewritten until it is accepted or the tries are spent; tries on record count.

        Raises:
            EngineFailed: the engine gave no reply; earlier replies are kept.
            RewriteError: the file cannot be written.
        """
        key = RewriteKey(self.digest, draft.trace, text_digest(draft.text))
        known, tries = log.tries(key), list[RewriteTry]()
        faults: tuple[Fault, ...] = ()
        for number in range(self.attempts):
            if number < len(known):
                attempt = known[number]
                faults = faults_of(draft, attempt.text, truncated=attempt.truncated)
            else:
                try:
                    attempt = await self._ask(draft, key, number, faults)
                except EngineFailed as error:
                    if error.failure.kind is not FailureKind.CONTEXT_LENGTH:
                        raise
                    faults = (Fault(kind=FaultKind.NO_ROOM),)
                    break
                log.append(attempt)
                faults = attempt.faults
            tries.append(attempt)
            if not faults:
                break
        text = draft.text if faults else tries[-1].text
        usage = total_usage(attempt.usage for attempt in tries)
        return Rewritten(draft.trace, text, not faults, faults, len(tries), usage)

    async def _ask(self, draft: Draft, key: RewriteKey, number: int, faults: Iterable[Fault]) -> RewriteTry:
        """One try; `faults` are those of the try before it."""
        wording = self.wording.for_sample(number)
        window = (wording.model.profile or {}).get("max_input_tokens")
        line = Consultation(
            wording, lambda text: [HumanMessage(text)], _ONE_CALL, {}, f"rewrite-{draft.trace}", window
        )
        values = {"text": draft.text, "answer_line": draft.text.rpartition("\n")[2]}
        points, reasons = points_of(draft.journey, draft.options), [str(fault) for fault in faults]
        prompt = wording.prompts.render("rewrite", points=points, faults=reasons, **values)
        turn: Turn[Any] = Turn(_NODE, prompt, None, estimate_tokens([draft.text]) * 3 // 2 + _SPARE_TOKENS)
        reply = await line.write(turn)
        text = reply.text.rpartition("</think>")[2].strip()  # without a reasoning model's own thoughts
        return RewriteTry(
            **key._asdict(),
            number=number,
            text=text,
            truncated=reply.truncated,
            faults=faults_of(draft, text, truncated=reply.truncated),
            check=CHECK,
            provenance=self.provenance,
            usage=reply.usage,
        )


async def rewrite(
    drafts: Iterable[Draft],
    rewriter: Rewriter,
    log: RewriteLog,
    *,
    concurrency: int = 8,
    stop: asyncio.Event | None = None,
    grace_s: float = GRACE_S,
) -> AsyncGenerator[Rewritten, None]:
    """Have monologues rewritten; yields each outcome as it is settled, so in no fixed order.

    Replies on record are not requested again. If you stop early, close the generator (`contextlib.aclosing`).

    Args:
        drafts: see `draft_of`.
        rewriter: the chat model with its settings.
        log: the file of replies, open.
        concurrency: monologues at a time.
        stop: once set, no further monologue is begun.
        grace_s: seconds that those in flight then have.

    Raises:
        RewriteError: the file cannot be written.
        RewritesUnfinished: the engine gave no reply for some monologues, even after all retries. They are not
            refused: repeating the call asks for them again.
    """
    failures, streak, last = 0, 0, ""

    async def settle(draft: Draft) -> Rewritten | Failure:
        try:
            return await rewriter.rewrite(draft, log)
        except EngineFailed as error:
            return error.failure

    pool = batches(drafts, settle, concurrency=concurrency, stop=stop or asyncio.Event(), grace_s=grace_s)
    async with aclosing(pool) as settled:
        async for batch in settled:
            for outcome in batch:
                if isinstance(outcome, Failure):
                    failures, streak, last = failures + 1, streak + 1, outcome.message
                else:
                    streak = 0
                    yield outcome
            if streak >= max(_LEAST_STREAK, 2 * concurrency):
                break
    if failures:
        raise RewritesUnfinished(
            f"the engine gave no reply to {failures} {'monologue' if failures == 1 else 'monologues'} (the last: "
            f"{last}); none of them is counted as refused"
        )


def faults_of(draft: Draft, text: str, *, truncated: bool = False) -> tuple[Fault, ...]:
    """Why a rewrite is refused.

    Args:
        draft: what was to be rewritten.
        text: the rewrite.
        truncated: whether the reply was cut off at its token limit.

    Returns:
        The faults; empty if it is accepted.
    """
    if truncated:
        return (Fault(kind=FaultKind.CUT_OFF),)
    if text.split() == draft.text.split():
        return (Fault(kind=FaultKind.UNCHANGED),)
    return check_rewrite(draft.journey, text, draft.options)


def points_of(journey: Journey, options: Mapping[str, str]) -> list[str]:
    """What a rewrite must tell, in order, one line each."""
    return [milestone.point for milestone in milestones(journey, options)]


class RewriteSummary(NamedTuple):
    """The outcome of a pass in figures."""

    asked: int
    accepted: int
    refusals: Mapping[str, int]
    """Kind of fault to monologues whose last try has it, by falling count; a monologue may have several."""
    tries: int
    usage: Usage

    @property
    def share(self) -> float | None:
        """Accepted / asked, in 0..1; None if nothing was asked."""
        return self.accepted / self.asked if self.asked else None


def summary_of(rewritten: Iterable[Rewritten]) -> RewriteSummary:
    """Sum up a pass."""
    outcomes = list(rewritten)
    kinds = Counter(sorted(kind.value for each in outcomes for kind in {fault.kind for fault in each.faults}))
    accepted, tries = sum(each.accepted for each in outcomes), sum(each.tries for each in outcomes)
    usage = total_usage(each.usage for each in outcomes)
    return RewriteSummary(len(outcomes), accepted, dict(kinds.most_common()), tries, usage)
