"""The laboratory experiment from a configuration file, with its engine: see `training.loop.engines`."""

import hashlib
from pathlib import Path

from ddxgraph.experiment.arms import level_cases
from ddxgraph.experiment.config import ExperimentConfig, read_experiment
from ddxgraph.experiment.experiment import Experiment
from ddxgraph.experiment.folder import ENGINE_LOG, ExperimentManifest, open_experiment
from ddxgraph.experiment.summary import ExperimentSummary, summarise, write_summary
from ddxgraph.training.gate.decontamination import load_held_out
from ddxgraph.training.loop.engines import Company, workshops


def experiment(file: Path | str, out: Path | str | None = None, *, company: Company) -> ExperimentSummary:
    """Run a laboratory experiment, or the rest of one; needs the extras `eval`, `journeys` and `train`.

    Args:
        file: the configuration (TOML).
        out: the experiment's folder; by default `file` without its ending.
        company: reports on the experiment.

    Returns:
        The summary, which is also in the folder.

    Raises:
        LoopError: the configuration or the folder cannot be used as asked, or an adapter is not in force.
        LoopUnfinished: a stage failed for a reason unrelated to the model. Fix it and repeat the call to resume.
        BenchmarkError, GateError, RunFolderError, TraceFileError, ScoreError, JourneySetError: cases, gate or a
            product in the folder cannot be used.
        AdapterError, EndpointError, ServeError, ServerError, WeightsError: nothing can be served.
        TrainConfigError, TrainingDataError, TrainingError: nothing can be trained.
        Stopped: a training was stopped, after a checkpoint.
    """
    read = read_experiment(file)
    place = Path(out) if out else read.path.with_suffix("")
    train = read.config.train.model_copy(update={"base_model": read.base_model})
    # Before the first stages, not after them: the gate may need the test sets of the benchmarks.
    rule = read.config.gate.decontamination
    held_out = load_held_out(rule.allow_missing) if rule.enabled else None
    wanted = ExperimentManifest.of(read.config, _cases_digest(read.config))
    with (
        open_experiment(place, wanted) as folder,
        workshops(read.config.engine, train, read.path, place / ENGINE_LOG, company) as workshop_for,
    ):
        made = [workshop_for(train.model_copy(update={"seed": seed})) for seed in read.config.seeds]
        for _ in Experiment(folder, made, company.watch, held_out).run():
            summary = summarise(folder)
            write_summary(summary, place)
    return summary


def _cases_digest(config: ExperimentConfig) -> str:
    """A hash of the test cases and their gold answers."""
    lines = (
        f"{case.digest} {gold.answer if gold else ''}"
        for level in config.levels
        for case, gold in level_cases(config.test.split, level, config.test.cases).entries
    )
    return hashlib.sha256("\0".join(lines).encode()).hexdigest()
