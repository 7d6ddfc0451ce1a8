"""Clinical cases through a LangGraph reasoning graph: journeys, traces and journey-learning data.

Research software, not a medical device: nothing here may guide the care of a patient.
"""

from typing import TYPE_CHECKING

from ddxgraph.common import lazy

if TYPE_CHECKING:
    from ddxgraph.batch.folder import RunFolderError as RunFolderError
    from ddxgraph.batch.runner import TooManyFailures as TooManyFailures
    from ddxgraph.batch.runner import run as run
    from ddxgraph.batch.tracefile import TraceFileError as TraceFileError
    from ddxgraph.batch.tracefile import read_traces as read_traces
    from ddxgraph.eval.benchmarks.registry import BenchmarkError as BenchmarkError
    from ddxgraph.eval.benchmarks.registry import Items as Items
    from ddxgraph.eval.benchmarks.registry import Selection as Selection
    from ddxgraph.eval.benchmarks.registry import load as _load
    from ddxgraph.eval.cases import CaseFileError as CaseFileError
    from ddxgraph.eval.cases import Gold as Gold
    from ddxgraph.eval.cases import read_cases as read_cases
    from ddxgraph.eval.scoring.run import ScoredRun as ScoredRun
    from ddxgraph.eval.scoring.run import ScoreError as ScoreError
    from ddxgraph.eval.scoring.run import score_run as score_run
    from ddxgraph.graph.budget import Budget as Budget
    from ddxgraph.graph.generation import GenerationStrategy as GenerationStrategy
    from ddxgraph.graph.plan import CaseTooLong as CaseTooLong
    from ddxgraph.graph.routing import Policy as Policy
    from ddxgraph.graph.strategy import GraphStrategy as GraphStrategy
    from ddxgraph.graph.strategy import Strategy as Strategy
    from ddxgraph.graph.topology import build_graph as build_graph
    from ddxgraph.graph.trace import Step as Step
    from ddxgraph.graph.trace import Trace as Trace
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
    from ddxgraph.training.gate.config import GateConfig as GateConfig
    from ddxgraph.training.gate.gateerror import GateError as GateError
    from ddxgraph.training.gate.screen import RunSource as RunSource
    from ddxgraph.training.gate.screen import gate as gate
    from ddxgraph.training.loop.looperror import LoopError as LoopError
    from ddxgraph.training.loop.looperror import LoopUnfinished as LoopUnfinished
    from ddxgraph.training.sets.inspection import inspect_set as inspect_set
    from ddxgraph.training.sets.make import make_journeys as make_journeys
    from ddxgraph.training.sets.manifest import JourneySetError as JourneySetError
    from ddxgraph.training.sft.config import TrainConfig as TrainConfig
    from ddxgraph.training.sft.finetune import finetune as finetune
    from ddxgraph.training.sft.trainingerror import TrainConfigError as TrainConfigError
    from ddxgraph.training.sft.trainingerror import TrainingDataError as TrainingDataError
    from ddxgraph.training.sft.trainingerror import TrainingError as TrainingError
    from ddxgraph.training.styles.compile import CompileError as CompileError
    from ddxgraph.training.styles.compile import compile_journey as compile_journey
    from ddxgraph.view.data.transitions import transitions as transitions

    load_benchmark = _load
else:
    __getattr__, __dir__, __all__ = lazy.face(
        __name__,
        {
            "BenchmarkError": "ddxgraph.eval.benchmarks.registry",
            "Budget": "ddxgraph.graph.budget",
            "Case": "ddxgraph.nodes.case",
            "CaseFileError": "ddxgraph.eval.cases",
            "CaseTooLong": "ddxgraph.graph.plan",
            "CompileError": "ddxgraph.training.styles.compile",
            "EndpointError": "ddxgraph.serving.connect",
            "GateConfig": "ddxgraph.training.gate.config",
            "GateError": "ddxgraph.training.gate.gateerror",
            "GenerationStrategy": "ddxgraph.graph.generation",
            "Gold": "ddxgraph.eval.cases",
            "GraphStrategy": "ddxgraph.graph.strategy",
            "Items": "ddxgraph.eval.benchmarks.registry",
            "JourneySetError": "ddxgraph.training.sets.manifest",
            "Limits": "ddxgraph.nodes.limits",
            "LoopError": "ddxgraph.training.loop.looperror",
            "LoopUnfinished": "ddxgraph.training.loop.looperror",
            "Patience": "ddxgraph.nodes.patience",
            "Policy": "ddxgraph.graph.routing",
            "RunFolderError": "ddxgraph.batch.folder",
            "RunSource": "ddxgraph.training.gate.screen",
            "Sampling": "ddxgraph.nodes.sampling",
            "ScoreError": "ddxgraph.eval.scoring.run",
            "ScoredRun": "ddxgraph.eval.scoring.run",
            "Selection": "ddxgraph.eval.benchmarks.registry",
            "ServeError": "ddxgraph.serving.enginecommand",
            "Step": "ddxgraph.graph.trace",
            "Strategy": "ddxgraph.graph.strategy",
            "TooManyFailures": "ddxgraph.batch.runner",
            "Trace": "ddxgraph.graph.trace",
            "TraceFileError": "ddxgraph.batch.tracefile",
            "TrainConfig": "ddxgraph.training.sft.config",
            "TrainConfigError": "ddxgraph.training.sft.trainingerror",
            "TrainingDataError": "ddxgraph.training.sft.trainingerror",
            "TrainingError": "ddxgraph.training.sft.trainingerror",
            "Traversal": "ddxgraph.graph.traversal",
            "asolve": "ddxgraph.graph.traversal",
            "build_graph": "ddxgraph.graph.topology",
            "compile_journey": "ddxgraph.training.styles.compile",
            "connect": "ddxgraph.serving.connect",
            "finetune": "ddxgraph.training.sft.finetune",
            "gate": "ddxgraph.training.gate.screen",
            "inspect_set": "ddxgraph.training.sets.inspection",
            "load_benchmark": "ddxgraph.eval.benchmarks.registry:load",
            "make_journeys": "ddxgraph.training.sets.make",
            "read_cases": "ddxgraph.eval.cases",
            "read_traces": "ddxgraph.batch.tracefile",
            "run": "ddxgraph.batch.runner",
            "score_run": "ddxgraph.eval.scoring.run",
            "serve": "ddxgraph.serving.server",
            "solve": "ddxgraph.graph.traversal",
            "trace_of": "ddxgraph.graph.traversal",
            "transitions": "ddxgraph.view.data.transitions",
        },
        extras=dict.fromkeys(("RunSource", "gate", "inspect_set", "make_journeys"), "journeys"),
    )
