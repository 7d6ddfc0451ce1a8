"""How the command line speaks: sentences and exit codes instead of tracebacks."""

import errno
import sys
from collections.abc import Callable
from enum import IntEnum
from functools import wraps
from typing import IO, Final, NoReturn, ParamSpec, TypeVar, cast

import typer
from rich.console import Console
from rich.markup import escape

from ddxgraph.batch.checkpoints import CheckpointError
from ddxgraph.batch.folder import RunFolderError
from ddxgraph.batch.manifest import CaseConflict
from ddxgraph.batch.tracefile import TraceFileError
from ddxgraph.cli.streams import Remarks, discard, steady_streams
from ddxgraph.eval.benchmarks.rawfile import BenchmarkError
from ddxgraph.eval.benchmarks.store import FetchError
from ddxgraph.eval.cases import CaseFileError
from ddxgraph.eval.report.evaluationerror import EvaluationError
from ddxgraph.eval.scoring.judgements import JudgementError
from ddxgraph.eval.scoring.run import ScoreError
from ddxgraph.graph.plan import CaseTooLong
from ddxgraph.serving.adapters.files import AdapterError
from ddxgraph.serving.api import ServerError
from ddxgraph.serving.connect import EndpointError
from ddxgraph.serving.enginecommand import ServeError
from ddxgraph.serving.weights import WeightsError
from ddxgraph.training.gate.gateerror import GateError
from ddxgraph.training.loop.looperror import LoopError, LoopUnfinished
from ddxgraph.training.review.file import ReviewError
from ddxgraph.training.rewrite.store import RewriteError
from ddxgraph.training.sets.manifest import JourneySetError
from ddxgraph.training.sets.samples import SampleFileError
from ddxgraph.training.sft.trainingerror import Stopped, TrainConfigError, TrainingDataError, TrainingError
from ddxgraph.view.page.table import PageError

P = ParamSpec("P")
R = TypeVar("R")

_BAD_INPUT: Final = (
    BenchmarkError,
    CaseConflict,
    CaseFileError,
    CaseTooLong,
    EvaluationError,
    GateError,
    JourneySetError,
    JudgementError,
    LoopError,
    PageError,
    ReviewError,
    RewriteError,
    RunFolderError,
    SampleFileError,
    ScoreError,
    TraceFileError,
    TrainConfigError,
    TrainingDataError,
)
_NOT_DONE: Final = (
    AdapterError,
    CheckpointError,
    EndpointError,
    FetchError,
    LoopUnfinished,
    ServeError,
    ServerError,
    TrainingError,
    WeightsError,
)

STDERR: Final = Console(file=cast(IO[str], Remarks()), stderr=True, highlight=False)
STDOUT: Final = Console(highlight=False, soft_wrap=True)


class Exit(IntEnum):
    """Exit codes."""

    DONE = 0
    NOT_DONE = 1
    BAD_INPUT = 2
    INTERRUPTED = 130


def say(message: str) -> None:
    """A remark on stderr."""
    STDERR.print(escape(message), style="dim", soft_wrap=True)


def fail(message: str, code: Exit) -> NoReturn:
    """Say what went wrong, and end."""
    STDERR.print(f"[red]ddxgraph:[/red] {escape(message)}", soft_wrap=True)
    raise typer.Exit(code)


def spoken(command: Callable[P, R]) -> Callable[P, R]:
    """Turn what may go wrong into a sentence and an exit code."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        steady_streams()
        try:
            return command(*args, **kwargs)
        except _BAD_INPUT as error:
            fail(str(error), Exit.BAD_INPUT)
        except _NOT_DONE as error:
            fail(str(error), Exit.NOT_DONE)
        except OSError as error:
            if error.errno == errno.EPIPE:  # whoever read the results has enough
                raise
            discard(sys.stdout)
            fail(str(error), Exit.NOT_DONE)
        except KeyboardInterrupt:
            fail("interrupted", Exit.INTERRUPTED)
        except Stopped:
            fail("interrupted; a checkpoint is there, and the same command goes on from it", Exit.INTERRUPTED)

    return run
