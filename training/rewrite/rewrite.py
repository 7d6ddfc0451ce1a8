"""Rewriting monologues by a model: what the check refuses leaves the template as it was.

The model is shown the template's text and a list of what it tells, and nothing else: no case, no gold answer. The
journey's own answer is part of the text.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, cast

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage

from ddxgraph.batch.runner import GRACE_S
from ddxgraph.common.errors import BadInput, RewritesUnfinished
from ddxgraph.graph.trace import Provenance, Trace, provenance_of
from ddxgraph.nodes.consultation import Allowance, Consultation, NodeName, Reply, Turn, Wording
from ddxgraph.nodes.failure import EngineFailed, Failure, FailureKind
from ddxgraph.nodes.patience import Patience
from ddxgraph.nodes.sampling import Sampling
from ddxgraph.nodes.usage import Usage, estimate_tokens, total_usage
from ddxgraph.prompts.library import PromptSet
from ddxgraph.training.rewrite.check import CHECK, Fault, FaultKind, check_rewrite
from ddxgraph.training.rewrite.store import (
    RewriteKey,
    RewriteLog,
    RewriteTry,
    rewriter_digest,
    text_digest,
)
from ddxgraph.training.styles.compile import Message, Sample
from ddxgraph.training.styles.journey import (
    Checked,
    Concluded,
    Event,
    Journey,
    Named,
    Refuted,
    Revived,
    WentBack,
    journey_of,
)
from ddxgraph.training.styles.quoting import Name, joined, names_of
from ddxgraph.training.styles.voice import answer_line

PROMPTS: Final = ("rewrite",)
"""The rewriter's prompt set."""
STYLE: Final = "longmonolog"
"""The one style that is rewritten."""

_NODE: Final = cast(NodeName, "rewrite")  # no node of a trace: only the call's label
_AT_MOST: Final = Allowance(calls=1, tokens=1 << 40)
_SPARE_TOKENS: Final = 256
_LEAST_STREAK: Final = 16
"""Failures in a row that end a pass, however few monologues are put at a time."""
_THINKING: Final = "</think>"
_PLACES: Final[Mapping[str, str]] = {
    "review_history": "the history",
    "generate_differential": "the list of candidates",
    "check_evidence": "the evidence",
}


class Draft(NamedTuple):
    """A monologue to be rewritten."""

    trace: str
    """The trace's id."""
    journey: Journey
    options: Mapping[str, str]
    text: str
    """As the templates tell it."""


class Rewritten(NamedTuple):
    """What came of a monologue."""

    trace: str
    text: str
    """The accepted rewriting; else the template."""
    accepted: bool
    faults: tuple[Fault, ...]
    """Of the last try; none where it is accepted."""
    tries: int
    usage: Usage
    """Over all tries, those of earlier passes included."""


def draft_of(trace: Trace, sample: Sample) -> Draft:
    """The monologue of a compiled trace.

    Args:
        trace: the traversal.
        sample: what `compile_journey` made of it in the style `longmonolog`.

    Raises:
        BadInput: the sample is of another style or another trace.
    """
    if sample.meta.style != STYLE or sample.meta.trace != trace.id:
        raise BadInput(
            f"only the {STYLE!r} sample of trace {trace.id} can be rewritten; this one is {sample.meta.style!r} "
            f"of {sample.meta.trace}"
        )
    return Draft(
        trace.id, journey_of(trace, sample.meta.tries), trace.case.options, sample.messages[-1].content
    )


def withdrawn(rewritten: Rewritten, template: str, fault: Fault) -> Rewritten:
    """A rewriting that the check accepted and that is refused all the same: the template stands."""
    return rewritten._replace(text=template, accepted=False, faults=(fault,))


def retold(sample: Sample, rewritten: Rewritten) -> Sample:
    """A sample with the text that came of it; its other messages stay."""
    reply = Message(role="assistant", content=rewritten.text)
    return sample.model_copy(update={"messages": (*sample.messages[:-1], reply)})


