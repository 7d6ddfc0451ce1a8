"""The improvement loop from a configuration file, with its engine: see `engines`."""

from pathlib import Path

from ddxgraph.training.gate.decontamination import load_held_out
from ddxgraph.training.loop.cases import cases_of, check_apart
from ddxgraph.training.loop.config import read_loop
from ddxgraph.training.loop.engines import Company, workshops
from ddxgraph.training.loop.folder import ENGINE_LOG, LoopManifest, open_loop
from ddxgraph.training.loop.loop import Ended, Loop
from ddxgraph.training.loop.summary import LoopSummary, summarise, write_summary


def improve(loop: Path | str, out: Path | str | None = None, *, company: Company) -> LoopSummary:
    """Run an improvement loop, or the rest of one; needs the extras `eval`, `journeys` and `train`.

    Args:
        loop: the configuration (TOML).
        out: the loop's folder; by default `loop` without its ending.
        company: reports on the loop.

    Returns:
        The summary, which is also in the folder; its `state` is `done` or `stopped`.

    Raises:
        LoopError: the configuration or the folder cannot be used as asked.
        LoopUnfinished: a stage failed for a reason unrelated to the model. Fix it and repeat the call to resume.
        BenchmarkError, CaseFileError, CaseConflict, GateError, RunFolderError, TraceFileError, ScoreError,
            JourneySetError: cases, gate or a product in the folder cannot be used.
        AdapterError, EndpointError, ServeError, ServerError, WeightsError: nothing can be served.
        TrainConfigError, TrainingDataError, TrainingError: nothing can be trained.
        Stopped: a training was stopped, after a checkpoint.
    """
    file, place = read_loop(loop), place_of(loop, out)
    config, base = file.config, file.base_model
    generate, evaluate = cases_of(config.generate, file), cases_of(config.evaluate, file)
    check_apart(generate, evaluate)
    # Before hours of generation, not after them: the gate needs the test sets.
    rule = config.gate.decontamination
    held_out = load_held_out(rule.allow_missing) if rule.enabled else None
    wanted = LoopManifest.of(config, generate.digest, evaluate.digest)
    train = config.train.model_copy(update={"base_model": base})
    with (
        open_loop(place, wanted) as folder,
        workshops(config.engine, train, file.path, place / ENGINE_LOG, company) as workshop_for,
    ):
        work = Loop(folder, generate, evaluate, workshop_for(train), company.watch, held_out)
        ended: Ended | None = None
        for ended in work.run():
            summary = summarise(folder, evaluate, ended)
            write_summary(summary, place)
    return summary


def place_of(loop: Path | str, out: Path | str | None = None) -> Path:
    """The folder of a loop: `out`, or else `loop` without its ending."""
    return Path(out) if out else Path(loop).with_suffix("")
