"""The improvement loop: generate, gate, compile, train, serve, verify, evaluate, compare, repeat.

A stage is done when its product is complete. So an interrupted loop resumes anywhere: finished products are kept,
and interrupted runs and trainings continue.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, NamedTuple

from langchain_core.language_models import BaseChatModel

from ddxgraph.common.errors import LoopUnfinished, NotDone
from ddxgraph.common.files import read_json, write_json
from ddxgraph.eval.scoring.run import ScoredRun, score_run
from ddxgraph.graph.strategy import GraphStrategy, Strategy, strategy_of
from ddxgraph.nodes.call.patience import Patience
from ddxgraph.nodes.settings import Sampling
from ddxgraph.training.gate.decontamination import HeldOutSets
from ddxgraph.training.gate.reasons import Reason
from ddxgraph.training.loop.cases import LoopCases
from ddxgraph.training.loop.config import CaseWork, Evaluate, LoopConfig
from ddxgraph.training.loop.folder import LoopFolder, RoundFolder
from ddxgraph.training.loop.keep import Decision, compared, decide, unscored
from ddxgraph.training.loop.stages import NotInForce, Prover, Walk, Walker, Watch, Workshop
from ddxgraph.training.sets.make import make_journeys
from ddxgraph.training.sets.manifest import SET, SetManifest, read_set
from ddxgraph.training.sft.job import CARD
from ddxgraph.training.source import RunSource

_REASONS: Final = 3
"""How many of the gate's reasons are named when it accepts nothing."""


class Ended(NamedTuple):
    """How a loop ended."""

    state: Literal["done", "stopped"]
    why: str


class _Stopped(NotDone):
    """The loop ends here: an outcome, not a fault."""


class Standing(NamedTuple):
    """What a round is compared with."""

    name: str
    """`base`, or the round whose adapter was kept last."""
    adapter: Path | None
    scored: ScoredRun


