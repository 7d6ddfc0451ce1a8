"""The benchmarks as tasks of Inspect AI: the same strategies and the same strict rule on Inspect's models.

Inspect finds them through the package's entry point: `inspect eval ddxgraph/medqa --model ...`.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple, Protocol

from inspect_ai import Task, task
from inspect_ai._util.error import PrerequisiteError  # Inspect shows it without a traceback
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import (
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageUser,
    Model,
    ModelOutput,
    get_model,
)
from inspect_ai.scorer import CORRECT, INCORRECT, Score, Scorer, Target, accuracy, scorer, stderr
from inspect_ai.solver import Generate, Solver, TaskState, solver
from inspect_ai.util import LimitExceededError
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, SystemMessage
from pydantic import BaseModel, ConfigDict

from ddxgraph.batch.manifest import CaseSet, Selection, case_set
from ddxgraph.common.errors import BadInput, BenchmarkError
from ddxgraph.eval.benchmarks.items import absent_from, load
from ddxgraph.eval.benchmarks.registry import BENCHMARKS
from ddxgraph.eval.cases import CaseEntry
from ddxgraph.eval.scoring.rule import SCORER, Verdict, verdict_of
from ddxgraph.graph.budget import Budget
from ddxgraph.graph.strategy import Strategy, strategy_of
from ddxgraph.graph.trace import Trace
from ddxgraph.nodes.call.patience import Patience
from ddxgraph.nodes.case import Case
from ddxgraph.nodes.failure import EngineFailed, Failure, FailureKind
from ddxgraph.nodes.settings import Sampling
from ddxgraph.nodes.strategies import GRAPH, UnknownStrategy

ORIGIN_KEY: Final = "ddxgraph"
"""Key in a log's metadata: the `Origin` of its samples."""
CASE_KEY: Final = "case"
"""Key in a sample's metadata: the case as the model may see it."""
TRACE_KEY: Final = "ddxgraph:trace"
"""Key in a sample's store: its whole trace."""

ONCE: Final = Patience(away_s=0, attempts=1)
"""Inspect itself repeats a failed call; what still fails is not tried a third time."""
_BUDGET: Final = Budget()
_LOG: Final = logging.getLogger(__name__)


class Origin(BaseModel):
    """Where the samples of a log come from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: int = 1
    selection: Selection | None = None
    cases: CaseSet
    """All cases of the task, even if Inspect takes only some."""
    absent: int = 0
    """Cases of the benchmark that the user's data lack: not in `cases`, and unscored in every score."""


class Items(Protocol):
    """Cases with their gold answers, such as those from `ddxgraph.eval.benchmarks.load`."""

    @property
    def selection(self) -> Selection | None:
        """Which cases of which benchmark; None for cases of your own."""

    @property
    def entries(self) -> Sequence[CaseEntry]:
        """The cases, each with its gold answer."""


def task_of(items: Items, way: Solver, *, name: str | None = None) -> Task:
    """A task that takes cases by a strategy and scores them by the strict rule.

    A failed sample does not stop the others. A log with failed samples has the status `error`, and
    `inspect eval-retry` repeats only those.

    Args:
        items: the cases.
        way: from `journey`.
        name: the task's name; by default the benchmark's.

    Returns:
        The task.

    Raises:
        BadInput: a case has no gold answer, or two different cases have the same id.
    """
    selection, entries = items.selection, items.entries
    cases = case_set(entry.case for entry in entries)
    origin = Origin(selection=selection, cases=cases, absent=absent_from(selection, cases.count))
    named = f"{selection.benchmark}-{selection.split}" if selection else name
    return Task(
        name=name or (selection.benchmark if selection else None),
        dataset=MemoryDataset(list(_samples(entries)), name=named),
        solver=way,
        scorer=strict(),
        continue_on_fail=True,
        version=SCORER,
        metadata={ORIGIN_KEY: origin.model_dump(mode="json")},
    )


