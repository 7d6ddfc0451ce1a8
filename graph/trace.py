"""The trace of a traversal: one JSON object a line, versioned, complete enough to replay and to train on."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any, Final, Literal

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    SerializeAsAny,
    ValidationInfo,
    field_validator,
)
from pydantic_core import CoreSchema

from ddxgraph.graph.budget import Budget
from ddxgraph.graph.conversation import Compaction, Exchange, assemble
from ddxgraph.graph.looks import Looks
from ddxgraph.graph.replay import replay
from ddxgraph.graph.routing import Move, Policy
from ddxgraph.nodes.call.consultation import Attempt
from ddxgraph.nodes.call.usage import Usage
from ddxgraph.nodes.case import Case
from ddxgraph.nodes.expert_edit import ExpertEdit
from ddxgraph.nodes.failure import Failure
from ddxgraph.nodes.registry import NodeName, node, node_names
from ddxgraph.nodes.settings import Limits, Sampling

TRACE_VERSION: Final = 1

Outcome = Literal["answered", "abstained", "unparsed", "interrupted", "error"]
"""Result of a traversal. `interrupted`: it is paused, and can go on. `error`: the infrastructure failed."""
UNFINISHED: Final[frozenset[Outcome]] = frozenset({"interrupted", "error"})
"""Outcomes that are unscored and no end: neither a pause nor a failure is ever a wrong answer."""
EndReason = Literal[
    "concluded", "budget_tokens", "budget_calls", "budget_backtracks", "failure", "interrupted"
]


class _Outputs:
    """Makes a JSON schema list the outputs of the nodes that are registered at that time."""

    def __get_pydantic_json_schema__(self, _: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        outputs = [node(name).output for name in node_names()]
        return {
            "anyOf": [*(handler(output.__pydantic_core_schema__) for output in outputs), {"type": "null"}]
        }


# No NaN: JSON has none, and one unreadable line would make the file unreadable.
_FROZEN: Final = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Step(BaseModel):
    """One visit to a node."""

    model_config = _FROZEN

    index: int = -1
    """Place in the trace, from 0."""
    parent: int | None = None
    """Index of the step on the trunk that led here; None for the first step."""
    node: NodeName
    branch: str | None = None
    """The hypothesis under test, for an evidence check; None on the trunk."""
    prompt: str = ""
    """The turn put to the model, without the case and the conversation so far."""
    text: str = ""
    """The model's reply as it came, without its thoughts; empty if the step made no call."""
    thoughts: str = Field(default="", exclude_if=lambda thoughts: not thoughts)
    """What a reasoning model thought before it replied. No later turn repeats it."""
    output: Annotated[SerializeAsAny[BaseModel] | None, _Outputs()] = None
    """What the node made of the reply, of the type that the registry names."""
    move: Move
    credence: Mapping[str, float] = Field(default_factory=dict)
    """Hypothesis id to credence after this step; sums to one. Empty before the first differential, and for an
    evidence check, which knows only its own branch (`Trace.trajectory` has these)."""
    usage: Usage = Usage()
    latency_s: float = 0.0
    """Seconds from the turn to the reply, including repairs."""
    prompt_hash: str = ""
    """Content hash of the prompt template."""
    attempts: tuple[Attempt, ...] = ()
    """Replies that did not fit the schema."""
    finish_reason: str = Field(default="", exclude_if=lambda reason: not reason)
    """Why the reply ended, in the engine's word, unless the model simply stopped."""
    left_out: tuple[str, ...] = Field(default=(), exclude_if=lambda names: not names)
    """What the call left out, since the endpoint refuses it: parameters, log-probabilities, keywords of the
    form's schema."""
    failure: Failure | None = None

    @property
    def words(self) -> list[str]:
        """The model's own words in the output, in order, without empty texts."""
        if self.output is None:
            return []
        return [text for text in node(self.node).words(self.output) if text]

    @property
    def remarks(self) -> list[str]:
        """What a view shows of an output for which it has no form of its own: the model's words, or an expert's
        changes."""
        return list(self.output.changes) if isinstance(self.output, ExpertEdit) else self.words

    @field_validator("output", mode="plain")
    @classmethod
    def _of_its_node(cls, output: Any, info: ValidationInfo) -> BaseModel | None:
        """Parse the output as the type that the step's node has."""
        if output is None or "node" not in info.data:  # an unknown node is reported by its own field
            return None
        parsed: BaseModel = node(info.data["node"]).output.model_validate(output)
        return parsed


