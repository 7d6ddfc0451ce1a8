"""Clinical cases through a LangGraph reasoning graph: journeys, traces and journey-learning data.

Research software, not a medical device: nothing here may guide the care of a patient.
"""

from typing import TYPE_CHECKING

from ddxgraph.common import lazy

if TYPE_CHECKING:
    from ddxgraph.batch.manifest import Selection as Selection
    from ddxgraph.batch.runner import run as run
    from ddxgraph.batch.tracefile import read_traces as read_traces
    from ddxgraph.common.errors import BenchmarkError as BenchmarkError
    from ddxgraph.common.errors import CaseFileError as CaseFileError
    from ddxgraph.common.errors import CaseTooLong as CaseTooLong
    from ddxgraph.common.errors import CompileError as CompileError
    from ddxgraph.common.errors import DdxgraphError as DdxgraphError
    from ddxgraph.common.errors import EditError as EditError
    from ddxgraph.common.errors import EndpointError as EndpointError
    from ddxgraph.common.errors import GateError as GateError
    from ddxgraph.common.errors import JourneySetError as JourneySetError
    from ddxgraph.common.errors import LoopError as LoopError
    from ddxgraph.common.errors import LoopUnfinished as LoopUnfinished
    from ddxgraph.common.errors import RunFolderError as RunFolderError
    from ddxgraph.common.errors import ScoreError as ScoreError
    from ddxgraph.common.errors import ServeError as ServeError
    from ddxgraph.common.errors import TooManyFailures as TooManyFailures
    from ddxgraph.common.errors import TraceFileError as TraceFileError
    from ddxgraph.common.errors import TrainConfigError as TrainConfigError
    from ddxgraph.common.errors import TrainingDataError as TrainingDataError
    from ddxgraph.common.errors import TrainingError as TrainingError
    from ddxgraph.eval.benchmarks.items import Items as Items
    from ddxgraph.eval.benchmarks.items import load as _load
    from ddxgraph.eval.cases import Gold as Gold
    from ddxgraph.eval.cases import read_cases as read_cases
    from ddxgraph.eval.scoring.run import ScoredRun as ScoredRun
    from ddxgraph.eval.scoring.run import score_run as score_run
    from ddxgraph.graph.budget import Budget as Budget
    from ddxgraph.graph.generation import GenerationStrategy as GenerationStrategy
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
    from ddxgraph.nodes.call.patience import Patience as Patience
    from ddxgraph.nodes.case import Case as Case
    from ddxgraph.nodes.settings import Limits as Limits
    from ddxgraph.nodes.settings import Sampling as Sampling
    from ddxgraph.serving.connect import connect as connect
    from ddxgraph.serving.server import serve as serve
    from ddxgraph.training.gate.config import GateConfig as GateConfig
    from ddxgraph.training.gate.screen import RunSource as RunSource
    from ddxgraph.training.gate.screen import gate as gate
    from ddxgraph.training.sets.inspection import inspect_set as inspect_set
    from ddxgraph.training.sets.make import make_journeys as make_journeys
    from ddxgraph.training.sft.config import TrainConfig as TrainConfig
    from ddxgraph.training.sft.finetune import finetune as finetune
    from ddxgraph.training.styles.compile import compile_journey as compile_journey
    from ddxgraph.view.data.transitions import transitions as transitions

    load_benchmark = _load
else:
    __getattr__, __dir__, __all__ = lazy.face(
        __name__,
        {
            "BenchmarkError": "ddxgraph.common.errors",
            "Budget": "ddxgraph.graph.budget",
            "Case": "ddxgraph.nodes.case",
            "CaseFileError": "ddxgraph.common.errors",
            "CaseTooLong": "ddxgraph.common.errors",
            "CompileError": "ddxgraph.common.errors",
            "DdxgraphError": "ddxgraph.common.errors",
            "EditError": "ddxgraph.common.errors",
            "EndpointError": "ddxgraph.common.errors",
            "GateConfig": "ddxgraph.training.gate.config",
            "GateError": "ddxgraph.common.errors",
            "GenerationStrategy": "ddxgraph.graph.generation",
            "Gold": "ddxgraph.eval.cases",
            "GraphStrategy": "ddxgraph.graph.strategy",
            "Items": "ddxgraph.eval.benchmarks.items",
            "JourneySetError": "ddxgraph.common.errors",
            "Limits": "ddxgraph.nodes.settings",
            "LoopError": "ddxgraph.common.errors",
            "LoopUnfinished": "ddxgraph.common.errors",
            "Patience": "ddxgraph.nodes.call.patience",
            "Policy": "ddxgraph.graph.routing",
            "RunFolderError": "ddxgraph.common.errors",
            "RunSource": "ddxgraph.training.gate.screen",
            "Sampling": "ddxgraph.nodes.settings",
            "ScoreError": "ddxgraph.common.errors",
            "ScoredRun": "ddxgraph.eval.scoring.run",
            "Selection": "ddxgraph.batch.manifest",
            "ServeError": "ddxgraph.common.errors",
            "Step": "ddxgraph.graph.trace",
            "Strategy": "ddxgraph.graph.strategy",
            "TooManyFailures": "ddxgraph.common.errors",
            "Trace": "ddxgraph.graph.trace",
            "TraceFileError": "ddxgraph.common.errors",
            "TrainConfig": "ddxgraph.training.sft.config",
            "TrainConfigError": "ddxgraph.common.errors",
            "TrainingDataError": "ddxgraph.common.errors",
            "TrainingError": "ddxgraph.common.errors",
            "Traversal": "ddxgraph.graph.traversal",
            "asolve": "ddxgraph.graph.traversal",
            "build_graph": "ddxgraph.graph.topology",
            "compile_journey": "ddxgraph.training.styles.compile",
            "connect": "ddxgraph.serving.connect",
            "finetune": "ddxgraph.training.sft.finetune",
            "gate": "ddxgraph.training.gate.screen",
            "inspect_set": "ddxgraph.training.sets.inspection",
            "load_benchmark": "ddxgraph.eval.benchmarks.items:load",
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
