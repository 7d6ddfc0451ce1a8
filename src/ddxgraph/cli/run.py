"""`ddxgraph run`: many cases, many samples, one folder."""

import asyncio
import json
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ddxgraph.cli import cases as selecting
from ddxgraph.cli import options
from ddxgraph.cli.cases import CaseOptions, CaseSource, GoldLetters, OptionOrder, case_source, read_through
from ddxgraph.cli.signals import stopped_by_signals
from ddxgraph.cli.terminal import STDERR, STDOUT, Exit, fail, say, show_json, spoken
from ddxgraph.common.errors import BadInput, TooManyFailures
from ddxgraph.nodes.strategies import GRAPH, known_strategy, strategy_names

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from ddxgraph.batch.folder import RunFolder
    from ddxgraph.batch.manifest import CaseSet
    from ddxgraph.batch.tally import Tally
    from ddxgraph.graph.strategy import Strategy


@spoken
def run(  # noqa: PLR0917 - one parameter an option
    cases: selecting.CasesArgument,
    out: Annotated[
        Path, typer.Option(help="The run's folder, such as runs/pilot. It is made if it does not exist.")
    ],
    split: selecting.SplitName = None,
    subset: selecting.Subset = None,
    five_options: selecting.FiveOptions = False,
    limit: selecting.Limit = None,
    limit_seed: selecting.LimitSeed = None,
    free_form: selecting.FreeForm = False,
    option_order: selecting.Options = OptionOrder.AS_IS,
    shuffle_seed: selecting.ShuffleSeed = None,
    strategy: Annotated[
        str,
        typer.Option(
            metavar=f"[{'|'.join(strategy_names())}]",
            help="How to take a case: the reasoning graph, or one generation in the style that is named.",
        ),
    ] = GRAPH,
    samples: Annotated[int, typer.Option(min=1, help="Traversals of each case.")] = 1,
    concurrency: Annotated[int, typer.Option(min=1, help="Traversals at a time.")] = 8,
    max_tokens: options.MaxTokens = options.MAX_TOKENS,
    max_calls: options.MaxCalls = options.MAX_CALLS,
    max_backtracks: options.MaxBacktracks = options.MAX_BACKTRACKS,
    reply_tokens: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Most tokens of a reply, for strategies of one generation. By default the strategy's own limit.",
        ),
    ] = None,
    temperature: options.Temperature = 0.0,
    seed: options.Seed = 0,
    fork: Annotated[
        bool,
        typer.Option(
            "--fork",
            help="If the folder holds a run with other settings, write to NAME-2 beside it, and copy the traces "
            "that are still valid.",
        ),
    ] = False,
    patience: options.Patience = 600.0,
    timeout: options.Timeout = 600.0,
    checkpoints: options.Checkpoints = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON on stdout.")] = False,
    quiet: options.Quiet = False,
    base_url: options.BaseUrl = None,
    model: options.ModelName = None,
) -> None:
    """Take many cases through a strategy, several at a time, into a run folder.

    Repeat the command to resume an interrupted run: finished traversals are kept, failed ones are tried again.
    Ctrl-C stops within seconds and loses no finished traversal.

    Exit code: 0 all done, 1 some failed, 2 bad input, 130 interrupted.
    """
    from ddxgraph.graph.budget import Budget
    from ddxgraph.graph.strategy import strategy_of
    from ddxgraph.nodes.call.patience import Patience
    from ddxgraph.nodes.settings import Sampling

    known_strategy(strategy)
    if samples > 1 and temperature == 0:
        say(
            "the samples of a case will be alike: at temperature 0 the seed decides nothing; see --temperature"
        )
    if reply_tokens is not None and strategy == GRAPH:
        raise BadInput("--reply-tokens is for a single generation; the graph has --max-tokens")
    if checkpoints is not None and strategy != GRAPH:
        raise BadInput(f"--checkpoints keeps the graph's steps, and {strategy} has one only; leave it out")
    strategy_with = partial(
        strategy_of,
        strategy,
        budget=Budget(max_tokens=max_tokens, max_calls=max_calls, max_backtracks=max_backtracks),
        sampling=Sampling(temperature=temperature, seed=seed),
        patience=Patience(away_s=patience),
        reply_tokens=reply_tokens,
    )
    wanted = CaseOptions(
        split=split,
        subset=subset,
        five_options=five_options,
        limit=limit,
        limit_seed=limit_seed,
        free_form=free_form,
        options=option_order,
        shuffle_seed=shuffle_seed,
    )
    source = case_source(cases, wanted)
    known, gold = read_through(source)
    chat = options.connected(base_url, model, concurrency=concurrency, quiet=quiet, timeout_s=timeout)
    batch = _Batch(source, known, gold, chat, strategy_with, checkpoints, samples, concurrency)
    _summarise(batch.run(out, fork=fork, quiet=quiet), as_json)


@dataclass(frozen=True)
class _Ended:
    """How a run ended."""

    folder: Path
    tally: "Tally"
    interrupted: bool
    gave_up: str


