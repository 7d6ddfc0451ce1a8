"""The experiment: teach, gate, compile, train, serve, verify, test; vote and budget; and a second round.

A stage is done when its product is there whole, so that the same experiment goes on wherever it was broken off.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from langchain_core.language_models import BaseChatModel

from ddxgraph.common.errors import LoopError, LoopUnfinished
from ddxgraph.eval.scoring.run import score_run
from ddxgraph.experiment.arms import LIMITS, Arm, arms, cases_for, level_cases, second_round, strategy_of
from ddxgraph.experiment.config import ExperimentConfig
from ddxgraph.experiment.folder import ArmFolder, ExperimentFolder, SeedFolder, level_run
from ddxgraph.graph.generation import GenerationStrategy
from ddxgraph.graph.strategy import GraphStrategy, Strategy
from ddxgraph.lab.teacher import Teacher
from ddxgraph.nodes.call.patience import Patience
from ddxgraph.nodes.settings import Sampling
from ddxgraph.training.gate.decontamination import HeldOutSets
from ddxgraph.training.loop.keep import unscored
from ddxgraph.training.loop.stages import NotInForce, Prover, Walk, Walker, Watch, Workshop
from ddxgraph.training.sets.make import make_journeys
from ddxgraph.training.sets.manifest import SET, read_set
from ddxgraph.training.sft.card import read_training_card
from ddxgraph.training.sft.job import CARD
from ddxgraph.training.source import RunSource

_FRESH: Final = 1_000_000
"""Added to the seed: draws the cases of a second round."""


@dataclass
class Experiment:
    """An experiment in its folder.

    Args:
        folder: where its products lie.
        workshops: for each seed, what serves, trains and verifies; they may share a server.
        watch: is told how it is going.
        held_out: the benchmarks' test sets, for the gate; None where it does not ask for them.
    """

    folder: ExperimentFolder
    workshops: Sequence[Workshop]
    watch: Watch
    held_out: HeldOutSets | None = None
    _walker: Walker = field(init=False)

    def __post_init__(self) -> None:
        self._walker = Walker(self.watch)

    def run(self) -> Iterator[None]:
        """Do what is left to do; yields after each seed, so that what there is may be told.

        Raises:
            LoopUnfinished: a stage did not come to its end; the same experiment goes on once that is mended.
            LoopError: a product in the folder is damaged, or the gate let nothing through.
            RunFolderError, TraceFileError, ScoreError, JourneySetError, GateError, BenchmarkError: see the
                stages' own functions.
            Whatever the workshops raise.
        """
        with self._walker:
            for seed, workshop in zip(self._config.seeds, self.workshops, strict=True):
                place = self.folder.seed(seed)
                prover = Prover(workshop, self.watch)
                self._train_all(place, prover)
                self._base(prover)
                self._test_all(place, prover)
                self._second_round(place, prover)
                yield

    @property
    def _config(self) -> ExperimentConfig:
        return self.folder.manifest.config

    # teach and train

    def _train_all(self, place: SeedFolder, prover: Prover) -> None:
        for arm in arms(self._config):
            folder = place.arm(arm)
            cases = self._cases(arm, place)
            self._journeys(place, arm, folder, self._taught(place, cases))
            self._train(place, arm, folder, prover)

    def _cases(self, arm: Arm, place: SeedFolder) -> int:
        """Cases of each level that an arm is trained on."""
        config, cases = self._config, self._config.teacher.cases
        if arm.name == arm.style:
            return cases
        plain, first = (_tokens(place.arm(Arm(style, style))) for style in (arm.style, config.styles[0]))
        return cases_for(plain, cases, first)

    def _taught(self, place: SeedFolder, cases: int) -> list[Path]:
        """The teacher's runs over so many cases of each level."""
        teaching = self._config.teacher
        teacher = Teacher(misread=teaching.misread, overlooked=teaching.overlooked, seed=place.seed)
        runs = []
        for level in self._config.levels:
            out = level_run(place.taught(cases), level)
            runs.append(out)
            if not self.folder.is_stamped(out):
                chosen = level_cases("train", level, cases, place.seed)
                self._take(
                    _where(place),
                    "teach",
                    level,
                    Walk(chosen, GraphStrategy(limits=LIMITS), 1, 1),
                    teacher,
                    out,
                )
        return runs

    def _journeys(self, place: SeedFolder, arm: Arm, folder: ArmFolder, runs: Sequence[Path]) -> None:
        where = f"{_where(place)}, {arm.name}"
        if (folder.journeys / SET).exists() and read_set(folder.journeys).train.samples:
            self.watch.stage(where, "journeys", there=True)
            return
        self.watch.stage(where, "journeys")
        with self.watch.working(f"{where}: journeys") as told:
            made = make_journeys(
                [RunSource(run) for run in runs],
                arm.style,
                folder.journeys,
                config=self._config.gate,
                seed=place.seed,
                held_out=self.held_out,
                progress=told,
            )
        if not made.manifest.train.samples:
            raise LoopError(
                f"{where}: the gate let nothing through: {folder.journeys / 'gate.md'} says why; change [gate] "
                "or [teacher] in another experiment"
            )

    def _train(
        self,
        place: SeedFolder,
        arm: Arm,
        folder: ArmFolder,
        prover: Prover,
        start: Path | None = None,
        learning_rate: float | None = None,
    ) -> None:
        where = f"{_where(place)}, {arm.name}"
        there = (folder.adapter / CARD).exists()  # an adapter goes to its place whole
        self.watch.stage(where, "train", there=there)
        if not there:
            prover.train(folder.journeys, folder.adapter, start, learning_rate=learning_rate)

    # serve and test

    def _base(self, prover: Prover) -> None:
        """The test cases on the untrained base model, which answers straight."""
        strategy = GenerationStrategy(
            style="vanilla", sampling=Sampling(temperature=0.0, seed=0), patience=self._patience
        )
        self._runs("base", None, self.folder.base, strategy, prover, cases=self._config.test.cases)

    def _test_all(self, place: SeedFolder, prover: Prover) -> None:
        # Whatever is asked of an arm, while it is served; the graph last, since a second round goes on with it.
        for arm in sorted(arms(self._config), key=lambda arm: arm.style == "graph"):
            self._test(place, arm, prover)
            if arm.name == arm.style and self._config.spending.cases:
                self._spend(place, arm, prover)

    def _spend(self, place: SeedFolder, arm: Arm, prover: Prover) -> None:
        """Votes over an arm's samples, or budgets of the graph."""
        spending = self._config.spending
        if arm.style in spending.vote:
            sampling = Sampling(temperature=spending.temperature, seed=place.seed)
            self._spent(place, arm, place.votes(arm.style), prover, sampling=sampling)
        if arm.style == "graph":
            for max_tokens in spending.max_tokens:
                self._spent(place, arm, place.budget(max_tokens), prover, max_tokens=max_tokens)

    def _test(self, place: SeedFolder, arm: Arm, prover: Prover) -> None:
        folder = place.arm(arm)
        strategy = strategy_of(arm.style, self._config, patience=self._patience)
        where = f"{_where(place)}, {arm.name}"
        self._runs(where, folder, folder.tested, strategy, prover, cases=self._config.test.cases)

    def _spent(
        self,
        place: SeedFolder,
        arm: Arm,
        out: Path,
        prover: Prover,
        *,
        sampling: Sampling | None = None,
        max_tokens: int | None = None,
    ) -> None:
        strategy = strategy_of(
            arm.style, self._config, patience=self._patience, sampling=sampling, max_tokens=max_tokens
        )
        where = f"{_where(place)}, {arm.name}, " + ("votes" if sampling else f"{max_tokens:,} tokens")
        spending = self._config.spending
        self._runs(
            where,
            place.arm(arm),
            out,
            strategy,
            prover,
            cases=spending.cases,
            samples=spending.samples if sampling else 1,
        )

    def _runs(
        self,
        where: str,
        folder: ArmFolder | None,
        out: Path,
        strategy: Strategy,
        prover: Prover,
        *,
        cases: int,
        samples: int = 1,
    ) -> None:
        """Test cases of every level on an adapter, or on the base model where there is no folder of an arm."""
        left = [level for level in self._config.levels if not self.folder.is_stamped(level_run(out, level))]
        if not left:
            self.watch.stage(where, "test", there=True)
            return
        self.watch.stage(where, "serve")
        adapter, record = (folder.adapter, folder.liveness) if folder else (None, None)
        test = self._config.test
        with _all_in_force(), prover.live(where, adapter, record=record) as model:
            for level in left:
                chosen = level_cases(test.split, level, cases)
                walk = Walk(chosen, strategy, samples, test.concurrency)
                self._take(where, "test", level, walk, model, level_run(out, level))

    # the second round

    def _second_round(self, place: SeedFolder, prover: Prover) -> None:
        """The graph's student walks fresh cases; what the gate lets through trains it on."""
        work = self._config.second_round
        if not work.cases:
            return
        arm, before = second_round(), place.arm(Arm("graph", "graph"))
        folder = place.arm(arm)
        runs = [level_run(folder.generated, level) for level in self._config.levels]
        if not all(map(self.folder.is_stamped, runs)):
            self._generate(place, arm, before, folder, prover)
        self._journeys(place, arm, folder, runs)
        self._train(place, arm, folder, prover, before.adapter, work.learning_rate)
        self._test(place, arm, prover)

    def _generate(
        self, place: SeedFolder, arm: Arm, before: ArmFolder, folder: ArmFolder, prover: Prover
    ) -> None:
        work, where = self._config.second_round, f"{_where(place)}, {arm.name}"
        strategy = strategy_of(
            "graph",
            self._config,
            patience=self._patience,
            sampling=Sampling(temperature=work.temperature, seed=place.seed),
        )
        self.watch.stage(where, "serve")
        with _all_in_force(), prover.live(where, before.adapter) as model:
            for level in self._config.levels:
                out = level_run(folder.generated, level)
                if not self.folder.is_stamped(out):
                    chosen = level_cases("train", level, work.cases, place.seed + _FRESH)
                    walk = Walk(chosen, strategy, 1, self._config.test.concurrency)
                    self._take(where, "generate", level, walk, model, out)

    # traversals

    @property
    def _patience(self) -> Patience:
        return Patience(away_s=self._config.engine.away_s)

    def _take(self, where: str, stage: str, level: int, walk: Walk, model: BaseChatModel, out: Path) -> None:
        """Take a level's cases, and see to it that nothing is left of them."""
        self.watch.stage(where, f"{stage}, level {level}")
        self._walker.walk(f"{where}: {stage}, level {level}", walk, model, out)
        scored = score_run(out, walk.cases.key)
        if scored.incomplete:
            raise LoopUnfinished(f"{where}: {stage}: {unscored(scored)}")
        self.folder.stamp(out)


@contextmanager
def _all_in_force() -> Iterator[None]:
    """Turn an adapter that is not in force into an error: no arm can be left out."""
    try:
        yield
    except NotInForce as found:
        raise LoopError(str(found)) from None


def _tokens(folder: ArmFolder) -> int:
    """Tokens that an arm was trained on, in one pass."""
    return read_training_card(folder.adapter).train.tokens


def _where(place: SeedFolder) -> str:
    return f"seed {place.seed}"
