"""Clinical cases through a LangGraph reasoning graph: journeys, traces and journey-learning data.

Research software, not a medical device: nothing here may guide the care of a patient.
"""

from ddxgraph.eval.benchmark import BenchmarkError, Items, Selection
from ddxgraph.eval.benchmark import load as load_benchmark
from ddxgraph.eval.casefile import CaseFileError, Gold, read_cases
from ddxgraph.eval.scoredrun import ScoredRun, ScoreError, score_run
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

__all__ = [
    "BenchmarkError",
    "Budget",
    "Case",
    "CaseFileError",
    "CaseTooLong",
    "EndpointError",
    "GenerationStrategy",
    "Gold",
    "GraphStrategy",
    "Items",
    "Limits",
    "Patience",
    "Policy",
    "RunFolderError",
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
    "Traversal",
    "asolve",
    "build_graph",
    "connect",
    "load_benchmark",
    "read_cases",
    "read_traces",
    "run",
    "score_run",
    "serve",
    "solve",
    "trace_of",
]