def _samples(entries: Sequence[CaseEntry]) -> Iterator[Sample]:
    for case, gold in entries:
        if gold is None:
            raise BadInput(f"the case {case.id!r} has no gold answer: Inspect's tasks are scored")
        yield Sample(
            id=case.id,
            input=f"{case.vignette}\n\n{case.question}".strip(),
            choices=list(case.options.values()) or None,
            target=gold.answer,
            metadata={CASE_KEY: case.model_dump(mode="json")},
        )


def benchmark_task(name: str) -> Callable[..., Task]:
    """Register a benchmark's task with Inspect."""

    @task(name=name)
    def benchmark(  # Inspect's -T options
        *,
        split: str = "test",
        limit: int | None = None,
        limit_seed: int = 0,
        five_options: bool = False,
        free_form: bool = False,
        shuffle: int | None = None,
        subset: str | None = None,
        strategy: str = "graph",
        max_tokens: int = _BUDGET.max_tokens,
        max_calls: int = _BUDGET.max_calls,
        max_backtracks: int = _BUDGET.max_backtracks,
        reply_tokens: int | None = None,
        context_window: int | None = None,
        brief: bool = False,
        logprobs: bool = True,
    ) -> Task:
        try:
            items = load(
                Selection(
                    benchmark=name,
                    split=split,
                    five_options=five_options,
                    free_form=free_form,
                    shuffle=shuffle,
                    subset=subset,
                    limit=limit,
                    limit_seed=limit_seed,
                )
            )
        except BenchmarkError as error:
            raise PrerequisiteError(str(error)) from error
        if lacking := items.denominator - len(items):
            _LOG.warning(
                "%s %s: %d of its %d cases are not on this machine; Inspect's accuracy leaves them out, "
                "`ddxgraph eval` of the imported log counts them as unscored",
                name, split, lacking, items.denominator,
            )  # fmt: skip
        way = journey(
            strategy=strategy,
            max_tokens=max_tokens,
            max_calls=max_calls,
            max_backtracks=max_backtracks,
            reply_tokens=reply_tokens,
            context_window=context_window,
            brief=brief,
            logprobs=logprobs,
        )
        return task_of(items, way, name=name)

    return benchmark


TASKS: Final[Mapping[str, Callable[..., Task]]] = {name: benchmark_task(name) for name in BENCHMARKS}
"""Benchmark to its task."""


@solver
def journey(
    *,
    strategy: str = "graph",
    max_tokens: int = _BUDGET.max_tokens,
    max_calls: int = _BUDGET.max_calls,
    max_backtracks: int = _BUDGET.max_backtracks,
    reply_tokens: int | None = None,
    context_window: int | None = None,
    brief: bool = False,
    logprobs: bool = True,
) -> Solver:
    """Take each case by a strategy, through Inspect's model.

    Epoch k is sample k - 1. The sample's store holds the whole trace. A failed trace is kept there too, and its
    failure is raised, so that Inspect counts the sample as failed, never as wrong.

    Args:
        strategy: `graph`, or a single generation, such as `vanilla`, `cot` or `longstep`.
        max_tokens: budget: prompt and completion tokens over a whole traversal.
        max_calls: budget: calls.
        max_backtracks: budget of the graph: moves back.
        reply_tokens: most tokens of a reply, for strategies that generate once; None for the strategy's default.
        context_window: size of the model's context, in tokens; None if unbounded.
        brief: whether the model is so small that it does best with `Limits.brief()`.
        logprobs: whether to ask for the log-probabilities of the answer; some providers refuse such a request.

    Returns:
        The solver.

    Raises:
        PrerequisiteError: there is no such strategy.
    """
    budget = Budget(max_tokens=max_tokens, max_calls=max_calls, max_backtracks=max_backtracks)
    made = partial(_strategy, strategy, budget, reply_tokens, context_window)
    made(Sampling())  # refuses an unknown name before anything is loaded
    roads: list[_Road] = []

    async def take(state: TaskState, generate: Generate) -> TaskState:  # noqa: ARG001 - Inspect's interface
        from ddxgraph.eval.inspect.bridge import bridged, bridged_model, sampling_of  # noqa: PLC0415 - takes a second

        model = get_model()
        sampling = sampling_of(model)
        road = next((known for known in roads if known.model is model and known.sampling == sampling), None)
        if road is None:
            road = _Road(model, sampling, bridged_model(model, brief=brief), made(sampling))
            roads.append(road)
        case = Case.model_validate(state.metadata[CASE_KEY])
        async with bridged(logprobs=logprobs) as troubles:
            trace = await road.strategy(case, road.chat, state.epoch - 1)
        stop = next((error for error in troubles if isinstance(error, LimitExceededError)), None)
        _show(state, _stopped(trace, stop) if stop and trace.outcome == "error" else trace)
        if trace.outcome == "error":
            raise stop or (troubles[0] if troubles else _failure_of(trace))
        return state

    return take


