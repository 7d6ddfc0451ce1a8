"""Clinical cases through a LangGraph reasoning graph: journeys, traces and journey-learning data.

Research software, not a medical device: nothing here may guide the care of a patient.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ddxgraph.eval.benchmark import BenchmarkError, Items, Selection
from ddxgraph.eval.benchmark import load as load_benchmark
from ddxgraph.eval.casefile import CaseFileError, Gold, read_cases
from ddxgraph.eval.scoredrun import ScoredRun, ScoreError, score_run
from ddxgraph.finetuning import finetune
from ddxgraph.graph.budget import Budget
from ddxgraph.graph.generation import GenerationStrategy
from ddxgraph.graph.plan import CaseTooLong
from ddxgraph.graph.routing import Policy
from ddxgraph.graph.runfolder import RunFolderError
from ddxgraph.graph.runner import TooManyFailures, run
from ddxgraph.graph.strategy import GraphStrategy, Strategy
from ddxgraph.graph.topology import build_graph
from ddxgraph.graph.trace import Step, Trace
from ddxgraph.graph.tracefile import TraceFileError, read_traces
from ddxgraph.graph.traversal import Traversal, asolve, solve, trace_of
from ddxgraph.nodes.case import Case
from ddxgraph.nodes.limits import Limits
from ddxgraph.nodes.patience import Patience
from ddxgraph.nodes.sampling import Sampling
from ddxgraph.serving.connect import EndpointError, connect
from ddxgraph.serving.enginecommand import ServeError
from ddxgraph.serving.server import serve
from ddxgraph.training.compile import CompileError, compile_journey
from ddxgraph.training.gateconfig import GateConfig
from ddxgraph.training.gateerror import GateError
from ddxgraph.training.looperror import LoopError, LoopUnfinished
from ddxgraph.training.setmanifest import JourneySetError
from ddxgraph.training.trainconfig import TrainConfig
from ddxgraph.training.trainingerror import TrainConfigError, TrainingDataError, TrainingError
from ddxgraph.view.transitions import transitions

if TYPE_CHECKING:
    from ddxgraph.training.gate import RunSource, gate
    from ddxgraph.training.inspection import inspect_set
    from ddxgraph.training.journeyset import make_journeys

__all__ = [
    "BenchmarkError",
    "Budget",
    "Case",
    "CaseFileError",
    "CaseTooLong",
    "CompileError",
    "EndpointError",
    "GateConfig",
    "GateError",
    "GenerationStrategy",
    "Gold",
    "GraphStrategy",
    "Items",
    "JourneySetError",
    "Limits",
    "LoopError",
    "LoopUnfinished",
    "Patience",
    "Policy",
    "RunFolderError",
    "RunSource",
    "Sampling",
    "ScoreError",
    "ScoredRun",
    "Selection",
    "ServeError",
    "Step",
    "Strategy",
    "TooManyFailures",
    "Trace",
    "TraceFileError",
    "TrainConfig",
    "TrainConfigError",
    "TrainingDataError",
    "TrainingError",
    "Traversal",
    "asolve",
    "build_graph",
    "compile_journey",
    "connect",
    "finetune",
    "gate",
    "inspect_set",
    "load_benchmark",
    "make_journeys",
    "read_cases",
    "read_traces",
    "run",
    "score_run",
    "serve",
    "solve",
    "trace_of",
    "transitions",
]

_NEED_AN_EXTRA = {
    "RunSource": "gate",
    "gate": "gate",
    "inspect_set": "inspection",
    "make_journeys": "journeyset",
}
"""Names to their modules, which need what the extra `journeys` installs."""


def __getattr__(name: str) -> Any:
    """Names that the core does without are imported when they are asked for."""
    if name not in _NEED_AN_EXTRA:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = import_module(f"{__name__}.training.{_NEED_AN_EXTRA[name]}")
    except ModuleNotFoundError as error:
        raise ImportError(
            f"ddxgraph.{name} needs {error.name}, which this Python lacks: pip install 'ddxgraph[journeys]'"
        ) from error
    return getattr(module, name)
