"""A journey as a page: the case, the path, the credence, the evidence, each step, the end."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Final, NamedTuple

from markupsafe import Markup
from pydantic_core import PydanticSerializationError

from ddxgraph.common.words import signed
from ddxgraph.graph.trace import Step, Trace
from ddxgraph.nodes.registry import title
from ddxgraph.view.charts.credence import credence_chart
from ddxgraph.view.charts.path import back_in_words, path_chart
from ddxgraph.view.data.ending import answer_in_words, choice_in_words, ending
from ddxgraph.view.data.evidence import Evidence, Weighed, evidence_of
from ddxgraph.view.data.judged import Judged
from ddxgraph.view.data.path import numbered, path_of
from ddxgraph.view.page.assets import rendered
from ddxgraph.view.page.document import document
from ddxgraph.view.page.highlight import Segment, Span, located, segments

SCRIPT: Final = "journey.js"
_MOST_BYTES: Final = 950_000
"""Of a journey's markup; what is longer is made again with less in it."""
_FRAME_PX: Final = 720


class Fit(NamedTuple):
    """How much of a journey's texts its page holds."""

    chars: int
    """Of prompts, replies and outputs together; where there are more, they are cut."""
    each: int
    """That each of them keeps at least."""
    reason: int
    """Characters of the reason of a weight."""
    points: bool
    """The credence chart marks each of its points and says its share."""


_FITS: Final = (Fit(400_000, 400, 600, True), Fit(150_000, 400, 300, False), Fit(0, 100, 100, False))
"""From the best; the first that keeps a journey small is taken."""


class Considered(NamedTuple):
    """A hypothesis from its first credence to its last."""

    id: str
    label: str
    first: float
    last: float
    total: int
    """Sum of the evidence that counts."""
    refuted_at: int | None
    """The step, from 0."""
    because: str


class Back(NamedTuple):
    """A move back."""

    step: int
    words: str
    critique: str


class Cell(NamedTuple):
    """What a finding says about a hypothesis."""

    hypothesis: str
    strength: int | None
    """None where it was never weighed."""
    tip: str
    """The reason, with its step, and what was said before."""


class Row(NamedTuple):
    """A finding and what it says about each hypothesis."""

    finding: str
    quote: str
    kind: str
    absent: bool
    cells: Sequence[Cell]


@dataclass(frozen=True)
class Clipped:
    """A text as far as a page holds it."""

    text: str
    left: int
    """Characters left out."""


def journey_page(trace: Trace, judged: Judged | None = None, *, blind: bool = False) -> str:
    """A trace as one HTML page that needs nothing else, under 1 MB.

    Args:
        trace: the journey.
        judged: its gold answer, where known.
        blind: the gold answer is hidden until it is asked for.
    """
    return document(
        f"{trace.case.id}: {answer_in_words(trace)}"[:200],
        Markup("<main>{}</main>").format(journey_fragment(trace, judged, blind=blind)),
        scripts=[SCRIPT],
    )


def notebook_html(trace: Trace) -> str:
    """The page in a frame of its own, which neither touches the notebook nor is touched by it."""
    page = escape(journey_page(trace), quote=True)
    return (
        f'<iframe title="Journey {escape(trace.id, quote=True)}" sandbox="allow-scripts" srcdoc="{page}" '
        f'width="100%" height="{_FRAME_PX}" style="border:1px solid #8888;border-radius:6px"></iframe>'
    )


def journey_fragment(trace: Trace, judged: Judged | None = None, *, blind: bool = False) -> Markup:
    """The inner part of a journey's page, which a run's page shows too."""
    trace = numbered(trace)
    outputs = [_output(step) for step in trace.steps]
    for fit in _FITS:
        markup = _fitted(trace, outputs, fit, judged, blind=blind)
        if len(markup.encode(errors="replace")) <= _MOST_BYTES:
            break
    return markup


def _fitted(trace: Trace, outputs: Sequence[str], fit: Fit, judged: Judged | None, *, blind: bool) -> Markup:
    evidence, path, course = evidence_of(trace), path_of(trace), trace.trajectory()
    most = _chars_each(trace, outputs, fit)
    vignette, question = _marked(trace, evidence)
    return rendered(
        "journey.html.jinja",
        trace=trace,
        evidence=evidence,
        answer=answer_in_words(trace),
        share=trace.distribution.get(trace.answer or ""),
        judged=judged,
        gold=choice_in_words(judged.gold, trace.case.options) if judged else "",
        blind=blind,
        ending=ending(trace),
        considered=considered(course, evidence),
        backs=[
            Back(step.index, back_in_words(step), getattr(step.output, "critique", ""))
            for step in trace.steps
            if step.move.backtrack
        ],
        path=path_chart(trace, path, evidence) if path.places else None,
        chart=credence_chart(trace, course, evidence),
        course=course,
        matrix=matrix(evidence, fit.reason),
        vignette=vignette,
        question=question,
        title=title,
        back_in_words=back_in_words,
        clip=lambda text: clipped(text, most),
        outputs=outputs,
        fit=fit,
        provenance=_provenance(trace),
    )