def exchanges(steps: Sequence[Step], compactions: Sequence[Compaction]) -> list[Exchange]:
    """The turns that the next call sees: those since the last compaction, without unparsed replies.

    Checks that ran in parallel are in reverse order: an engine that keeps one conversation still holds the last
    one, and need not compute it again.
    """
    since = compactions[-1].before if compactions else 0
    told: list[Exchange] = []
    round_start: int | None = None
    for step in steps[since:]:
        if step.branch is None:
            round_start = None
        elif round_start is None:
            round_start = len(told)
        if step.text and step.failure is None:
            told.insert(len(told) if round_start is None else round_start, Exchange(step.prompt, step.text))
    return told


class StrategySettings(BaseModel):
    """Settings of a traversal, apart from the model and its sampling."""

    model_config = _FROZEN

    name: str = "graph"
    """Name of the strategy."""
    budget: Budget = Budget()
    limits: Limits = Limits()
    policy: Policy = Policy()
    context_window: int | None = None
    """Size of the model's context in tokens; a longer conversation is compacted. None: unbounded."""
    reply_tokens: int | None = Field(default=None, ge=1)
    """Token limit of the reply of a single generation; None for the graph, which has `limits`."""


_SETTINGS_OF_SOME: Final = ("reply_tokens",)
"""Settings that enter a trace id only if they are set, so that strategies without them keep their ids."""


class Provenance(BaseModel):
    """Origin of a trace. It holds no API key and no address."""

    model_config = _FROZEN

    model: str
    """Name of the model; with an adapter, of its base model."""
    adapter: str | None = None
    """Name of the LoRA adapter on the server."""
    adapter_sha256: str | None = None
    """Of the adapter's configuration and weights."""
    engine: str = ""
    """Engine and version, if known."""
    sampling: Mapping[str, Any] = Field(default_factory=dict)
    """Sampling settings in force: those of each call, which override the chat model's own."""
    prompt_set: str = ""
    """Content hash of the prompt set."""
    code_version: str = ""
    started_at: str = ""
    """UTC, ISO 8601."""


