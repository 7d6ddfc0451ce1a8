"""Traversals as stages take them: all cases of a set that a run folder lacks, with somebody told how it goes."""

import asyncio
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import NamedTuple, Self

from langchain_core.language_models import BaseChatModel

from ddxgraph.batch.folder import RunFolder, open_run
from ddxgraph.batch.manifest import manifest
from ddxgraph.batch.runner import run
from ddxgraph.batch.tally import Tally
from ddxgraph.common.errors import LoopUnfinished, TooManyFailures
from ddxgraph.graph.strategy import Strategy
from ddxgraph.training.loop.cases import LoopCases
from ddxgraph.training.loop.workshop import Watch


class Walk(NamedTuple):
    """What is to be taken."""

    cases: LoopCases
    strategy: Strategy
    samples: int
    """Traversals of each case."""
    concurrency: int
    """Traversals at a time."""


class Walker:
    """Takes walks, one after another, on one event loop: connections that a client keeps belong to it."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._runner = asyncio.Runner()

    def __enter__(self) -> Self:
        self._runner.__enter__()
        return self

    def __exit__(self, *raised: object) -> None:
        self._runner.close()

    def walk(self, what: str, work: Walk, model: BaseChatModel, out: Path) -> None:
        """Take all cases that were not taken yet.

        Args:
            what: its name, for whoever is told.
            work: what is to be taken.
            model: on which.
            out: the run folder.

        Raises:
            LoopUnfinished: one traversal after another fails.
            RunFolderError: the folder is of another run.
        """
        settled = work.strategy.settle(model)
        wanted = manifest(work.cases.known, work.samples, settled, work.cases.selection)
        tally = Tally(total=wanted.total)
        judged = partial(_correct, work.cases)
        with (
            open_run(
                out,
                wanted,
                seen=lambda one: tally.add_earlier(one, judged(one["case"]["id"], one["answer"])),
            ) as folder,
            self._watch.walking(what, tally) as told,
        ):
            told()

            async def work_off(folder: RunFolder) -> None:
                taken = run(
                    work.cases,
                    model,
                    strategy=work.strategy,
                    samples=work.samples,
                    concurrency=work.concurrency,
                    out=folder,
                )
                async with aclosing(taken) as traces:
                    async for trace in traces:
                        tally.add(trace, judged(trace.case.id, trace.answer))
                        told()

            try:
                self._runner.run(work_off(folder))
            except TooManyFailures as error:
                raise LoopUnfinished(f"{what}: {error}; mend that, and the same command goes on") from None


def _correct(cases: LoopCases, case: str, answer: str | None) -> bool:
    return answer == cases.golds[case]
