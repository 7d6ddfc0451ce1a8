"""`ddxgraph judge`: a judge model reads the free-form answers of a run."""

import asyncio
import json
from contextlib import AsyncExitStack, aclosing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ddxgraph.cli import options
from ddxgraph.cli.signals import stopped_by_signals
from ddxgraph.cli.terminal import STDOUT, Exit, counting_bar, fail, say, show_json, spoken
from ddxgraph.common.errors import TooManyFailures

if TYPE_CHECKING:
    from ddxgraph.eval.scoring.judge import JudgeModel, Question
    from ddxgraph.eval.scoring.run import ScoredRun


@spoken
def judge(  # noqa: PLR0917 - one parameter an option
    run: Annotated[Path, typer.Argument(help="The folder of a run.")],
    cases: options.GoldCases = None,
    concurrency: Annotated[int, typer.Option(min=1, help="Answers that are judged at a time.")] = 8,
    check_matches: Annotated[
        bool,
        typer.Option(
            "--check-matches",
            help="Also ask about answers that equal the gold answer once normalised, to see if the judge agrees.",
        ),
    ] = False,
    patience: options.Patience = 600.0,
    timeout: options.Timeout = 600.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON on stdout.")] = False,
    quiet: options.Quiet = False,
    base_url: options.BaseUrl = None,
    model: options.ModelName = None,
) -> None:
    """Have a model judge whether free-form answers are equivalent to the gold answers.

    The judge sees the case, the gold answer and the answer. It is asked only about answers that differ from the
    gold answer once normalised; letters need no judge. Verdicts are appended to judgements.jsonl in the run's
    folder. Repeat the command to resume: questions that failed are asked again.

    Exit code: 0 all judged, 1 the judge failed at some, 2 bad input, 130 interrupted.
    """
    from ddxgraph.eval.cases import CaseFile
    from ddxgraph.eval.scoring.judge import judge_model, questions_of
    from ddxgraph.eval.scoring.run import manifest_of, score_run
    from ddxgraph.nodes.call.patience import Patience

    known = manifest_of(run)
    rows = list(CaseFile(cases)) if cases and known.selection is None else None  # a benchmark brings its own
    questions = questions_of(run, rows, check_matches=check_matches)
    if not questions:
        say(f"{run} holds no answer that a judge is needed for")
        _summarise(_Ended(), None, as_json)
        return
    chat = options.connected(base_url, model, concurrency=concurrency, quiet=quiet, timeout_s=timeout)
    chosen = judge_model(chat, patience=Patience(away_s=patience))
    if not quiet and chosen.provenance.model == known.provenance.model:
        say("the judge is the model that gave the answers, and models favour their own: take another one")
    ended = asyncio.run(_work(run, questions, chosen, concurrency, quiet))
    _summarise(ended, score_run(run, rows, judge=chosen.digest) if ended.known else None, as_json)


@dataclass(frozen=True)
class _Ended:
    """How the judging ended."""

    asked: int = 0
    """Answers that this call put to the judge."""
    left: int = 0
    """Answers that it has not settled."""
    known: bool = False
    """The judge has judged something of this run, now or before."""
    interrupted: bool = False
    gave_up: str = ""


async def _work(
    folder: Path, questions: "list[Question]", judge: "JudgeModel", concurrency: int, quiet: bool
) -> _Ended:
    from ddxgraph.eval.scoring.judge import judge_run
    from ddxgraph.eval.scoring.judgements import JudgementLog

    gave_up, asked = "", 0
    async with AsyncExitStack() as held:
        log = held.enter_context(JudgementLog(folder))
        before = log.known.get(judge.digest, ())
        settled = {judgement.question for judgement in before if judgement.equivalent is not None}
        left = {question.digest for question in questions} - settled
        bar = held.enter_context(counting_bar(quiet))
        task = bar.add_task(folder.name, total=len(questions), completed=len(questions) - len(left))
        stop = held.enter_context(stopped_by_signals(None if quiet else say))
        judgements = await held.enter_async_context(
            aclosing(judge_run(questions, judge, log, concurrency=concurrency, stop=stop))
        )
        try:
            async for judgement in judgements:
                asked += 1
                if judgement.equivalent is not None:
                    left.discard(judgement.question)
                    bar.advance(task)
        except TooManyFailures as error:
            gave_up = str(error)
        except asyncio.CancelledError:
            if not stop.is_set():
                raise
    return _Ended(asked, len(left), bool(before) or asked > 0, stop.is_set() and bool(left), gave_up)


def _summarise(ended: _Ended, run: "ScoredRun | None", as_json: bool) -> None:
    """Print the result, and exit."""
    judged = run.judged if run else None
    if as_json:
        figures = asdict(judged) if judged else None
        show_json(json.dumps({"asked": ended.asked, "left": ended.left, "judged": figures}))
    elif run and judged:
        low, high = run.bounds
        accuracy = f"{low:.1%}" if low == high else f"between {low:.1%} and {high:.1%}"
        for line in (
            f"{judged.matched} correct by normalised match, {judged.judge_only} more equivalent to the judge, "
            f"{judged.neither} not; accuracy {accuracy} of {run.pairs}",
            f"judge {judged.judge} ({judged.model}): {judged.calls} calls, {judged.prompt_tokens} tokens read, "
            f"{judged.completion_tokens} written",
        ):
            STDOUT.print(line, markup=False)
    if ended.gave_up:
        fail(f"{ended.gave_up}; mend that, and the same command goes on", Exit.NOT_DONE)
    if ended.interrupted:
        fail("stopped; the same command goes on from there", Exit.INTERRUPTED)
    if ended.left:
        fail(f"the judge failed at {ended.left} answers; the same command asks again", Exit.NOT_DONE)