def considered(trajectory: Sequence[Mapping[str, float]], evidence: Evidence) -> list[Considered]:
    """The hypotheses by their credence at the end, the leader first.

    Args:
        trajectory: as `Trace.trajectory` gives it.
        evidence: of the same trace.
    """
    course = [shares for shares in trajectory if shares]
    if not course:
        return []
    first: dict[str, float] = {}
    for shares in course:
        for key, share in shares.items():
            first.setdefault(key, share)
    found = []
    for key, share in course[-1].items():
        gone = evidence.refuted.get(key)
        found.append(
            Considered(
                key,
                evidence.label(key),
                first[key],
                share,
                evidence.total(key),
                gone.step if gone else None,
                gone.because if gone else "",
            )
        )
    return sorted(found, key=lambda one: -one.last)


def matrix(evidence: Evidence, reason: int = _FITS[0].reason) -> list[Row]:
    """Findings by hypotheses.

    Args:
        evidence: of a journey.
        reason: most characters of the reason of a weight.
    """
    rows = []
    for finding in evidence.rows:
        known = evidence.findings.get(finding)
        rows.append(
            Row(
                finding,
                evidence.quote(finding),
                known.kind.replace("_", " ") if known else "",
                known is not None and known.polarity == "absent",
                [_cell(evidence, finding, key, reason) for key in evidence.columns],
            )
        )
    return rows


def _cell(evidence: Evidence, finding: str, hypothesis: str, reason: int) -> Cell:
    given = evidence.weights.get((finding, hypothesis), ())
    if not given:
        return Cell(hypothesis, None, "")
    head = f"{finding} on {hypothesis} {evidence.label(hypothesis)[:80]}: {given[-1].weight.stance}."
    said = [_weighed(one, reason) for one in reversed(given)]
    return Cell(hypothesis, given[-1].weight.strength, "\n".join([head, *said]))


def _weighed(one: Weighed, most: int) -> str:
    reason = one.weight.reason or "no reason was given"
    return f"Step {one.step + 1}, {signed(one.weight.strength)}: {reason[:most]}"


def _marked(trace: Trace, evidence: Evidence) -> tuple[list[Segment], list[Segment]]:
    """Vignette and question, cut where findings were quoted from them."""
    case = trace.case
    whole = f"{case.vignette}\n{case.question}"
    spans = located(whole, evidence.findings.values())
    edge = len(case.vignette)
    vignette, question = Span(0, edge), Span(edge + 1, len(whole))
    return list(segments(whole, spans, vignette)), [
        one for one in segments(whole, spans, question) if one.text
    ]


def _chars_each(trace: Trace, outputs: Sequence[str], fit: Fit) -> int:
    """Most characters of a prompt, reply or output, so that the page stays small."""
    lengths = [len(text) for step in trace.steps for text in _texts(step)] + [len(text) for text in outputs]
    if sum(lengths) <= fit.chars:
        return max(lengths, default=0)
    return max(fit.each, fit.chars // len(lengths))


def _texts(step: Step) -> Sequence[str]:
    return [step.prompt, step.text, *(attempt.text for attempt in step.attempts)]


def clipped(text: str, most: int) -> Clipped:
    """A text cut to so many characters."""
    return Clipped(text[:most], max(0, len(text) - most))


def _output(step: Step) -> str:
    """The structured output as JSON."""
    if step.output is None:
        return ""
    try:
        return step.output.model_dump_json(indent=1)
    except PydanticSerializationError:  # half a surrogate pair, as an engine may send one
        return json.dumps(step.output.model_dump(mode="json"), indent=1)


def _provenance(trace: Trace) -> list[tuple[str, Any]]:
    """What a trace came from, as names and values."""
    made, plan = trace.provenance, trace.strategy
    budget = plan.budget
    known = [
        ("Trace", trace.id),
        ("Case", f"{trace.case.id}, sample {trace.sample}"),
        ("Benchmark", " ".join(filter(None, (trace.case.source, trace.case.split)))),
        ("Strategy", plan.name),
        (
            "Budget",
            f"{budget.max_tokens:,} tokens, {budget.max_calls} calls, {budget.max_backtracks} backtracks",
        ),
        ("Model", made.model),
        ("Adapter", f"{made.adapter} (SHA-256 {made.adapter_sha256})" if made.adapter else ""),
        ("Engine", made.engine),
        ("Sampling", ", ".join(f"{key} {value}" for key, value in sorted(made.sampling.items()))),
        ("Prompt set", made.prompt_set),
        ("Code", f"ddxgraph {made.code_version}" if made.code_version else ""),
        ("Started", made.started_at),
    ]
    return [(name, str(value)) for name, value in known if value]
