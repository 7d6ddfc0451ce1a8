"""An experiment in figures: arms, contrasts, spending and targets, as JSON and as Markdown with its pictures."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple

from pydantic import BaseModel

from ddxgraph.common import words
from ddxgraph.common.files import write_product
from ddxgraph.common.templates import markdown_environment
from ddxgraph.eval.report.figures import FROZEN
from ddxgraph.eval.report.plots.picture import Picture, drawing
from ddxgraph.experiment.arms import SECOND_ROUND, Arm, arms, level_cases, second_round
from ddxgraph.experiment.config import ExperimentConfig
from ddxgraph.experiment.contrast import Contrast, contrast
from ddxgraph.experiment.folder import ExperimentFolder, SeedFolder
from ddxgraph.experiment.plots import arms_plot, level_plot, spending_plot
from ddxgraph.experiment.results import ArmResult, Scored, arm_result, majority, scored
from ddxgraph.experiment.share import Share
from ddxgraph.experiment.spending import SpentCurve, budget_points, vote_points
from ddxgraph.experiment.target import Target, targets
from ddxgraph.graph.trace import code_version
from ddxgraph.lab.solver import posterior
from ddxgraph.lab.wording import read_question, read_vignette
from ddxgraph.training.styles.registry import style_names

SUMMARY_VERSION: Final = 1
JSON, MARKDOWN = "summary.json", "summary.md"
_OF_THE_MACHINE: Final = {"config": {"engine": {"python", "base_url"}}}
"""Left out of `summary.json`, which may be published."""
_CONTROL: Final = "shortcut"
_BASE: Final = Arm("base, answering straight", "shortcut")


class LevelFacts(BaseModel):
    """Facts about a level's test cases that hold for every arm."""

    model_config = FROZEN

    level: int
    cases: int
    majority: Share
    """What answering the most frequent gold letter always would get."""
    bayes_optimal: float
    """Accuracy with which a perfect reader names the condition that the patient has; the gold answer he names
    always."""


class ExperimentSummary(BaseModel):
    """An experiment. Shares are in 0..1, intervals are 95%."""

    model_config = FROZEN

    version: Literal[1] = SUMMARY_VERSION
    code_version: str
    config: ExperimentConfig
    knowledge: str
    """SHA-256 (hex) over the test cases and their gold answers."""
    seeds: tuple[int, ...]
    """Those that have results."""
    levels: tuple[LevelFacts, ...]
    arms: tuple[ArmResult, ...]
    contrasts: tuple[Contrast, ...]
    spending: tuple[SpentCurve, ...]
    targets: tuple[Target, ...]


class _Found(NamedTuple):
    """The test runs of a seed's arms."""

    place: SeedFolder
    runs: dict[str, tuple[Arm, Scored]]


def summarise(folder: ExperimentFolder) -> ExperimentSummary:
    """What an experiment's folder holds, in figures.

    Raises:
        LoopError, ScoreError, TraceFileError, JourneySetError, TrainingError, BenchmarkError: a product cannot be
            read.
    """
    config = folder.manifest.config
    base = scored(folder.base, config.levels)
    seeds = [found for seed in config.seeds if (found := _found(folder.seed(seed), config)).runs]
    results = [arm_result(None, _BASE, None, base)] if base else []
    results += [
        arm_result(found.place.seed, arm, found.place.arm(arm), runs)
        for found in seeds
        for arm, runs in found.runs.values()
    ]
    contrasts = [one for found in seeds for one in _contrasts(found)]
    curves = [one for found in seeds for one in _curves(found, config)]
    return ExperimentSummary(
        code_version=code_version(),
        config=config,
        knowledge=folder.manifest.knowledge,
        seeds=tuple(found.place.seed for found in seeds),
        levels=tuple(_facts(base, config)) if base else (),
        arms=tuple(results),
        contrasts=tuple(contrasts),
        spending=tuple(curves),
        targets=tuple(targets(results, contrasts, curves)),
    )


