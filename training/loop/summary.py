"""Summary of a loop: base model and rounds side by side, as JSON, Markdown and one HTML page."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal, NamedTuple

from jinja2 import Environment
from pydantic import BaseModel

from ddxgraph.batch.folder import MANIFEST as RUN
from ddxgraph.common import words
from ddxgraph.common.errors import TrainingError
from ddxgraph.common.files import read_json, write_product
from ddxgraph.common.templates import html_environment, markdown_environment
from ddxgraph.eval.report.comparison import Comparison
from ddxgraph.eval.report.figures import FROZEN, Accuracy, RunResult
from ddxgraph.eval.report.runresult import run_result
from ddxgraph.eval.scoring.run import ScoredRun, score_run
from ddxgraph.graph.trace import code_version
from ddxgraph.training.gate.report import JSON as GATE
from ddxgraph.training.gate.report import GateReport
from ddxgraph.training.loop.cases import LoopCases
from ddxgraph.training.loop.folder import SUMMARIES, LoopFolder, RoundFolder
from ddxgraph.training.loop.keep import Decision, compared
from ddxgraph.training.loop.loop import Ended
from ddxgraph.training.loop.stages import Proof
from ddxgraph.training.sets.manifest import SET, read_set
from ddxgraph.training.sft.card import read_training_card

SUMMARY_VERSION: Final = 1
JSON, MARKDOWN, PAGE = SUMMARIES


class Evaluated(BaseModel):
    """The validation cases on the base model or an adapter."""

    model_config = FROZEN

    accuracy: Accuracy
    unparsed: int
    """Traversals whose answer could not be parsed; they count as not correct."""
    unscored: int
    """Traversals that failed or are missing."""
    traversals: int
    output_tokens: float | None
    """Mean over the finished traversals."""


class Gathered(BaseModel):
    """Traversals of a round, and the samples that gate and style made of them."""

    model_config = FROZEN

    traversals: int
    """Read by the gate."""
    accepted: int
    rejected: Mapping[str, int]
    """Reason in words to count, the most frequent first."""
    train: int
    """Training samples."""
    validation: int
    """Validation samples."""
    backtracks_told: int
    """Samples whose text tells at least one backtrack."""

    @property
    def share(self) -> float | None:
        """Accepted / traversals, in 0..1; None without traversals."""
        return self.accepted / self.traversals if self.traversals else None

    @property
    def samples(self) -> int:
        """Samples of both sides."""
        return self.train + self.validation


class Trained(BaseModel):
    """What the adapter's training card says."""

    model_config = FROZEN

    samples: int
    """Training samples."""
    supervised_tokens: int
    """Supervised tokens in one epoch."""
    train_loss: float
    """Nats per supervised token, at the end."""
    validation_loss: float | None
    """The same on the validation samples; None without any."""


class RoundSummary(BaseModel):
    """A round, as far as it is done."""

    model_config = FROZEN

    number: int
    adapter: str
    """Its folder, relative to the loop's."""
    gathered: Gathered | None = None
    trained: Trained | None = None
    proof: Proof | None = None
    evaluated: Evaluated | None = None
    decision: Decision | None = None
    against_base: Comparison | None = None
    """Comparison with the untrained model, where the decision compared with an earlier round."""


class LoopSummary(BaseModel):
    """A loop. Shares are in 0..1, intervals are 95%."""

    model_config = FROZEN

    version: Literal[1] = SUMMARY_VERSION
    code_version: str
    state: Literal["under way", "done", "stopped"]
    why: str
    """Why it ended, one sentence; empty while it is under way."""
    base_model: str
    style: str
    """Style of the journeys."""
    start: str
    strategy: str
    """Strategy on the validation cases."""
    items: str
    """The validation cases, in words."""
    majority: float | None
    """Accuracy of always answering the most frequent gold letter of these cases."""
    base: Evaluated | None
    rounds: tuple[RoundSummary, ...]

    @property
    def kept(self) -> str | None:
        """The adapter that was kept last, or None."""
        kept = [done.adapter for done in self.rounds if done.decision and done.decision.kept]
        return kept[-1] if kept else None


