"""The laboratory experiment, wired: students are trained here, and served by a vLLM that runs or is started."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from ddxgraph.experiment.config import ExperimentConfig, read_experiment
from ddxgraph.experiment.experiment import Experiment
from ddxgraph.experiment.folder import ENGINE_LOG, ExperimentManifest, open_experiment
from ddxgraph.experiment.levelcases import level_cases
from ddxgraph.experiment.summary import ExperimentSummary, summarise, write_summary
from ddxgraph.training.gate.decontamination import load_held_out
from ddxgraph.training.loop.engines import Company, workshops
from ddxgraph.view.notice import NOTICE


def experiment(file: Path | str, out: Path | str | None = None, *, company: Company) -> ExperimentSummary:
    """Do what is left to do of a laboratory experiment; needs the extras `eval`, `journeys` and `train`.

    Args:
        file: the configuration (TOML).
        out: the experiment's folder; by default one of the file's name, without its ending, beside it.
        company: is told how it is going.

    Returns:
        The summary, which also lies in the folder.

    Raises:
        LoopError: the configuration or the folder cannot be used as asked, or an adapter is not in force.
        LoopUnfinished: a stage did not come to its end; mended, the same call goes on.
        BenchmarkError, GateError, RunFolderError, TraceFileError, ScoreError, JourneySetError: cases, gate or a
            product in the folder cannot be used.
        AdapterError, EndpointError, ServeError, ServerError, WeightsError: nothing can be served.
        TrainConfigError, TrainingDataError, TrainingError: nothing can be trained.
        Stopped: a training was stopped, with a checkpoint.
    """
    read = read_experiment(file)
    place = Path(out) if out else read.path.with_suffix("")
    train = read.config.train.model_copy(update={"base_model": read.base_model})
    # Now and not after the first stages: the gate may want the test sets of the benchmarks.
    rule = read.config.gate.decontamination
    held_out = load_held_out(rule.allow_missing) if rule.enabled else None
    wanted = ExperimentManifest.of(read.config, _knowledge(read.config))
    with (
        open_experiment(place, wanted) as folder,
        workshops(read.config.engine, train, read.path, place / ENGINE_LOG, company) as workshop_for,
    ):
        made = [workshop_for(train.model_copy(update={"seed": seed})) for seed in read.config.seeds]
        for _ in Experiment(folder, made, company.watch, held_out).run():
            summary = summarise(folder)
            write_summary(summary, place, notice=NOTICE)
    return summary


def _knowledge(config: ExperimentConfig) -> str:
    """The test cases and their gold answers by their content; a hash, so that it stands in no prompt."""
    return hashlib.sha256("\0".join(_told(config)).encode()).hexdigest()


def _told(config: ExperimentConfig) -> Iterable[str]:
    for level in config.levels:
        for case, gold in level_cases(config.test.split, level, config.test.cases).entries:
            yield f"{case.digest} {gold.answer if gold else ''}"
