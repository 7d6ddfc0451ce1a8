"""A trace as a page: case, path, credence, evidence, steps and provenance."""

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final, NamedTuple

from markupsafe import Markup
from pydantic_core import PydanticSerializationError

from ddxgraph.common.words import signed
from ddxgraph.graph.trace import Step, Trace
from ddxgraph.view.charts.credence import credence_chart
from ddxgraph.view.charts.path import path_chart
from ddxgraph.view.data.ending import answer_in_words, choice_in_words, ending
from ddxgraph.view.data.evidence import Evidence, Weighed, evidence_of
from ddxgraph.view.data.path import numbered, path_of
from ddxgraph.view.data.row import Judged
from ddxgraph.view.page.assets import rendered
from ddxgraph.view.page.document import document
from ddxgraph.view.page.highlight import Segment, Span, located, segments

SCRIPT: Final = "journey.js"
_MOST_BYTES: Final = 950_000
"""Of the markup of a trace; longer markup is rendered again with shorter texts."""
_FRAME_PX: Final = 720


class Fit(NamedTuple):
    """How much of the texts of a trace its page holds."""

    chars: int
    """Of prompts, replies and outputs together; if there are more, each is cut."""
    each: int
    """Minimum that each of them keeps."""
    reason: int
    """Maximal characters of the reason of a weight."""
    points: bool
    """Whether the credence chart marks its points, with tooltips."""


_FITS: Final = (Fit(400_000, 400, 600, True), Fit(150_000, 400, 300, False), Fit(0, 100, 100, False))
"""The best one first; the first that keeps the page small is used."""


class Considered(NamedTuple):
    """A hypothesis from its first credence to its last."""

    id: str
    label: str
    first: float
    last: float
    total: int
    """Sum of its evidence."""
    refuted_at: int | None
    """The step, from 0."""
    because: str


class Cell(NamedTuple):
    """What a finding says about a hypothesis."""

    hypothesis: str
    strength: int | None
    """None if it was never weighed."""
    tip: str
    """The reason and its step, followed by earlier ones."""


class Row(NamedTuple):
    """A finding and what it says about each hypothesis."""

    finding: str
    quote: str
    absent: bool
    cells: Sequence[Cell]


def journey_page(trace: Trace, judged: Judged | None = None, *, blind: bool = False) -> str:
    """Render a trace as a self-contained HTML page under 1 MB.

    Args:
        trace: the trace.
        judged: its gold answer and verdict, if known.
        blind: whether the gold answer is hidden until the reader asks for it.

    Returns:
        The page.
    """
    return document(
        f"{trace.case.id}: {answer_in_words(trace)}"[:200],
        Markup("<main>{}</main>").format(journey_fragment(trace, judged, blind=blind)),
        scripts=[SCRIPT],
    )


def notebook_html(trace: Trace) -> str:
    """The page in a frame, isolated from the notebook."""
    page = escape(journey_page(trace), quote=True)
    return (
        f'<iframe title="Journey {escape(trace.id, quote=True)}" sandbox="allow-scripts" srcdoc="{page}" '
        f'width="100%" height="{_FRAME_PX}" style="border:1px solid #8888;border-radius:6px"></iframe>'
    )


def journey_fragment(trace: Trace, judged: Judged | None = None, *, blind: bool = False) -> Markup:
    """The inner part of a journey's page, which the page of a run shows too.

    Args:
        trace: the trace.
        judged: its gold answer and verdict, if known.
        blind: whether the gold answer is hidden until the reader asks for it.

    Returns:
        The markup, under 1 MB.
    """
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
        backs=[step for step in trace.steps if step.move.backtrack],
        path=path_chart(trace, path, evidence) if path.places else None,
        chart=credence_chart(trace, course, evidence),
        course=course,
        matrix=matrix(evidence, fit.reason),
        vignette=vignette,
        question=question,
        clip=lambda text: clipped(text, most),
        outputs=outputs,
        fit=fit,
        provenance=_provenance(trace),
    )


def considered(trajectory: Sequence[Mapping[str, float]], evidence: Evidence) -> list[Considered]:
    """The hypotheses by credence at the end, the leader first.

    Args:
        trajectory: from `Trace.trajectory`.
        evidence: of the same trace.
    """
    course = [shares for shares in trajectory if shares]
    if not course:
        return []
    first: dict[str, float] = {}
    for shares in reversed(course):
        first |= shares
    rows = []
    for key, share in course[-1].items():
        step, because = evidence.refuted.get(key) or (None, "")
        rows.append(
            Considered(key, evidence.label(key), first[key], share, evidence.total(key), step, because)
        )
    return sorted(rows, key=lambda row: -row.last)


