"""The errors that ddxgraph raises on purpose. Each message says what was tried and how to mend it.

`DdxgraphError` catches all of them. There are two kinds, and the command line knows no others: `BadInput` (what
was given cannot be used; exit code 2) and `NotDone` (the input is fine, but the work could not be finished; exit
code 1). The first is a `ValueError` as well, the second a `RuntimeError`. An error that never leaves its own room
is defined there, as a subclass of one of the two.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


class DdxgraphError(Exception):
    """Base of every error that ddxgraph raises on purpose; the message says what was tried and how to mend it."""


class BadInput(DdxgraphError, ValueError):  # noqa: N818 - reads as what happened
    """An argument, file or setting cannot be used as given: change it."""


class NotDone(DdxgraphError, RuntimeError):  # noqa: N818 - reads as what happened
    """The work could not be finished, for a reason outside the input: fix that and repeat the call."""


class MissingExtra(ImportError, BadInput):  # noqa: N818 - reads as what happened
    """A function needs a library that one of ddxgraph's extras installs; the message has the command."""


class PromptError(FileNotFoundError, BadInput):
    """A folder of prompts lacks a file."""


# Cases, benchmarks and scores


class CaseFileError(BadInput):
    """A case cannot be read; the message names file and line."""


class CaseConflict(BadInput):
    """Two different cases have the same id."""


class CaseTooLong(BadInput):
    """A case leaves no room for reasoning in the model's context window."""


class BenchmarkError(BadInput):
    """A benchmark cannot be used as asked; the message names the row, if there is one."""


class FetchError(NotDone):
    """A download failed."""


class ScoreError(BadInput):
    """A run cannot be scored; the message names the case or trace."""


class JudgementError(BadInput):
    """Judgements cannot be read, written or found."""


class EvaluationError(BadInput):
    """Runs cannot be evaluated together, or not be reported as asked."""


class InspectLogError(BadInput):
    """A log of Inspect AI cannot be imported."""


# Runs and traces


class RunFolderError(BadInput):
    """A run folder cannot be used as asked."""


class TraceFileError(BadInput):
    """A trace file cannot be read or written; the message names file and line."""


class EditError(BadInput):
    """A paused journey cannot be edited so."""


class CheckpointError(NotDone):
    """A store of checkpoints cannot be used."""


class TooManyFailures(NotDone):
    """So many traversals failed in a row that the rest would fail too. All of them are on record."""


# Models


class OfflineError(NotDone):
    """The network is needed, and the environment allows this machine alone."""


class EndpointError(NotDone):
    """No model can be reached."""


class ServeError(NotDone):
    """An engine cannot be started, or has ended."""


class ServerError(NotDone):
    """A server refused a request or did not answer.

    Args:
        message: what was asked and what came back.
        status: the HTTP status; None where there was no answer. 200: an answer that cannot be used.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class WeightsError(NotDone):
    """Model weights cannot be obtained."""


class AdapterError(NotDone):
    """An adapter cannot be read, loaded or checked."""


# Training data


class CompileError(BadInput):
    """A trace cannot be compiled into training text."""


class GateError(BadInput):
    """Traversals cannot be gated as asked."""


class JourneySetError(BadInput):
    """A set of journeys cannot be made or read."""


class SampleFileError(BadInput):
    """A line of a file is no training sample; the message names file and line."""


class ReviewError(BadInput):
    """Reviews cannot be read or written."""


class RewriteError(BadInput):
    """Rewritten monologues cannot be read or written."""


class RewritesUnfinished(NotDone):
    """The engine gave no reply for some monologues. The others are kept; repeating the call asks for the rest."""


# Training and the improvement loop


class TrainConfigError(BadInput):
    """A training configuration cannot be used; the message names file and key."""


class TrainingDataError(BadInput):
    """A set of journeys cannot be trained on."""


class TrainingError(NotDone):
    """A training cannot begin, go on or be saved."""


class Stopped(KeyboardInterrupt):
    """A training was stopped on request, after a checkpoint; the same call goes on from there.

    Not an `Exception`, so that nothing on the way takes it for a failure.
    """


class LoopError(BadInput):
    """An improvement loop or an experiment cannot be started as asked."""


class LoopUnfinished(NotDone):
    """A stage failed for a reason unrelated to the model. Fix the cause and repeat the call to resume."""


# Pages and pictures


class PageError(BadInput):
    """A page or a picture cannot be made as asked."""


class PortTaken(OSError, BadInput):  # noqa: N818 - reads as what happened
    """The port cannot be listened on."""


# Wording


def first_line(error: BaseException) -> str:
    """The first line of what a library's error says; its name where it says nothing."""
    return str(error).strip().partition("\n")[0] or type(error).__name__


def fault_of(error: "ValidationError", whole: str = "") -> str:
    """The first thing that pydantic found wrong, in one line.

    Args:
        error: pydantic's.
        whole: what to call the place when the record as a whole is wrong, such as `line`.

    Returns:
        Such as `steps.0.node: Field required`.
    """
    return faults_of(error, whole)[0]


def faults_of(error: "ValidationError", whole: str = "") -> list[str]:
    """All that pydantic found wrong; see `fault_of`."""
    faults = []
    for fault in error.errors(include_url=False, include_context=False):
        place = ".".join(str(part) for part in fault["loc"] if part != "[key]") or whole
        message = fault["msg"].removeprefix("Value error, ")
        faults.append(f"{place}: {message}" if place else message)
    return faults
