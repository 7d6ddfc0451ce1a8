"""A trace as a NetworkX graph: steps, hypotheses and findings, and their relations.

docs/graphs.md lists the attributes of nodes and edges. All values survive JSON unchanged
(`networkx.node_link_data`).
"""

from collections.abc import Iterator
from typing import Any

import networkx as nx

from ddxgraph.graph.trace import Step, Trace
from ddxgraph.nodes.check_evidence import EvidenceCheck
from ddxgraph.nodes.conclude import Conclusion
from ddxgraph.nodes.generate import Generation
from ddxgraph.nodes.generate_differential import Differential
from ddxgraph.nodes.reflect import Reflection
from ddxgraph.nodes.review_history import History
from ddxgraph.view.data.evidence import Evidence, evidence_of
from ddxgraph.view.data.path import Path, numbered, path_of, step_title

Edge = tuple[str, str, dict[str, Any]]


def journey_graph(trace: Trace) -> "nx.MultiDiGraph[str]":
    """The graph of a trace.

    Nodes are `step:0`, `hypothesis:A`, `finding:F1`, ...; their attribute `kind` says which, and the `kind` of an
    edge says what it means. Of the nodes of kind `step`, those with a `branch` are checks, and those with a true
    `backtrack` are backtracks.
    """
    trace = numbered(trace)
    evidence, path = evidence_of(trace), path_of(trace)
    graph: nx.MultiDiGraph[str] = nx.MultiDiGraph(
        trace=trace.id,
        case=trace.case.id,
        sample=trace.sample,
        outcome=trace.outcome,
        ended=trace.ended,
        answer=trace.answer,
        backtracks=trace.backtracks,
    )
    _add_steps(graph, path)
    _add_hypotheses(graph, trace, evidence)
    _add_findings(graph, evidence)
    _add_ways(graph, trace, path)
    for step in trace.steps:
        for start, end, attributes in _edges(step, trace):
            if start in graph and end in graph:  # a model may name ids that were never listed
                graph.add_edge(start, end, **attributes)
    return graph


def _step(index: int) -> str:
    return f"step:{index}"


def _hypothesis(key: str) -> str:
    return f"hypothesis:{key}"


def _finding(key: str) -> str:
    return f"finding:{key}"


def _add_steps(graph: "nx.MultiDiGraph[str]", path: Path) -> None:
    for place in path.places:
        step = place.step
        graph.add_node(
            _step(step.index),
            kind="step",
            index=step.index,
            node=step.node,
            title=step_title(step),
            branch=step.branch,
            pass_number=place.number,
            abandoned=place.abandoned,
            backtrack=step.move.backtrack,
            to=step.move.to,
            trigger=step.move.trigger,
            reason=step.move.reason,
            prompt_tokens=step.usage.prompt_tokens,
            completion_tokens=step.usage.completion_tokens,
            latency_s=step.latency_s,
            failure=step.failure.kind.value if step.failure else None,
        )


def _add_hypotheses(graph: "nx.MultiDiGraph[str]", trace: Trace, evidence: Evidence) -> None:
    course = [shares for shares in trace.trajectory() if shares]
    last = course[-1] if course else {}
    tested = [step.branch for step in trace.steps if step.branch]
    for key in dict.fromkeys([*evidence.columns, *tested]):
        known = evidence.hypotheses.get(key)
        graph.add_node(
            _hypothesis(key),
            kind="hypothesis",
            label=evidence.label(key),
            letter=known.letter if known else None,
            prior=known.prior if known else None,
            credence=last.get(key),
            refuted=key in evidence.refuted,
        )


def _add_findings(graph: "nx.MultiDiGraph[str]", evidence: Evidence) -> None:
    for key in evidence.rows:
        known = evidence.findings.get(key)
        graph.add_node(
            _finding(key),
            kind="finding",
            quote=evidence.quote(key),
            finding=known.kind if known else None,
            polarity=known.polarity if known else None,
            salience=known.salience if known else None,
        )


def _add_ways(graph: "nx.MultiDiGraph[str]", trace: Trace, path: Path) -> None:
    for way in path.ways:
        move = trace.steps[way.start].move
        graph.add_edge(
            _step(way.start),
            _step(way.end),
            kind="leads",
            move=way.kind,
            trigger=move.trigger,
            reason=move.reason,
        )


def _edges(step: Step, trace: Trace) -> Iterator[Edge]:
    """What a step says about findings and hypotheses."""
    here = _step(step.index)
    if step.branch:
        yield here, _hypothesis(step.branch), {"kind": "tests"}
    match step.output:
        case History(findings=findings):
            yield from ((here, _finding(finding.id), {"kind": "finds"}) for finding in findings)
        case Differential(hypotheses=named):
            yield from ((here, _hypothesis(new.id), {"kind": "names", "prior": new.prior}) for new in named)
        case EvidenceCheck() as check:
            yield from _weighs(check, step.index)
        case Reflection(refuted=refuted):
            for gone in refuted:
                yield here, _hypothesis(gone.hypothesis), {"kind": "refutes", "because": gone.because}
        case Conclusion(answer=str(answer)) | Generation(answer=str(answer)) if answer in trace.case.options:
            yield here, _hypothesis(answer), {"kind": "answers"}
        case _:
            pass


def _weighs(check: EvidenceCheck, step: int) -> Iterator[Edge]:
    """A weight leads from its finding to its hypothesis."""
    for weight in check.weights:
        weighs = {"kind": "weighs", "strength": weight.strength, "reason": weight.reason, "step": step}
        yield _finding(weight.finding), _hypothesis(check.hypothesis), weighs