def _found(place: SeedFolder, config: ExperimentConfig) -> _Found:
    wanted = [*arms(config), *([second_round()] if config.second_round.cases else [])]
    runs = {arm.name: (arm, scored(place.arm(arm).tested, config.levels)) for arm in wanted}
    return _Found(place, {name: (arm, own) for name, (arm, own) in runs.items() if own})


def _contrasts(found: _Found) -> Iterator[Contrast]:
    """Every arm against the shortcut; journeys against the controls at equal tokens; the second round."""
    named = {name: (name, runs) for name, (_, runs) in found.runs.items()}
    for name, one in named.items():
        if name.endswith(SECOND_ROUND):
            yield contrast(found.place.seed, named["graph"], one)
        elif _CONTROL in named and name != _CONTROL:
            yield contrast(found.place.seed, named[_CONTROL], one)
    for name, one in named.items():
        arm = found.runs[name][0]
        if arm.name != arm.style and not name.endswith(SECOND_ROUND):
            for told in style_names("journey"):
                if told in named:
                    yield contrast(found.place.seed, one, named[told])


def _curves(found: _Found, config: ExperimentConfig) -> Iterator[SpentCurve]:
    seed, spending = found.place.seed, config.spending
    if not spending.cases:
        return
    cases: list[str] = []
    for style in spending.vote:
        votes = scored(found.place.votes(style), config.levels)
        if votes:
            cases = list(votes.right)
            yield vote_points(seed, style, votes)
    budgets = {
        f"{most:,} tokens": scored(found.place.budget(most), config.levels) for most in spending.max_tokens
    }
    whole = {label: runs for label, runs in budgets.items() if runs}
    if whole and "graph" in found.runs:
        cases = cases or list(next(iter(whole.values())).right)
        yield budget_points(seed, {**whole, "unlimited": found.runs["graph"][1]}, cases)


def _facts(base: Scored, config: ExperimentConfig) -> Iterator[LevelFacts]:
    for level, run in zip(base.levels, base.runs, strict=True):
        cases = level_cases(config.test.split, level, config.test.cases)
        best = []
        for case in cases:
            told = read_vignette(case.vignette)
            best.append(max(posterior(told.cards, told.findings, read_question(case.question)).values()))
        yield LevelFacts(
            level=level, cases=len(best), majority=majority(run), bayes_optimal=sum(best) / len(best)
        )


def write_summary(summary: ExperimentSummary, folder: Path) -> Path:
    """Write `summary.json`, `summary.md` and the pictures beside them.

    Args:
        summary: what they say.
        folder: the experiment's.

    Returns:
        The Markdown file.

    Raises:
        LoopError: they cannot be written.
    """
    pictures = _pictures(summary)
    for one in pictures:
        write_product(folder / f"{one.name}.svg", one.svg)
    write_product(folder / JSON, summary.model_dump_json(indent=1, exclude=_OF_THE_MACHINE) + "\n")
    write_product(folder / MARKDOWN, markdown(summary, pictures))
    return folder / MARKDOWN


def markdown(summary: ExperimentSummary, pictures: Sequence[Picture]) -> str:
    """The summary as Markdown (GitHub's tables)."""
    environment = markdown_environment(Path(__file__).parent)
    environment.filters |= {**words.REPORT_FILTERS, "shared": _shared}
    template = environment.get_template("summary.md.jinja")
    return template.render(summary=summary, pictures=pictures, notice=words.NOTICE)


def _shared(one: Share | None) -> str:
    return f"{words.percent(one.value)} ({one.count} of {one.of})" if one else "–"


def _pictures(summary: ExperimentSummary) -> list[Picture]:
    with drawing():
        drawn = [arms_plot("arms", summary.arms, summary.levels)] if summary.levels else []
        for seed in summary.seeds:
            results = [one for one in summary.arms if one.seed in {seed, None}]
            drawn.append(level_plot(f"levels-seed-{seed}", seed, results, summary.levels))
            curves = [one for one in summary.spending if one.seed == seed]
            if curves:
                drawn.append(spending_plot(f"spending-seed-{seed}", seed, curves))
        return drawn
