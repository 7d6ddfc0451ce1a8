"""The state of a traversal, which LangGraph carries from stop to stop."""

import operator
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Annotated, Any, Final, cast

from langgraph.types import Overwrite
from pydantic import BaseModel, ConfigDict, TypeAdapter
from typing_extensions import TypedDict

from ddxgraph.graph.conversation import Compaction, Repeated
from ddxgraph.graph.credence import credence
from ddxgraph.graph.trace import Provenance, Step, StrategySettings, exchanges
from ddxgraph.nodes.call.usage import Usage, total_usage
from ddxgraph.nodes.case import Case
from ddxgraph.nodes.check_evidence import Weight
from ddxgraph.nodes.conclude import Conclusion
from ddxgraph.nodes.failure import Failure, FailureKind
from ddxgraph.nodes.generate_differential import Hypothesis, Refutation
from ddxgraph.nodes.registry import STOPS
from ddxgraph.nodes.review_history import Asks, Finding
from ddxgraph.nodes.stop import Standpoint


class Setting(BaseModel):
    """The setting of a traversal, written once by the first stop."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    trace_id: str
    system: str
    opening: str
    strategy: StrategySettings
    provenance: Provenance


def append_steps(steps: Sequence[Step], new: Sequence[Step]) -> list[Step]:
    """Reducer: number new steps in the order in which LangGraph passes them (that of their `Send`)."""
    start = len(steps)
    return [
        *steps,
        *(
            step if step.index == place else step.model_copy(update={"index": place})
            for place, step in enumerate(new, start)
        ),
    ]


def merge_evidence(
    evidence: Mapping[str, Mapping[str, Weight]], new: Mapping[str, Mapping[str, Weight]]
) -> dict[str, dict[str, Weight]]:
    """Reducer: a later weight of a finding on a hypothesis replaces the earlier one."""
    merged = {key: dict(weights) for key, weights in evidence.items()}
    for key, weights in new.items():
        merged.setdefault(key, {}).update(weights)
    return merged


def first_failure(known: Failure | None, new: Failure | None) -> Failure | None:
    """Reducer: keep the first failure."""
    return known or new


class JourneyInput(TypedDict, total=False):
    """The input of `graph.invoke`."""

    case: Case
    """A `Case`, or a mapping of its fields, as LangGraph Studio sends it."""
    sample: int
    """Number of the sample, from 0; changes the seed."""


class Journey(TypedDict, total=False):
    """The whole state, from which `trace_of` makes a trace."""

    case: Case
    sample: int
    setting: Setting
    asks: Asks
    findings: list[Finding]
    hypotheses: list[Hypothesis]
    evidence: Annotated[dict[str, dict[str, Weight]], merge_evidence]
    refuted: list[Refutation]
    critique: str
    """That of the last reflection."""
    steps: Annotated[list[Step], append_steps]
    compactions: Annotated[list[Compaction], operator.add]
    failure: Annotated[Failure | None, first_failure]
    conclusion: Conclusion | None


STATE_TYPES: Final = (
    Case,
    Setting,
    Finding,
    Hypothesis,
    Refutation,
    Weight,
    Step,
    Compaction,
    Conclusion,
    Failure,
    FailureKind,
)
"""Types in a checkpoint of the state; a saver reads only types that it is given."""


def journey_of(state: Mapping[str, Any]) -> Journey:
    """A state with our types, from one that came as JSON or through a serialiser that does not know them.

    Raises:
        pydantic.ValidationError: it is no state of this graph.
    """
    if isinstance(state.get("setting"), Setting):
        return cast(Journey, state)
    known = {key: state[key] for key in Journey.__annotations__ if key in state}
    parsed: Journey = _journey().validate_python(known)
    return parsed


@cache
def _journey() -> TypeAdapter[Journey]:
    return TypeAdapter(Journey)


def goes_back(state: Journey) -> bool:
    """Whether the first stop is entered by a backtrack, rather than by a new journey."""
    last = last_on_trunk(state.get("steps", []))
    return "setting" in state and last is not None and last.move.to == STOPS.first.name


def restarting(state: Journey, update: Journey) -> dict[str, Any]:
    """The update that starts the next journey of a thread: it overwrites everything of the last one."""
    blank: Journey = {
        "asks": "other",
        "findings": [],
        "hypotheses": [],
        "refuted": [],
        "critique": "",
        "conclusion": None,
    }
    fresh: dict[str, Any] = {
        **blank,
        **update,
        "steps": Overwrite(update["steps"]),
        "evidence": Overwrite({}),
        "compactions": Overwrite(update.get("compactions", [])),
    }
    # A channel without an initial value would store the wrapper itself.
    return {**fresh, "failure": Overwrite(update.get("failure"))} if "failure" in state else fresh


def applied(state: Journey, update: Journey) -> Journey:
    """The state after LangGraph has applied an update."""
    after: Journey = {**state, **update}
    if "steps" in update:
        after["steps"] = append_steps(state.get("steps", []), update["steps"])
    if "evidence" in update:
        after["evidence"] = merge_evidence(state.get("evidence", {}), update["evidence"])
    if "compactions" in update:
        after["compactions"] = [*state.get("compactions", []), *update["compactions"]]
    return after


def last_on_trunk(steps: Sequence[Step]) -> Step | None:
    """The latest step that is not an evidence check: a stop's, or an expert's edit."""
    return next((step for step in reversed(steps) if step.branch is None), None)


def last_stop(steps: Sequence[Step]) -> Step | None:
    """The latest step of a stop on the trunk, before any edit by an expert."""
    return next((step for step in reversed(steps) if step.branch is None and step.node in STOPS), None)


def last_visited(steps: Sequence[Step]) -> str | None:
    """Name of the latest stop that was visited, on the trunk or off it; None before the first."""
    return next((step.node for step in reversed(steps) if step.node in STOPS), None)


def so_far(state: Journey, new: Sequence[Compaction] = ()) -> Repeated:
    """The conversation of a journey so far, after its compactions and new ones."""
    compactions = [*state.get("compactions", []), *new]
    summary = compactions[-1].text if compactions else ""
    return Repeated(exchanges(state.get("steps", []), compactions), summary)


def usage_so_far(state: Journey) -> Usage:
    """Usage, summed over the steps."""
    return total_usage(step.usage for step in state.get("steps", ()))


def backtracks_so_far(state: Journey) -> int:
    """Number of moves back that count towards the budget; an expert's do not."""
    return sum(step.move.backtrack and step.move.trigger != "expert" for step in state.get("steps", ()))