@dataclass
class Loop:
    """A loop in its folder.

    Args:
        folder: holds the products.
        generate: cases to make journeys from.
        evaluate: validation cases.
        workshop: serves, trains and verifies.
        watch: receives the progress.
        held_out: test sets for the gate; None: those in the data folder.
    """

    folder: LoopFolder
    generate: LoopCases
    evaluate: LoopCases
    workshop: Workshop
    watch: Watch
    held_out: HeldOutSets | None = None
    _walker: Walker = field(init=False)
    _prover: Prover = field(init=False)

    def __post_init__(self) -> None:
        self._walker = Walker(self.watch)
        self._prover = Prover(self.workshop, self.watch)

    def run(self) -> Iterator[Ended | None]:
        """Do the remaining work, one round at a time.

        Yields:
            None after the base model's evaluation and after every round that was kept, so that the caller can
            report; then how the loop ended.

        Raises:
            LoopUnfinished: a stage failed for reasons unrelated to the model; fix the cause and rerun to resume.
            LoopError: a product in the folder is damaged or cannot be written.
            RunFolderError, TraceFileError, ScoreError, JourneySetError, GateError: see `run`, `score_run` and
                `make_journeys`.
        """
        with self._walker:
            standing = Standing("base", None, self._base())
            yield None
            try:
                for number in range(1, self._config.rounds + 1):
                    standing = self._round(self.folder.round(number), standing)
                    yield None
            except (_Stopped, NotInForce) as stop:
                yield Ended("stopped", str(stop))
                return
            yield Ended("done", _all_kept(self._config.rounds))

    @property
    def _config(self) -> LoopConfig:
        return self.folder.manifest.config

    def _base(self) -> ScoredRun:
        """Evaluate the untrained base model."""
        if scored := self._whole(self.folder.base):
            self.watch.stage("base", "evaluate", there=True)
            return scored
        self.watch.stage("base", "serve")
        with self.workshop.served(None) as model:
            self.watch.stage("base", "evaluate")
            return self._evaluated("base", model, self.folder.base)

    def _round(self, place: RoundFolder, standing: Standing) -> Standing:
        decision = read_json(place.decision, Decision)
        if decision is None:
            self._make_journeys(place, standing)
            self._train(place, standing)
            scored = self._test(place)
            decision = self._decide(place, standing, scored)
        else:
            self.watch.stage(_where(place), "compare", there=True)
            scored = score_run(place.evaluation, self.evaluate.key)
        if not decision.kept:
            raise _Stopped(f"{_where(place)}: the adapter is not kept: {decision.why}")
        return Standing(place.name, place.adapter, scored)

    # generate, gate, compile

    def _make_journeys(self, place: RoundFolder, standing: Standing) -> None:
        if _is_trainable(place.journeys):
            self.watch.stage(_where(place), "journeys", there=True)
            return
        self._generate(place, standing)
        self.watch.stage(_where(place), "journeys")
        config = self._config
        with self.watch.working(f"{_where(place)}: journeys") as progress:
            made = make_journeys(
                [RunSource(place.run, self.generate.key)],
                config.journeys.style,
                place.journeys,
                config=config.gate,
                seed=config.journeys.seed,
                tries=config.journeys.tries,
                held_out=self.held_out,
                progress=progress,
            )
        if not made.manifest.train.samples:
            raise _Stopped(_nothing_to_train_on(place, made.manifest, made.report.rejected))

    def _generate(self, place: RoundFolder, standing: Standing) -> None:
        if self.folder.is_stamped(place.run):
            self.watch.stage(_where(place), "generate", there=True)
            return
        self.watch.stage(_where(place), "generate")
        work = self._config.generate
        with self._prover.live(_where(place), standing.adapter) as model:
            strategy = GraphStrategy(budget=work.budget, sampling=_sampling(work), patience=self._patience)
            walk = Walk(self.generate, strategy, work.samples, work.concurrency)
            self._walker.walk(f"{_where(place)}: generate", walk, model, place.run)
        scored = score_run(place.run, self.generate.key)
        if scored.unscored > work.allow_failed * scored.pairs:
            raise LoopUnfinished(
                f"{_where(place)}: generate: {unscored(scored)}; or raise allow_failed under [generate]"
            )
        self.folder.stamp(place.run)

    # train

    def _train(self, place: RoundFolder, standing: Standing) -> None:
        if (place.adapter / CARD).exists():  # an adapter is moved into place only when complete
            self.watch.stage(_where(place), "train", there=True)
            return
        self.watch.stage(_where(place), "train")
        start = standing.adapter if self._config.start == "kept" else None
        self._prover.train(place.journeys, place.adapter, start)

    # serve, verify, evaluate

    def _test(self, place: RoundFolder) -> ScoredRun:
        if scored := self._whole(place.evaluation):
            self.watch.stage(_where(place), "evaluate", there=True)
            return scored
        self.watch.stage(_where(place), "serve")
        with self._prover.live(_where(place), place.adapter, record=place.liveness) as model:
            self.watch.stage(_where(place), "evaluate")
            return self._evaluated(_where(place), model, place.evaluation)

    def _evaluated(self, where: str, model: BaseChatModel, folder: Path) -> ScoredRun:
        work = self._config.evaluate
        walk = Walk(self.evaluate, _strategy(work, self._patience), work.samples, work.concurrency)
        self._walker.walk(f"{where}: evaluate", walk, model, folder)
        scored = score_run(folder, self.evaluate.key)
        if scored.incomplete:
            raise LoopUnfinished(f"{where}: evaluate: {unscored(scored)}")
        self.folder.stamp(folder)
        return scored

    def _whole(self, folder: Path) -> ScoredRun | None:
        """The scores of a finished evaluation, or None."""
        if not self.folder.is_stamped(folder):
            return None
        scored = score_run(folder, self.evaluate.key)
        return None if scored.incomplete else scored

    # compare

    def _decide(self, place: RoundFolder, standing: Standing, scored: ScoredRun) -> Decision:
        self.watch.stage(_where(place), "compare")
        decision = decide(self._config.keep, compared(standing.name, standing.scored, place.name, scored))
        write_json(place.decision, decision)
        return decision

    @property
    def _patience(self) -> Patience:
        return Patience(away_s=self._config.engine.away_s)


def _all_kept(rounds: int) -> str:
    return (
        "the round is done, and its adapter was kept"
        if rounds == 1
        else (f"{rounds} rounds are done, and the adapter of each was kept")
    )


def _where(place: RoundFolder) -> str:
    return f"round {place.number}"


def _sampling(work: CaseWork) -> Sampling:
    return Sampling(temperature=work.temperature, seed=work.seed)


def _strategy(work: Evaluate, patience: Patience) -> Strategy:
    return strategy_of(
        work.strategy,
        budget=work.budget,
        sampling=_sampling(work),
        patience=patience,
        reply_tokens=work.reply_tokens,
    )


def _is_trainable(folder: Path) -> bool:
    """Whether the folder holds a set with training samples; an empty set is made again."""
    return (folder / SET).exists() and read_set(folder).train.samples > 0


def _nothing_to_train_on(place: RoundFolder, made: SetManifest, rejected: Mapping[Reason, int]) -> str:
    report = place.journeys / "gate.md"
    if not made.accepted:
        reasons = [f"{count} because {reason.words}" for reason, count in rejected.items()]
        main = ", ".join(reasons[:_REASONS])
        return (
            f"{_where(place)}: no journey of {made.read} was accepted: {main}; {report} says it of each. Change "
            f"the gate or the generation in another loop; {place.run} may be copied there"
        )
    side = "all of them are for validation" if made.samples else "none could be compiled"
    return (
        f"{_where(place)}: nothing to train on: {made.accepted} journeys accepted, but {side}; {report} says "
        "more. Take more cases, or lower validation_share under [gate.split], in another loop"
    )