@dataclass(frozen=True)
class Rewriter:
    """A chat model with the rewriter's prompt; made by `rewriter`."""

    wording: Wording
    provenance: Provenance
    digest: str
    """Names the model, its adapter, sampling and prompt."""
    attempts: int = 2
    window: int | None = None

    async def rewrite(self, draft: Draft, log: RewriteLog) -> Rewritten:
        """Have a monologue rewritten, as often as allowed until it is accepted; tries on record count.

        Raises:
            EngineFailed: the engine gave no reply; what came before is kept.
            RewriteError: the file cannot be written.
        """
        key = RewriteKey(self.digest, draft.trace, text_digest(draft.text))
        done = log.tries(key)[: self.attempts]
        for place, known in enumerate(done):
            faults = faults_of(draft, known.text, truncated=known.truncated)
            if not faults:
                return _accepted(draft, known, done[: place + 1])
        faults = faults_of(draft, done[-1].text, truncated=done[-1].truncated) if done else ()
        while len(done) < self.attempts:
            try:
                reply = await self._ask(draft, len(done), faults)
            except EngineFailed as error:
                if error.failure.kind is not FailureKind.CONTEXT_LENGTH:
                    raise
                return _refused(draft, (Fault(kind=FaultKind.NO_ROOM),), done)
            said = _said(reply.text)
            faults = faults_of(draft, said, truncated=reply.truncated)
            one = RewriteTry(
                **key._asdict(),
                number=len(done),
                text=said,
                truncated=reply.truncated,
                faults=faults,
                check=CHECK,
                provenance=self.provenance,
                usage=reply.usage,
            )
            log.append(one)
            done.append(one)
            if not faults:
                return _accepted(draft, one, done)
        return _refused(draft, faults, done)

    async def _ask(self, draft: Draft, number: int, faults: tuple[Fault, ...]) -> Reply[Any]:
        wording = self.wording.for_sample(number)
        asking = wording.prompts.render(
            "rewrite",
            text=draft.text,
            points=points_of(draft.journey, draft.options),
            answer_line=_answer_line(draft.journey),
            faults=[_in_words(fault) for fault in faults],
        )
        line = Consultation(
            wording=wording,
            messages=lambda said: [HumanMessage(said)],
            allowance=_AT_MOST,
            config={},
            conversation=f"rewrite-{draft.trace}",
            window=self.window,
        )
        return await line.write(
            Turn(_NODE, asking, None, estimate_tokens([draft.text]) * 3 // 2 + _SPARE_TOKENS)
        )


def rewriter(
    model: BaseChatModel,
    *,
    sampling: Sampling | None = None,
    prompts: PromptSet | None = None,
    patience: Patience | None = None,
    attempts: int = 2,
) -> Rewriter:
    """A rewriter on a chat model.

    Args:
        model: the chat model; where its profile says how long its context is, what does not fit is not asked.
        sampling: temperature 0.7 and seed 0 by default; the second try of a monologue has the next seed, and is
            told why the first was refused.
        prompts: a set that holds `rewrite`; the shipped one by default.
        patience: see `Patience`.
        attempts: most tries of a monologue, at least 1.

    Raises:
        BadInput: `attempts` is less than 1.
    """
    if attempts < 1:
        raise BadInput(f"a monologue cannot be rewritten in {attempts} tries: allow 1 or more")
    prompts = prompts or PromptSet(names=PROMPTS)
    sampling = sampling or Sampling(temperature=0.7, seed=0)
    known = provenance_of(model, sampling, prompts.hash)
    wording = Wording(model, prompts, sampling, patience or Patience())
    window = (model.profile or {}).get("max_input_tokens")
    return Rewriter(wording, known, rewriter_digest(known), attempts, window)


async def rewrite(
    drafts: Iterable[Draft],
    rewriter: Rewriter,
    log: RewriteLog,
    *,
    concurrency: int = 8,
    stop: asyncio.Event | None = None,
    grace_s: float = GRACE_S,
) -> AsyncGenerator[Rewritten, None]:
    """Have monologues rewritten; yields each as it is settled, so in no fixed order.

    What the log holds already is not asked again. Whoever does not take the iterator to its end should close it
    (`contextlib.aclosing`).

    Args:
        drafts: see `draft_of`.
        rewriter: see `rewriter`.
        log: the file of rewritings, open.
        concurrency: monologues at a time.
        stop: once set, no other monologue is begun.
        grace_s: seconds that those in flight then have.

    Raises:
        RewriteError: the file cannot be written.
        RewritesUnfinished: the engine gave no reply to some monologues, even after all patience. They are not
            refused, and the same pass goes on.
    """
    pass_ = _Pass(iter(drafts), rewriter, log, max(_LEAST_STREAK, 2 * concurrency), stop or asyncio.Event())
    workers = [asyncio.create_task(pass_.work()) for _ in range(concurrency)]
    watch = asyncio.create_task(_stopping(pass_.stop, workers, grace_s))
    end = asyncio.create_task(_ending(workers, pass_.settled))
    try:
        while (one := await pass_.settled.get()) is not None:
            yield one
        for worker in workers:
            if not worker.cancelled() and (error := worker.exception()):
                raise error
        pass_.complain()
    finally:
        for task in (watch, end, *workers):
            task.cancel()
        await asyncio.gather(watch, end, *workers, return_exceptions=True)


class _Pass:
    """What the workers of a pass share."""

    def __init__(
        self, drafts: Iterator[Draft], rewriter: Rewriter, log: RewriteLog, most: int, stop: asyncio.Event
    ) -> None:
        self._drafts, self._rewriter, self._log, self._most = drafts, rewriter, log, most
        self._failed = self._streak = 0
        self._last: Failure | None = None
        self.stop = stop
        self.settled: asyncio.Queue[Rewritten | None] = asyncio.Queue()

    async def work(self) -> None:
        """Take one monologue after another."""
        while not self.stop.is_set() and self._streak < self._most:
            draft = next(self._drafts, None)
            if draft is None:
                return
            try:
                one = await self._rewriter.rewrite(draft, self._log)
            except EngineFailed as error:
                self._failed, self._streak, self._last = self._failed + 1, self._streak + 1, error.failure
            else:
                self._streak = 0
                self.settled.put_nowait(one)
                await asyncio.sleep(0)  # what was on record would else be settled without a look at `stop`

    def complain(self) -> None:
        """Say that the engine failed, if it did."""
        if self._last is None:
            return
        times = "1 monologue" if self._failed == 1 else f"{self._failed} monologues"
        raise RewritesUnfinished(
            f"the engine gave no reply to {times} (the last: {self._last.message}); none of them is counted as "
            "refused"
        )


async def _ending(workers: list[asyncio.Task[None]], settled: asyncio.Queue[Rewritten | None]) -> None:
    """Tell the reader that nothing more comes; an error of one worker ends the others."""
    await asyncio.wait(workers, return_when=asyncio.FIRST_EXCEPTION)
    for worker in workers:
        worker.cancel()
    await asyncio.gather(*workers, return_exceptions=True)
    settled.put_nowait(None)


async def _stopping(stop: asyncio.Event, workers: list[asyncio.Task[None]], grace_s: float) -> None:
    await stop.wait()
    await asyncio.wait(workers, timeout=grace_s)
    for worker in workers:
        worker.cancel()


def faults_of(draft: Draft, text: str, *, truncated: bool = False) -> tuple[Fault, ...]:
    """What a rewriting of a draft is refused for; none: accepted."""
    if truncated:
        return (Fault(kind=FaultKind.CUT_OFF),)
    if text.split() == draft.text.split():
        return (Fault(kind=FaultKind.UNCHANGED),)
    return check_rewrite(draft.journey, text, draft.options)


def points_of(journey: Journey, options: Mapping[str, str]) -> list[str]:
    """What a rewriting must tell, in order, a line each."""
    return [point for event in journey if (point := _point(event, options))]


def _point(event: Event, options: Mapping[str, str]) -> str:
    said = ""
    match event:
        case Named(hypothesis=name):
            said = f"Name {_called(name)} as a hypothesis."
        case Checked(hypothesis=name):
            said = f"Take up {_called(name)} and weigh the evidence."
        case Refuted(hypothesis=name):
            said = f"Rule out {_called(name)}."
        case Revived():
            said = "Open all hypotheses again."
        case WentBack(to=to, targets=targets):
            about = f" for {joined(_called(name) for name in targets)}" if targets else ""
            said = f"Go back to {_PLACES[to]}{about}."
        case Concluded(answer=answer):
            name = next((name for name in names_of(options) if name.letter == answer), Name(answer))
            said = f"Settle on {_called(name)}."
        case _:
            pass
    return said


def _called(name: Name) -> str:
    return f"{name.label} ({name.letter})" if name.letter else name.label


def _answer_line(journey: Journey) -> str:
    return next(answer_line(event.answer) for event in reversed(journey) if isinstance(event, Concluded))


def _in_words(fault: Fault) -> str:
    kind = fault.kind.value.replace("_", " ")
    return f"{kind}: {fault.about}" if fault.about else kind


def _said(text: str) -> str:
    """A reply without a reasoning model's own thoughts."""
    return text.rpartition(_THINKING)[2].strip()


def _accepted(draft: Draft, one: RewriteTry, done: list[RewriteTry]) -> Rewritten:
    return Rewritten(draft.trace, one.text, True, (), len(done), total_usage(known.usage for known in done))


def _refused(draft: Draft, faults: tuple[Fault, ...], done: list[RewriteTry]) -> Rewritten:
    return Rewritten(
        draft.trace, draft.text, False, faults, len(done), total_usage(known.usage for known in done)
    )


@dataclass(frozen=True)
class RewriteSummary:
    """What came of a pass."""

    asked: int
    accepted: int
    refusals: Mapping[str, int]
    """Kind of fault to monologues whose last try has it; one may have several."""
    tries: int
    usage: Usage

    @property
    def share(self) -> float | None:
        """Accepted / asked, in 0..1; None where nothing was asked."""
        return self.accepted / self.asked if self.asked else None

    def told(self) -> dict[str, Any]:
        """The summary as plain data, for JSON."""
        return {
            "asked": self.asked,
            "accepted": self.accepted,
            "share": self.share,
            "refusals": dict(self.refusals),
            "tries": self.tries,
            "usage": self.usage.model_dump(mode="json"),
        }


def summary_of(rewritten: Iterable[Rewritten]) -> RewriteSummary:
    """What came of a pass; refusals by falling count, then by name."""
    found = list(rewritten)
    counts = Counter(kind.value for one in found for kind in {fault.kind for fault in one.faults})
    return RewriteSummary(
        asked=len(found),
        accepted=sum(one.accepted for one in found),
        refusals=dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))),
        tries=sum(one.tries for one in found),
        usage=total_usage(one.usage for one in found),
    )
