"""What an arm came to: accuracy and length by level, and how it weighed."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel
from scipy.stats import spearmanr

from ddxgraph.batch.folder import TRACES
from ddxgraph.eval.report.figures import FROZEN
from ddxgraph.eval.scoring.rule import Score, Verdict
from ddxgraph.eval.scoring.run import ScoredRun, score_run
from ddxgraph.experiment.arms import Arm
from ddxgraph.experiment.folder import ArmFolder, level_run
from ddxgraph.experiment.share import Share, share
from ddxgraph.experiment.weighing import Weighing, weighing
from ddxgraph.training.sets.manifest import data_file, read_set
from ddxgraph.training.sft.card import read_training_card


class LevelResult(BaseModel):
    """An arm on the cases of a level."""

    model_config = FROZEN

    level: int
    accuracy: Share
    unparsed: int
    """Cases without a readable answer; they count as wrong."""
    output_tokens: float
    """Mean of a case."""
    total_tokens: float
    """Mean of a case, prompts included."""


class Training(BaseModel):
    """What an arm was trained on."""

    model_config = FROZEN

    base_sha256: str
    """Of the base model's files; of a hub's model its commit."""
    journeys_sha256: str
    """Of the file of journeys."""
    samples: int
    backtracking: int
    """Samples that tell a move back."""
    tokens: int
    supervised_tokens: int
    learning_rate: float
    """At its peak."""
    seconds: float
    device: str
    """What it was trained on, such as a GPU by its name."""
    loss: float
    """Nats a supervised token, at the end."""


class ArmResult(BaseModel):
    """An arm under one seed."""

    model_config = FROZEN

    seed: int | None
    """None for the untrained base model, which has none."""
    name: str
    style: str
    training: Training | None
    levels: tuple[LevelResult, ...]
    accuracy: Share
    """Over all levels."""
    rises: float | None
    """Spearman's correlation of level and mean output tokens; None with one level, or where all are alike."""
    weighing: Weighing | None
    """How it weighed the evidence; None but for arms of the graph."""


class Scored(NamedTuple):
    """The runs of an arm, by level."""

    levels: Sequence[int]
    runs: Sequence[ScoredRun]

    @property
    def right(self) -> dict[str, float]:
        """Case id to 1 where it was answered right, else 0; for a case with several samples the share."""
        return {
            case: sum(score.correct is True for score in scores) / len(scores)
            for run in self.runs
            for case, scores in run.by_case.items()
        }


def scored(place: Path, levels: Iterable[int]) -> Scored | None:
    """The runs in a folder that are there; None where one of the levels is not."""
    chosen = list(levels)
    runs = [level_run(place, level) for level in chosen]
    if not all((run / TRACES).exists() for run in runs):
        return None
    return Scored(chosen, [score_run(run) for run in runs])


def arm_result(seed: int | None, arm: Arm, folder: ArmFolder | None, found: Scored) -> ArmResult:
    """The figures of an arm.

    Args:
        seed: of the arm.
        arm: which.
        folder: its products; None for the base model.
        found: its test runs.

    Returns:
        The figures.
    """
    levels = tuple(_level(level, run) for level, run in zip(found.levels, found.runs, strict=True))
    return ArmResult(
        seed=seed,
        name=arm.name,
        style=arm.style,
        training=_training(folder) if folder else None,
        levels=levels,
        accuracy=share(sum(one.accuracy.count for one in levels), sum(one.accuracy.of for one in levels)),
        rises=_rises(levels),
        weighing=weighing(found.runs) if arm.style == "graph" else None,
    )


def majority(run: ScoredRun) -> Share:
    """What answering the most frequent gold letter always would get."""
    golds = Counter(gold.answer for gold in run.golds.values())
    return share(max(golds.values()), len(run.golds))


def _level(level: int, run: ScoredRun) -> LevelResult:
    first = [scores[0] for scores in run.by_case.values()]
    return LevelResult(
        level=level,
        accuracy=share(sum(score.correct is True for score in first), len(first)),
        unparsed=sum(score.verdict is Verdict.UNPARSED for score in first),
        output_tokens=_mean([score.completion_tokens for score in first]),
        total_tokens=_mean([total_tokens(score) for score in first]),
    )


def total_tokens(score: Score) -> int:
    """Tokens of a traversal, prompts of all its calls included."""
    return score.prompt_tokens + score.completion_tokens


def _training(folder: ArmFolder) -> Training:
    card, made = read_training_card(folder.adapter), read_set(folder.journeys)
    return Training(
        base_sha256=card.job.base_sha256,
        journeys_sha256=card.job.data[data_file("train")],
        samples=card.samples,
        backtracking=made.train.telling,
        tokens=card.train.tokens,
        supervised_tokens=card.supervised_tokens,
        learning_rate=card.job.config.optimization.learning_rate,
        seconds=card.seconds,
        device=card.hardware.device,
        loss=card.train_loss,
    )


def _rises(levels: Sequence[LevelResult]) -> float | None:
    lengths = [one.output_tokens for one in levels]
    if len(set(lengths)) == 1:
        return None
    return float(spearmanr([one.level for one in levels], lengths).statistic)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
