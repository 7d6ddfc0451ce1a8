"""The judge: a model that decides whether a free-form answer is equivalent to the gold answer.

Only here does a model see a gold answer: after the run, in a separate conversation; no strategy sees it. Letters
are never judged, nor answers that the normalised match finds equal.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage

from ddxgraph.batch.pool import batches
from ddxgraph.batch.runner import GRACE_S
from ddxgraph.common.errors import TooManyFailures
from ddxgraph.eval.cases import CaseEntry
from ddxgraph.eval.scoring.answerkey import answer_key
from ddxgraph.eval.scoring.judgements import Judgement, JudgementLog, judge_digest, judge_of, question_digest
from ddxgraph.eval.scoring.rule import Score, Verdict
from ddxgraph.eval.scoring.run import manifest_of, score_run
from ddxgraph.graph.trace import Provenance, provenance_of
from ddxgraph.nodes.call.consultation import Allowance, Consultation, Turn, Wording
from ddxgraph.nodes.call.patience import Patience
from ddxgraph.nodes.call.reply import form, text
from ddxgraph.nodes.case import Case
from ddxgraph.nodes.failure import EngineFailed
from ddxgraph.nodes.settings import Sampling
from ddxgraph.prompts.library import PromptSet

PROMPTS: Final = ("judge", "repair")
"""The judge's prompt set."""

_NODE: Final = "judge"  # only the call's label, not a node of a trace
_REASON_CHARS: Final = 300
_REPLY_TOKENS: Final = 512
_ONE_REPAIR: Final = Allowance(calls=2, tokens=1 << 40)
_FORM: Final = form("Judge", reason=text(_REASON_CHARS), equivalent=bool)
_LEAST_STREAK: Final = 16
"""Fewest failures in a row that end the judging."""


class Question(NamedTuple):
    """A question to a judge."""

    digest: str
    case: Case
    gold: str
    answer: str
    trace: str
    """Id of a trace that gave the answer."""


@dataclass(frozen=True)
class JudgeModel:
    """A chat model with the judge's prompt."""

    wording: Wording
    provenance: Provenance
    digest: str

    async def judge(self, question: Question) -> Judgement:
        """Ask the model; a failure is recorded in the judgement, which then has no verdict."""
        render = self.wording.prompts.render
        asking = render("judge", case=question.case, gold=question.gold, answer=question.answer)
        line = Consultation(
            wording=self.wording,
            messages=lambda prompt: [HumanMessage(prompt)],
            allowance=_ONE_REPAIR,
            config={},
            conversation=question.digest,
        )
        turn: Turn[Any] = Turn(_NODE, asking, _FORM, _REPLY_TOKENS)
        output: Any = None
        with suppress(EngineFailed):  # the reply records it
            output = await line.ask(turn)
        reply = line.reply
        assert reply is not None  # noqa: S101 - `ask` leaves one in any case
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        return Judgement(
            judge=self.digest,
            question=question.digest,
            case=question.case.id,
            trace=question.trace,
            answer=question.answer,
            equivalent=output.equivalent if output else None,
            reason=output.reason if output else "",
            failure=reply.failure,
            provenance=self.provenance.model_copy(update={"started_at": now}),
            usage=reply.usage,
        )


def judge_model(
    model: BaseChatModel,
    *,
    sampling: Sampling | None = None,
    prompts: PromptSet | None = None,
    patience: Patience | None = None,
) -> JudgeModel:
    """A judge on a chat model.

    Args:
        model: the chat model; preferably not the judged one, since models favour their own answers.
        sampling: greedy by default.
        prompts: a set with `judge` and `repair`; the shipped ones by default.
        patience: see `Patience`.

    Returns:
        The judge.
    """
    prompts = prompts or PromptSet(names=PROMPTS)
    sampling = sampling or Sampling(temperature=0.0, seed=0)
    provenance = provenance_of(model, sampling, prompts.hash)
    wording = Wording(model, prompts, sampling, patience or Patience())
    return JudgeModel(wording, provenance, judge_digest(provenance))


def questions_of(
    folder: Path, cases: Iterable[CaseEntry] | None = None, *, check_matches: bool = False
) -> list[Question]:
    """The questions that a run leaves to a judge: each answer that the normalised match does not find equal,
    once.

    Args:
        folder: the run's folder.
        cases: see `score_run`.
        check_matches: also ask about matches, to see whether the judge agrees; they are not overruled.

    Returns:
        The questions.

    Raises:
        See `score_run`.
    """
    entries = answer_key(manifest_of(folder), cases).entries
    run = score_run(folder, entries.values())
    wanted = {Verdict.INCORRECT, Verdict.CORRECT} if check_matches else {Verdict.INCORRECT}
    asked = (
        _question(score, entries[score.case].case)
        for score in run.scores
        if score.verdict in wanted and not run.options[score.case]
    )
    return list({question.digest: question for question in asked}.values())


def _question(score: Score, case: Case) -> Question:
    answer = score.answer or ""
    return Question(question_digest(case, score.gold, answer), case, score.gold, answer, score.trace)


async def judge_run(
    questions: Iterable[Question],
    judge: JudgeModel,
    log: JudgementLog,
    *,
    concurrency: int = 8,
    stop: asyncio.Event | None = None,
    grace_s: float = GRACE_S,
) -> AsyncGenerator[Judgement, None]:
    """Ask a judge the questions that it has not answered yet.

    If you stop early, close the generator (`contextlib.aclosing`).

    Args:
        questions: see `questions_of`.
        judge: see `judge_model`.
        log: the run's file of judgements, open.
        concurrency: questions at a time.
        stop: once set, nothing new is asked.
        grace_s: seconds that the questions in flight then have to finish.

    Yields:
        Each judgement, once it is on the disk.

    Raises:
        JudgementError: the file cannot be written.
        TooManyFailures: every question fails.
    """
    todo, limit, failures = _todo(questions, judge, log), max(_LEAST_STREAK, 2 * concurrency), 0
    pool = batches(todo, judge.judge, concurrency=concurrency, stop=stop or asyncio.Event(), grace_s=grace_s)
    async with aclosing(pool) as judged:
        async for batch in judged:
            log.append(batch)
            for judgement in batch:
                failures = failures + 1 if judgement.equivalent is None else 0
                yield judgement
            if failures >= limit:
                last = batch[-1].failure
                raise TooManyFailures(
                    f"stopped after {failures} failures in a row (the last: {last.message if last else ''})"
                )


def _todo(questions: Iterable[Question], judge: JudgeModel, log: JudgementLog) -> Iterator[Question]:
    known = log.known.get(judge.digest)
    earlier = judge_of(known) if known else None
    return (question for question in questions if not earlier or earlier.settled(question.digest) is None)
