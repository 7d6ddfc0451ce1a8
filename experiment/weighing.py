"""How the graph's students weighed: held against what the cards say, and by who stood in front after it."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pydantic import BaseModel

from ddxgraph.batch.folder import TRACES
from ddxgraph.batch.tracefile import read_traces
from ddxgraph.eval.report.figures import FROZEN
from ddxgraph.eval.scoring.run import ScoredRun
from ddxgraph.experiment.share import Share, share
from ddxgraph.graph.trace import Trace
from ddxgraph.lab.tally import steps_of, strength
from ddxgraph.lab.wording import read_question, read_vignette
from ddxgraph.nodes.check_evidence import EvidenceCheck
from ddxgraph.nodes.reflect import REFLECT
from ddxgraph.nodes.review_history import History


class Weighing(BaseModel):
    """What an arm of the graph made of the evidence."""

    model_config = FROZEN

    exact: Share | None
    """Of all evidence checks, those that give every finding on the candidate's card its strength, and no other
    finding any; None without a check."""
    wrong_first: Share
    """Of all traversals, those whose first weighing put a wrong hypothesis in front."""
    recovered: Share | None
    """Of these, the ones that ended in the right answer."""


class _Way(NamedTuple):
    """A traversal."""

    exact: Sequence[bool]
    """Of each evidence check: whether it is what the cards say."""
    began: bool
    """The first reflection had the right hypothesis in front."""
    ended: bool
    """The answer was right."""


def weighing(runs: Sequence[ScoredRun]) -> Weighing | None:
    """How the traversals in an arm's test runs weighed; None where none came to a reflection.

    Raises:
        TraceFileError: a run cannot be read.
        BadInput: they are not of laboratory cases.
    """
    ways = [way for run in runs for way in _ways(run)]
    if not ways:
        return None
    checks = [exact for way in ways for exact in way.exact]
    ends = [way.ended for way in ways if not way.began]
    return Weighing(
        exact=share(sum(checks), len(checks)) if checks else None,
        wrong_first=share(len(ends), len(ways)),
        recovered=share(sum(ends), len(ends)) if ends else None,
    )


def _ways(run: ScoredRun) -> Iterator[_Way]:
    for trace in read_traces(run.path / TRACES):
        gold, leader = run.golds[trace.case.id].answer, _first_leader(trace)
        if leader is not None:
            yield _Way(list(_exact(trace)), began=leader == gold, ended=trace.answer == gold)


def _first_leader(trace: Trace) -> str | None:
    """The hypothesis that the first reflection found in front; None where it came to none."""
    shares = next(
        (step.credence for step in trace.steps if step.node == REFLECT.name and step.credence), None
    )
    return max(shares, key=lambda key: shares[key]) if shares else None


def _exact(trace: Trace) -> Iterator[bool]:
    told, steps = read_vignette(trace.case.vignette), steps_of(read_question(trace.case.question))
    quoted: dict[str, str] = {}
    for step in trace.steps:
        if isinstance(step.output, History):
            quoted |= {finding.id: finding.quote for finding in step.output.findings}
        elif isinstance(step.output, EvidenceCheck):
            condition = trace.case.options.get(step.output.hypothesis)
            if condition is None:  # a hypothesis beside the options has no card
                continue
            card = told.cards[condition]
            wanted = {name: strength(name, told.findings, steps) for name in card if name in told.findings}
            said = {quoted.get(one.finding): one.strength for one in step.output.weights if one.strength}
            yield said == wanted
