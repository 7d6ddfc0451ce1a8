"""A trace as a NetworkX graph: steps, hypotheses and findings, and their relations.

docs/graphs.md lists the attributes of nodes and edges. All values survive JSON unchanged
(`networkx.node_link_data`).
"""

from collections.abc import Iterator, Mapping
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
    for way in path.ways:
        move = trace.steps[way.start].move
        leads = {"move": way.kind, "trigger": move.trigger, "reason": move.reason}
        graph.add_edge(f"step:{way.start}", f"step:{way.end}", kind="leads", **leads)
    for step in trace.steps:
        for start, end, attributes in _edges(step, trace):
            if start in graph and end in graph:  # a model may name ids that were never listed
                graph.add_edge(start, end, **attributes)
    return graph


def _add_steps(graph: "nx.MultiDiGraph[str]", path: Path) -> None:
    for place in path.places:
        step = place.step
        graph.add_node(
            f"step:{step.index}",
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
    last: Mapping[str, float] = next(filter(None, reversed(trace.trajectory())), {})
    tested = [step.branch for step in trace.steps if step.branch]
    for key in dict.fromkeys([*evidence.columns, *tested]):
        known = evidence.hypotheses.get(key)
        graph.add_node(
            f"hypothesis:{key}",
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
            f"finding:{key}",
            kind="finding",
            quote=evidence.quote(key),
            finding=known.kind if known else None,
            polarity=known.polarity if known else None,
            salience=known.salience if known else None,
        )


def _edges(step: Step, trace: Trace) -> Iterator[Edge]:
    """What a step says about findings and hypotheses."""
    here = f"step:{step.index}"
    if step.branch:
        yield here, f"hypothesis:{step.branch}", {"kind": "tests"}
    match step.output:
        case History(findings=findings):
            yield from ((here, f"finding:{finding.id}", {"kind": "finds"}) for finding in findings)
        case Differential(hypotheses=named):
            yield from (
                (here, f"hypothesis:{new.id}", {"kind": "names", "prior": new.prior}) for new in named
            )
        case EvidenceCheck(hypothesis=key, weights=weights):
            for weight in weights:
                weighs = {"kind": "weighs", "strength": weight.strength, "reason": weight.reason}
                yield f"finding:{weight.finding}", f"hypothesis:{key}", {**weighs, "step": step.index}
        case Reflection(refuted=refuted):
            for gone in refuted:
                yield here, f"hypothesis:{gone.hypothesis}", {"kind": "refutes", "because": gone.because}
        case Conclusion(answer=str(answer)) | Generation(answer=str(answer)) if answer in trace.case.options:
            yield here, f"hypothesis:{answer}", {"kind": "answers"}
        case _:
            pass