def summarise(folder: LoopFolder, evaluate: LoopCases, ended: Ended | None = None) -> LoopSummary:
    """Summarise a loop's folder.

    Args:
        folder: the loop's.
        evaluate: its validation cases.
        ended: how it ended; None while it is under way.

    Returns:
        The figures of all rounds that have begun.

    Raises:
        LoopError, ScoreError, TraceFileError, JourneySetError: a product cannot be read.
    """
    config = folder.manifest.config
    base = _scored(folder.base, evaluate)
    result = run_result(base, 1, "base", seed=0) if base else None
    places = [folder.round(number) for number in range(1, config.rounds + 1)]
    return LoopSummary(
        code_version=code_version(),
        state=ended.state if ended else "under way",
        why=ended.why if ended else "",
        base_model=config.base_model,
        style=config.journeys.style,
        start=config.start,
        strategy=config.evaluate.strategy,
        items=result.items if result else f"{evaluate.known.count:,} cases",
        majority=result.majority if result else None,
        base=_evaluated(result) if result else None,
        rounds=tuple(_round(place, folder.path, base, evaluate) for place in places if place.path.exists()),
    )


def _round(place: RoundFolder, loop: Path, base: ScoredRun | None, evaluate: LoopCases) -> RoundSummary:
    scored = _scored(place.evaluation, evaluate)
    result = run_result(scored, 1, place.name, seed=0) if scored else None
    decision = read_json(place.decision, Decision)
    # Compared with the base model too: several small losses in a row would otherwise go unnoticed.
    again = base is not None and scored is not None and decision is not None and place.number > 1
    return RoundSummary(
        number=place.number,
        adapter=str(place.adapter.relative_to(loop)),
        gathered=_gathered(place.journeys),
        trained=_trained(place.adapter),
        proof=read_json(place.liveness, Proof),
        evaluated=_evaluated(result) if result else None,
        decision=decision,
        against_base=compared("base", base, place.name, scored) if again and base and scored else None,
    )


def _scored(folder: Path, cases: LoopCases) -> ScoredRun | None:
    return score_run(folder, cases.key) if (folder / RUN).exists() else None


def _evaluated(found: RunResult) -> Evaluated:
    return Evaluated(
        accuracy=found.accuracy,
        unparsed=found.unparsed,
        unscored=found.unscored_traces,
        traversals=found.traces,
        output_tokens=found.cost.output_tokens.mean if found.cost else None,
    )


def _gathered(folder: Path) -> Gathered | None:
    if not (folder / SET).exists():
        return None
    made = read_set(folder)
    gate = read_json(folder / GATE, GateReport)
    return Gathered(
        traversals=made.read,
        accepted=made.accepted,
        rejected={reason.words: count for reason, count in gate.rejected.items()} if gate else {},
        train=made.train.samples,
        validation=made.validation.samples,
        backtracks_told=made.train.telling + made.validation.telling,
    )


def _trained(adapter: Path) -> Trained | None:
    """The card's figures; None without a card of this version."""
    try:
        card = read_training_card(adapter)
    except TrainingError:
        return None
    return Trained(
        samples=card.samples,
        supervised_tokens=card.supervised_tokens,
        train_loss=card.train_loss,
        validation_loss=card.validation_loss,
    )


def write_summary(summary: LoopSummary, folder: Path) -> Path:
    """Write `summary.json`, `summary.md` and `summary.html`.

    Args:
        summary: the figures.
        folder: the loop's.

    Returns:
        The HTML page.

    Raises:
        LoopError: they cannot be written.
    """
    write_product(folder / JSON, summary.model_dump_json(indent=1) + "\n")
    write_product(folder / MARKDOWN, markdown(summary))
    write_product(folder / PAGE, page(summary))
    return folder / PAGE


def markdown(summary: LoopSummary) -> str:
    """The summary as GitHub Markdown."""
    return _rendered("summary.md.jinja", markdown_environment(Path(__file__).parent), summary)


def page(summary: LoopSummary) -> str:
    """The summary as one self-contained HTML page."""
    return _rendered("summary.html.jinja", html_environment(Path(__file__).parent), summary)


def _rendered(template: str, environment: Environment, summary: LoopSummary) -> str:
    environment.filters |= {**words.REPORT_FILTERS, "loss": _loss}
    return environment.get_template(template).render(
        summary=summary, rows=_rows(summary), notice=words.NOTICE
    )


def _loss(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


class _Row(NamedTuple):
    """The base model or a round, in the table of accuracies."""

    name: str
    adapter: str
    evaluated: Evaluated | None
    decision: Decision | None
    against_base: Comparison | None


def _rows(summary: LoopSummary) -> list[_Row]:
    rounds = [
        _Row(f"round {done.number}", done.adapter, done.evaluated, done.decision, done.against_base)
        for done in summary.rounds
    ]
    return [_Row("base", "", summary.base, None, None), *rounds]