def standpoint_of(state: Journey) -> Standpoint:
    """The standpoint of a state."""
    hypotheses, evidence = state.get("hypotheses", ()), state.get("evidence", {})
    refuted = {refutation.hypothesis: refutation for refutation in state.get("refuted", ())}
    return Standpoint(
        asks=state.get("asks"),
        findings={finding.id: finding for finding in state.get("findings", ())},
        hypotheses={hypothesis.id: hypothesis for hypothesis in hypotheses},
        evidence=evidence,
        refuted=refuted,
        critique=state.get("critique", ""),
        conclusion=state.get("conclusion"),
        credence=credence(hypotheses, evidence, refuted),
    )


def update_to(then: Standpoint, now: Standpoint) -> Journey:
    """The update of the state from one standpoint (`now`) to a later one (`then`): the fields that differ."""
    update: Journey = {}
    if then.asks is not now.asks and then.asks is not None:
        update["asks"] = then.asks
    if then.findings is not now.findings:
        update["findings"] = list(then.findings.values())
    if then.hypotheses is not now.hypotheses:
        update["hypotheses"] = list(then.hypotheses.values())
    if then.evidence is not now.evidence:
        update["evidence"] = {key: dict(weights) for key, weights in then.evidence.items()}
    if then.refuted is not now.refuted:
        update["refuted"] = list(then.refuted.values())
    if then.critique is not now.critique:
        update["critique"] = then.critique
    if then.conclusion is not now.conclusion:
        update["conclusion"] = then.conclusion
    return update