def _strategy(
    name: str, budget: Budget, reply_tokens: int | None, context_window: int | None, sampling: Sampling
) -> Strategy:
    try:
        return strategy_of(
            name,
            budget=budget,
            sampling=sampling,
            context_window=context_window,
            patience=ONCE,
            reply_tokens=None if name == GRAPH else reply_tokens,
        )
    except UnknownStrategy as error:
        raise PrerequisiteError(f"{error} (-T strategy=...)") from error


class _Road(NamedTuple):
    """A strategy on a model with its settings, made once."""

    model: Model
    sampling: Sampling
    chat: BaseChatModel
    strategy: Strategy


def _stopped(trace: Trace, limit: LimitExceededError) -> Trace:
    """The trace of a sample that one of Inspect's limits ended, which is not a failure of the engine."""
    failure = Failure(
        boundary="user",
        kind=FailureKind.INTERRUPTED,
        message=f"a limit of Inspect's ended the sample ({limit.message}); raise it, or lower the budget",
    )
    return trace.model_copy(update={"failure": failure, "ended": "interrupted"})


def _failure_of(trace: Trace) -> EngineFailed:
    missing = Failure(
        boundary="engine", kind=FailureKind.OTHER, message="the strategy failed and does not say why"
    )
    return EngineFailed(trace.failure or missing)


def _show(state: TaskState, trace: Trace) -> None:
    """Store a trace where the log keeps it and Inspect's viewer shows it."""
    state.store.set(TRACE_KEY, trace.model_dump(mode="json"))
    state.messages = [_message(message) for message in trace.messages()]
    state.output = ModelOutput.from_content(str(state.model), trace.answer or "")


def _message(message: Any) -> ChatMessage:
    kinds: Mapping[type, type[ChatMessageSystem] | type[ChatMessageAssistant]] = {
        SystemMessage: ChatMessageSystem,
        AIMessage: ChatMessageAssistant,
    }
    return kinds.get(type(message), ChatMessageUser)(content=str(message.text))


@scorer(metrics=[accuracy(), stderr()])
def strict() -> Scorer:
    """The strict rule of `ddxgraph.eval.scoring.rule`; a failed sample is unscored, never wrong."""

    async def score(state: TaskState, target: Target) -> Score:
        stored = state.store.get(TRACE_KEY)
        if stored is None:
            return Score.unscored(reason="error", explanation="The sample has no trace.")
        trace = Trace.model_validate(stored)
        verdict = verdict_of(trace.outcome, trace.answer, target.text, trace.case.options)
        metadata = {
            "verdict": verdict.value,
            "scorer": SCORER,
            "outcome": trace.outcome,
            "ended": trace.ended,
        }
        if verdict is Verdict.ERROR:
            why = trace.failure.message if trace.failure else ""
            return Score.unscored(reason="error", explanation=why, metadata=metadata)
        return Score(
            value=CORRECT if verdict is Verdict.CORRECT else INCORRECT,
            answer=trace.answer,
            explanation=f"{verdict.value}: the strategy answered {trace.answer!r}, gold is {target.text!r}",
            metadata=metadata,
        )

    return score
