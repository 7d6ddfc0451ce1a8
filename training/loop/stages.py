"""Parts of a stage: the workshop and observer it needs, runs of traversals, adapters proven to be in force."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, aclosing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol, Self

from langchain_core.language_models import BaseChatModel
from pydantic import BaseModel, ConfigDict, Field

from ddxgraph.batch.folder import RunFolder, open_run
from ddxgraph.batch.manifest import manifest
from ddxgraph.batch.runner import run
from ddxgraph.batch.tally import Tally
from ddxgraph.common.errors import LoopUnfinished, NotDone, TooManyFailures
from ddxgraph.common.files import write_json
from ddxgraph.graph.strategy import Strategy
from ddxgraph.training.loop.cases import LoopCases
from ddxgraph.training.sets.make import Progress


class Proof(BaseModel):
    """Whether a served adapter is in force, and what shows it; `liveness.json`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    live: bool
    """Proven to be in force. An adapter that is not is never evaluated."""
    verdict: str
    """One or two words."""
    message: str
    """One sentence that says how to mend it."""
    figures: Mapping[str, Any] = Field(default_factory=dict)
    """The measurements behind the verdict."""


class Workshop(Protocol):
    """Serves models, trains adapters and verifies them."""

    def served(self, adapter: Path | None) -> AbstractContextManager[BaseChatModel]:
        """Serve an adapter, or the base model where None, until the context ends."""

    def train(self, data: Path, out: Path, start: Path | None, *, learning_rate: float | None = None) -> None:
        """Train an adapter on a set of journeys; an interrupted training resumes.

        The engine may be stopped meanwhile. On return `out` is complete and holds `training.json`.

        Args:
            data: the set.
            out: the adapter's folder.
            start: the adapter to start from; a new one where None.
            learning_rate: for this training alone.
        """

    def verify(self, adapter: Path) -> Proof:
        """Prove whether the adapter that is being served is in force."""


class Watch(Protocol):
    """Receives the progress of a loop."""

    def stage(self, where: str, stage: str, *, there: bool = False) -> None:
        """Report that a stage begins, or that its product exists already.

        Args:
            where: `base` or `round 1`.
            stage: its name.
            there: its product exists, so nothing is left to do.
        """

    def walking(self, name: str, tally: Tally) -> AbstractContextManager[Callable[[], None]]:
        """Observe a run; the caller calls the function whenever the tally has grown."""

    def working(self, what: str) -> AbstractContextManager[Progress]:
        """Observe work of known size."""


class NotInForce(NotDone):
    """A served adapter is not proven to be in force; the message says what was measured."""


class Prover:
    """Serves adapters, and proves each once per process and after each start of an engine.

    A proof made by an earlier process does not count: the server may have restarted since.
    """

    def __init__(self, workshop: Workshop, watch: Watch) -> None:
        self._workshop, self._watch = workshop, watch
        self._proven: set[Path] = set()

    @contextmanager
    def live(
        self, where: str, adapter: Path | None, *, record: Path | None = None
    ) -> Iterator[BaseChatModel]:
        """Serve an adapter that is in force, or the base model where None.

        Args:
            where: see `Watch.stage`.
            adapter: the adapter's folder.
            record: file to write the proof to.

        Yields:
            The chat model.

        Raises:
            NotInForce: the adapter is not proven to be in force.
        """
        with self._workshop.served(adapter) as model:
            if adapter is not None and adapter not in self._proven:
                self._watch.stage(where, "verify")
                proof = self._workshop.verify(adapter)
                if record:
                    write_json(record, proof)
                if not proof.live:
                    raise NotInForce(
                        f"{where}: {adapter} is not proven to be in force ({proof.verdict}), so nothing was done "
                        f"with it: {proof.message}"
                    )
                self._proven.add(adapter)
            yield model

    def train(self, data: Path, out: Path, start: Path | None, *, learning_rate: float | None = None) -> None:
        """Train an adapter: see `Workshop.train`. The engine may restart, so earlier proofs no longer count.

        Args:
            data: the set.
            out: the adapter's folder.
            start: the adapter to start from; a new one where None.
            learning_rate: for this training alone.
        """
        self._proven.clear()
        self._workshop.train(data, out, start, learning_rate=learning_rate)


class Walk(NamedTuple):
    """Traversals to take."""

    cases: LoopCases
    strategy: Strategy
    samples: int
    """Traversals of each case."""
    concurrency: int
    """Traversals at a time."""


class Walker:
    """Runs walks one after another on one event loop, because a client's open connections belong to it."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._runner = asyncio.Runner()

    def __enter__(self) -> Self:
        self._runner.__enter__()
        return self

    def __exit__(self, *raised: object) -> None:
        self._runner.close()

    def walk(self, what: str, work: Walk, model: BaseChatModel, out: Path) -> None:
        """Run the traversals that the run folder still lacks, and report progress.

        Args:
            what: name of the stage.
            work: the traversals.
            model: the chat model.
            out: the run folder.

        Raises:
            LoopUnfinished: too many traversals in a row failed.
            RunFolderError: the folder holds another run.
        """
        settled = work.strategy.settle(model)
        wanted = manifest(work.cases.known, work.samples, settled, work.cases.selection)
        tally = Tally(total=wanted.total)
        judged = partial(_correct, work.cases)
        with (
            open_run(
                out,
                wanted,
                seen=lambda record: tally.add_earlier(record, judged(record["case"]["id"], record["answer"])),
            ) as folder,
            self._watch.walking(what, tally) as progress,
        ):
            progress()

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
                        progress()

            try:
                self._runner.run(work_off(folder))
            except TooManyFailures as error:
                raise LoopUnfinished(
                    f"{what}: {error}; fix the cause and rerun the same command to resume"
                ) from None


def _correct(cases: LoopCases, case: str, answer: str | None) -> bool:
    return answer == cases.golds[case]