def matrix(evidence: Evidence, reason: int = _FITS[0].reason) -> list[Row]:
    """Findings by hypotheses.

    Args:
        evidence: of a trace.
        reason: maximal characters of the reason of a weight.
    """
    rows = []
    for finding in evidence.rows:
        known = evidence.findings.get(finding)
        absent = known is not None and known.polarity == "absent"
        cells = [_cell(evidence, finding, key, reason) for key in evidence.columns]
        rows.append(Row(finding, evidence.quote(finding), absent, cells))
    return rows


def _cell(evidence: Evidence, finding: str, hypothesis: str, reason: int) -> Cell:
    given = evidence.weights.get((finding, hypothesis), ())
    if not given:
        return Cell(hypothesis, None, "")
    head = f"{finding} on {hypothesis} {evidence.label(hypothesis)[:80]}: {given[-1].weight.stance}."
    lines = [head, *(_weighed(weighed, reason) for weighed in reversed(given))]
    return Cell(hypothesis, given[-1].weight.strength, "\n".join(lines))


def _weighed(weighed: Weighed, most: int) -> str:
    reason = weighed.weight.reason or "no reason was given"
    return f"Step {weighed.step + 1}, {signed(weighed.weight.strength)}: {reason[:most]}"


def _marked(trace: Trace, evidence: Evidence) -> tuple[list[Segment], list[Segment]]:
    """Vignette and question, cut wherever a quoted finding begins or ends."""
    case = trace.case
    whole = f"{case.vignette}\n{case.question}"
    spans = located(whole, evidence.findings.values())
    edge = len(case.vignette)
    vignette, question = Span(0, edge), Span(edge + 1, len(whole))
    in_question = [segment for segment in segments(whole, spans, question) if segment.text]
    return list(segments(whole, spans, vignette)), in_question


def _chars_each(trace: Trace, outputs: Sequence[str], fit: Fit) -> int:
    """Maximal characters of a prompt, reply or output, so that the page stays small."""
    lengths = [len(text) for step in trace.steps for text in _texts(step)] + [len(text) for text in outputs]
    if sum(lengths) <= fit.chars:
        return max(lengths, default=0)
    return max(fit.each, fit.chars // len(lengths))


def _texts(step: Step) -> Sequence[str]:
    tried = [text for attempt in step.attempts for text in (attempt.thoughts, attempt.text)]
    return [step.prompt, step.thoughts, step.text, *tried]


def clipped(text: str, most: int) -> Markup:
    """Cut a text to `most` characters, and say how many more there are."""
    if len(text) <= most:
        return Markup.escape(text)
    more = Markup('{}<span class="more"> … {:,} more characters in the trace</span>')
    return more.format(text[:most], len(text) - most)


def _output(step: Step) -> str:
    """The structured output as JSON."""
    if step.output is None:
        return ""
    try:
        return step.output.model_dump_json(indent=1)
    except PydanticSerializationError:  # a lone surrogate, which an engine may send
        return json.dumps(step.output.model_dump(mode="json"), indent=1)


def _provenance(trace: Trace) -> list[tuple[str, Any]]:
    """Origin of a trace, as names and values."""
    made, plan = trace.provenance, trace.strategy
    budget = plan.budget
    limits = f"{budget.max_tokens:,} tokens, {budget.max_calls} calls, {budget.max_backtracks} backtracks"
    known = [
        ("Trace", trace.id),
        ("Case", f"{trace.case.id}, sample {trace.sample}"),
        ("Benchmark", " ".join(filter(None, (trace.case.source, trace.case.split)))),
        ("Strategy", plan.name),
        ("Budget", limits),
        ("Model", made.model),
        ("Adapter", f"{made.adapter} (SHA-256 {made.adapter_sha256})" if made.adapter else ""),
        ("Engine", made.engine),
        ("Sampling", ", ".join(f"{key} {value}" for key, value in sorted(made.sampling.items()))),
        ("Prompt set", made.prompt_set),
        ("Code", f"ddxgraph {made.code_version}" if made.code_version else ""),
        ("Started", made.started_at),
    ]
    return [(name, str(value)) for name, value in known if value]