class Trace(BaseModel, Looks):
    """A traversal from its first step to its end.

    Example:
        >>> from ddxgraph import Case, build_graph, solve
        >>> from ddxgraph.testing import ScriptedChatModel
        >>> case = Case(vignette="Fever and cough.", options={"A": "Influenza", "B": "Pneumonia"})
        >>> trace = solve(build_graph(ScriptedChatModel()), case)
        >>> trace.answer, trace.outcome, trace.ended, trace.backtracks
        ('A', 'answered', 'concluded', 0)
        >>> Trace.model_validate_json(trace.to_json()) == trace
        True
    """

    model_config = _FROZEN

    version: Literal[1] = TRACE_VERSION
    id: str
    """Hash of case, strategy, sampling, prompt set, model and sample, so that the same work has the same id."""
    case: Case
    sample: int = 0
    strategy: StrategySettings
    provenance: Provenance
    system: str = ""
    """The system message; with `opening` and the steps it gives the whole conversation."""
    opening: str = ""
    """The case as the model saw it."""
    steps: tuple[Step, ...] = ()
    compactions: tuple[Compaction, ...] = ()
    answer: str | None = None
    """An option's letter, or text in a free-form case."""
    distribution: Mapping[str, float] = Field(default_factory=dict)
    """Option letter (in a free-form case hypothesis id) to probability; sums to one unless empty."""
    distribution_from: Literal["logprobs", "credence", "none"] = "none"
    outcome: Outcome
    ended: EndReason
    failure: Failure | None = None
    cut_prompts: tuple[int, ...] = Field(default=(), exclude_if=lambda steps: not steps)
    """Indices of the steps whose prompt the server cut without a word, by the tokens that it reports."""
    usage: Usage = Usage()
    elapsed_s: float = 0.0
    """Wall time of the traversal, in seconds."""
    checksum: str | None = Field(default=None, exclude=True, repr=False)
    """Accepted where a line of a trace file is parsed as it stands, and not kept: `read_traces` checks it."""

    @field_validator("checksum", mode="before")
    @classmethod
    def _not_kept(cls, _: object) -> None:
        """A trace is equal to itself, saved or not."""

    @property
    def backtracks(self) -> int:
        """Number of moves back."""
        return sum(step.move.backtrack for step in self.steps)

    @property
    def finished(self) -> bool:
        """Whether it reached its end, with an answer or without one; what is paused or failed has not."""
        return self.outcome not in UNFINISHED

    def messages(self, upto: int | None = None) -> list[BaseMessage]:
        """The conversation before step `upto`; by default at the end of the journey.

        The evidence checks of a round ran in parallel: each saw only what came before the round.
        """
        upto = len(self.steps) if upto is None else upto
        compactions = [c for c in self.compactions if c.before <= upto]
        summary = compactions[-1].text if compactions else ""
        return assemble(self.system, self.opening, exchanges(self.steps[:upto], compactions), summary=summary)

    def trajectory(self) -> list[dict[str, float]]:
        """The credence of the differential after each step; parallel checks add their evidence in step order.

        Returns:
            One mapping per step, hypothesis id to credence; empty before the first differential.
        """
        return [dict(now.credence) for now in replay(self.steps)]

    def to_json(self) -> str:
        """The trace as one line of a trace file."""
        return self.model_dump_json()


def plan_digest(strategy: StrategySettings, provenance: Provenance) -> str:
    """SHA-256 (hex) over all settings that decide a traversal, without its case.

    The version of the code is left out, so that an upgrade keeps finished work.
    """
    unset = {key for key in _SETTINGS_OF_SOME if getattr(strategy, key) is None}
    decides = {
        "strategy": strategy.model_dump(mode="json", exclude=unset),
        "model": [provenance.model, provenance.adapter, provenance.adapter_sha256],
        "sampling": dict(provenance.sampling),
        "prompts": provenance.prompt_set,
    }
    return hashlib.sha256(json.dumps(decides, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def trace_id(plan: str, case: Case, sample: int) -> str:
    """The id of a trace.

    Args:
        plan: digest of the plan.
        case: the case.
        sample: number of the sample.

    Returns:
        16 hex digits of a SHA-256 over the three.
    """
    return hashlib.sha256(f"{plan}\0{case.id}\0{case.digest}\0{sample}".encode()).hexdigest()[:16]


def provenance_of(model: BaseChatModel, sampling: Sampling, prompt_set: str) -> Provenance:
    """What is known about a chat model: its name, its sampling settings, and its `metadata`.

    `metadata` may hold `engine` and, for a LoRA adapter, `base_model`, `adapter` and `adapter_sha256`; that of
    models from `ddxgraph.connect` does.

    Args:
        model: the chat model.
        sampling: settings of every call.
        prompt_set: content hash of the prompt set.

    Returns:
        The provenance of the model's traces, without a start time.
    """
    known = model.metadata or {}
    own = {key: getattr(model, key, None) for key in Sampling.model_fields}
    name = known.get("base_model") or getattr(model, "model_name", None) or getattr(model, "model", None)
    return Provenance(
        model=str(name or model._llm_type),
        adapter=known.get("adapter"),
        adapter_sha256=known.get("adapter_sha256"),
        engine=known.get("engine", ""),
        sampling={key: value for key, value in {**own, **sampling.as_kwargs()}.items() if value is not None},
        prompt_set=prompt_set,
        code_version=code_version(),
    )


@cache
def code_version() -> str:
    """Version of the installed package; `unknown` if it is not installed."""
    try:
        return version("ddxgraph")
    except PackageNotFoundError:
        return "unknown"
