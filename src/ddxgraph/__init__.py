"""Clinical cases through a LangGraph reasoning graph: journeys, traces and journey-learning data.

Research software, not a medical device: nothing here may guide the care of a patient.
"""

from typing import TYPE_CHECKING

from ddxgraph.common import lazy

if TYPE_CHECKING:
    from ddxgraph.eval.benchmark import BenchmarkError as BenchmarkError
    from ddxgraph.eval.benchmark import Items as Items
    from ddxgraph.eval.benchmark import Selection as Selection
    from ddxgraph.eval.benchmark import load as _load
    from ddxgraph.eval.casefile import CaseFileError as CaseFileError
    from ddxgraph.eval.casefile import Gold as Gold
    from ddxgraph.eval.casefile import read_cases as read_cases
    from ddxgraph.eval.scoredrun import ScoredRun as ScoredRun
    from ddxgraph.eval.scoredrun import ScoreError as ScoreError
    from ddxgraph.eval.scoredrun import score_run as score_run
    from ddxgraph.finetuning import finetune as finetune
    from ddxgraph.graph.budget import Budget as Budget
    from ddxgraph.graph.generation import GenerationStrategy as GenerationStrategy
    from ddxgraph.graph.plan import CaseTooLong as CaseTooLong
    from ddxgraph.graph.routing import Policy as Policy
    from ddxgraph.graph.runfolder import RunFolderError as RunFolderError
    from ddxgraph.graph.runner import TooManyFailures as TooManyFailures
    from ddxgraph.graph.runner import run as run
    from ddxgraph.graph.strategy import GraphStrategy as GraphStrategy
    from ddxgraph.graph.strategy import Strategy as Strategy
    from ddxgraph.graph.topology import build_graph as build_graph
    from ddxgraph.graph.trace import Step as Step
    from ddxgraph.graph.trace import Trace as Trace
    from ddxgraph.graph.tracefile import TraceFileError as TraceFileError
    from ddxgraph.graph.tracefile import read_traces as read_traces
    from ddxgraph.graph.traversal import Traversal as Traversal
    from ddxgraph.graph.traversal import asolve as asolve
    from ddxgraph.graph.traversal import solve as solve
    from ddxgraph.graph.traversal import trace_of as trace_of
    from ddxgraph.nodes.case import Case as Case
    from ddxgraph.nodes.limits import Limits as Limits
    from ddxgraph.nodes.patience import Patience as Patience
    from ddxgraph.nodes.sampling import Sampling as Sampling
    from ddxgraph.serving.connect import EndpointError as EndpointError
    from ddxgraph.serving.connect import connect as connect
    from ddxgraph.serving.enginecommand import ServeError as ServeError
    from ddxgraph.serving.server import serve as serve
    from ddxgraph.training.compile import CompileError as CompileError
    from ddxgraph.training.compile import compile_journey as compile_journey
    from ddxgraph.training.gate import RunSource as RunSource
    from ddxgraph.training.gate import gate as gate
    from ddxgraph.training.gateconfig import GateConfig as GateConfig
    from ddxgraph.training.gateerror import GateError as GateError
    from ddxgraph.training.inspection import inspect_set as inspect_set
    from ddxgraph.training.journeyset import make_journeys as make_journeys
    from ddxgraph.training.looperror import LoopError as LoopError
    from ddxgraph.training.looperror import LoopUnfinished as LoopUnfinished
    from ddxgraph.training.setmanifest import JourneySetError as JourneySetError
    from ddxgraph.training.trainconfig import TrainConfig as TrainConfig
    from ddxgraph.training.trainingerror import TrainConfigError as TrainConfigError
    from ddxgraph.training.trainingerror import TrainingDataError as TrainingDataError
    from ddxgraph.training.trainingerror import TrainingError as TrainingError
    from ddxgraph.view.transitions import transitions as transitions

    load_benchmark = _load
else:
    __getattr__, __dir__, __all__ = lazy.face(
        __name__,
        {
            "BenchmarkError": "ddxgraph.eval.benchmark",
            "Budget": "ddxgraph.graph.budget",
            "Case": "ddxgraph.nodes.case",
            "CaseFileError": "ddxgraph.eval.casefile",
            "CaseTooLong": "ddxgraph.graph.plan",
            "CompileError": "ddxgraph.training.compile",
            "EndpointError": "ddxgraph.serving.connect",
            "GateConfig": "ddxgraph.training.gateconfig",
            "GateError": "ddxgraph.training.gateerror",
            "GenerationStrategy": "ddxgraph.graph.generation",
            "Gold": "ddxgraph.eval.casefile",
            "GraphStrategy": "ddxgraph.graph.strategy",
            "Items": "ddxgraph.eval.benchmark",
            "JourneySetError": "ddxgraph.training.setmanifest",
            "Limits": "ddxgraph.nodes.limits",
            "LoopError": "ddxgraph.training.looperror",
            "LoopUnfinished": "ddxgraph.training.looperror",
            "Patience": "ddxgraph.nodes.patience",
            "Policy": "ddxgraph.graph.routing",
            "RunFolderError": "ddxgraph.graph.runfolder",
            "RunSource": "ddxgraph.training.gate",
            "Sampling": "ddxgraph.nodes.sampling",
            "ScoreError": "ddxgraph.eval.scoredrun",
            "ScoredRun": "ddxgraph.eval.scoredrun",
            "Selection": "ddxgraph.eval.benchmark",
            "ServeError": "ddxgraph.serving.enginecommand",
            "Step": "ddxgraph.graph.trace",
            "Strategy": "ddxgraph.graph.strategy",
            "TooManyFailures": "ddxgraph.graph.runner",
            "Trace": "ddxgraph.graph.trace",
            "TraceFileError": "ddxgraph.graph.tracefile",
            "TrainConfig": "ddxgraph.training.trainconfig",
            "TrainConfigError": "ddxgraph.training.trainingerror",
            "TrainingDataError": "ddxgraph.training.trainingerror",
            "TrainingError": "ddxgraph.training.trainingerror",
            "Traversal": "ddxgraph.graph.traversal",
            "asolve": "ddxgraph.graph.traversal",
            "build_graph": "ddxgraph.graph.topology",
            "compile_journey": "ddxgraph.training.compile",
            "connect": "ddxgraph.serving.connect",
            "finetune": "ddxgraph.finetuning",
            "gate": "ddxgraph.training.gate",
            "inspect_set": "ddxgraph.training.inspection",
            "load_benchmark": "ddxgraph.eval.benchmark:load",
            "make_journeys": "ddxgraph.training.journeyset",
            "read_cases": "ddxgraph.eval.casefile",
            "read_traces": "ddxgraph.graph.tracefile",
            "run": "ddxgraph.graph.runner",
            "score_run": "ddxgraph.eval.scoredrun",
            "serve": "ddxgraph.serving.server",
            "solve": "ddxgraph.graph.traversal",
            "trace_of": "ddxgraph.graph.traversal",
            "transitions": "ddxgraph.view.transitions",
        },
        extras=dict.fromkeys(("RunSource", "gate", "inspect_set", "make_journeys"), "journeys"),
    )