@dataclass(frozen=True)
class _Batch:
    cases: CaseSource
    known: "CaseSet"
    gold: GoldLetters
    model: "BaseChatModel"
    strategy: "Callable[..., Strategy]"
    """Called with the keyword `checkpointer`."""
    checkpoints: str | None
    samples: int
    concurrency: int

    def run(self, out: Path, *, fork: bool, quiet: bool) -> _Ended:
        """Run to the end, or until interrupted."""
        from ddxgraph.batch.folder import open_run
        from ddxgraph.batch.manifest import manifest
        from ddxgraph.batch.runner import jobs_of
        from ddxgraph.batch.tally import Tally

        settled = self.strategy(checkpointer=None).settle(self.model)
        wanted = manifest(self.known, self.samples, settled, self.cases.selection)
        tally = Tally(total=wanted.total)
        # Taking stock of a large folder takes a while: done outside the event loop, Ctrl-C breaks it off at once.
        with open_run(
            out,
            wanted,
            fork=fork,
            ids=lambda: (job.trace_id for job in jobs_of(self.cases, self.samples, settled)),
            seen=lambda record: tally.add_earlier(
                record, self._correct(record["case"]["id"], record["answer"])
            ),
        ) as folder:
            if not quiet:
                _greet(folder, tally)
            tally.started = time.monotonic()  # the pace is that of the traversals
            return asyncio.run(self._work(folder, tally, quiet))

    async def _work(self, folder: "RunFolder", tally: "Tally", quiet: bool) -> _Ended:
        from ddxgraph.batch.checkpoints import open_checkpoints
        from ddxgraph.batch.runner import run as run_cases
        from ddxgraph.view.terminal.progress import RunProgress

        gave_up = ""
        async with AsyncExitStack() as held:
            where = self.checkpoints
            saver = await held.enter_async_context(open_checkpoints(where)) if where else None
            progress = held.enter_context(RunProgress(STDERR, tally, folder.path.name)) if not quiet else None
            held.enter_context(options.retries_counted(tally, progress.update if progress else None))
            stop = held.enter_context(stopped_by_signals(progress.note if progress else None))
            given = run_cases(
                self.cases,
                self.model,
                strategy=self.strategy(checkpointer=saver),
                samples=self.samples,
                concurrency=self.concurrency,
                out=folder,
                stop=stop,
            )
            # Closed before anything else is, so that what has ended is saved, whatever ends the loop.
            traces = await held.enter_async_context(aclosing(given))
            try:
                async for trace in traces:
                    tally.add(trace, self._correct(trace.case.id, trace.answer))
                    if saver and trace.finished:
                        await saver.adelete_thread(trace.id)
                    if progress:
                        progress.update()
            except TooManyFailures as error:
                gave_up = str(error)
            except asyncio.CancelledError:
                if not stop.is_set():
                    raise
        left = tally.total - tally.before - tally.ended
        return _Ended(folder.path, tally, interrupted=stop.is_set() and left > 0, gave_up=gave_up)

    def _correct(self, case_id: str, answer: str | None) -> bool | None:
        gold = self.gold.get(case_id)
        return None if gold is None else answer == gold


def _greet(folder: "RunFolder", tally: "Tally") -> None:
    if folder.cut:
        say(f"a crash had cut short the last line of {folder.path}; that traversal is done again")
    if tally.before:
        say(f"{tally.before} of {tally.total} traversals are in {folder.path} already")
    if folder.manifest.forked_from:
        say(f"{folder.path} is a fork of {folder.manifest.forked_from}")


def _summarise(ended: _Ended, as_json: bool) -> None:
    """Print how it went, and exit."""
    from ddxgraph.view.terminal.progress import duration, figures, means, troubles

    tally = ended.tally
    if as_json:
        show_json(json.dumps(_summary(ended)))
    else:
        took = f" in {duration(tally.elapsed_s)}" if tally.ended else ""
        STDOUT.print(f"{tally.done} of {tally.total} traversals are in {ended.folder}{took}", markup=False)
        for line in filter(None, (", ".join([*figures(tally), *means(tally)]), troubles(tally))):
            STDOUT.print(f"  {line}", markup=False, style="dim")
    if tally.cut:
        say(
            f"the server cut prompts of {tally.cut} traversals without a word: the model did not see all of "
            "them; serve it with a longer context. They stay out of training data"
        )
    if ended.gave_up:
        fail(f"{ended.gave_up}; mend that, and the same command goes on", Exit.NOT_DONE)
    if ended.interrupted:
        fail("stopped; the same command goes on from there", Exit.INTERRUPTED)
    if tally.outcomes["error"]:
        fail(
            f"{tally.outcomes['error']} traversals failed: see {ended.folder / 'errors.jsonl'}; the same command "
            "tries them again",
            Exit.NOT_DONE,
        )


def _summary(ended: _Ended) -> dict[str, Any]:
    tally = ended.tally
    return {
        "folder": str(ended.folder),
        "total": tally.total,
        "done": tally.done,
        "before": tally.before,
        "outcomes": dict(tally.outcomes),
        "errors": dict(tally.errors),
        "calls_made_again": dict(tally.retried),
        "cut_prompts": tally.cut,
        "correct": tally.correct,
        "judged": tally.judged,
        "usage": tally.usage.model_dump(),
        "backtracks": tally.backtracks,
        "seconds": round(tally.elapsed_s, 3),
    }
