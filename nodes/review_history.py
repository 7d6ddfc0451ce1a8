"""Review the history: which findings of the case matter, as quotes, and what the question asks for."""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict

from ddxgraph.common.typography import typed
from ddxgraph.nodes.call.consultation import Consultation, Turn
from ddxgraph.nodes.call.reply import form, list_of, text
from ddxgraph.nodes.case import Case
from ddxgraph.nodes.settings import Limits
from ddxgraph.nodes.stop import Briefing, Standpoint, TrunkStop

NODE: Final = "review_history"

Asks = Literal["diagnosis", "next_step", "treatment", "investigation", "mechanism", "prognosis", "other"]
"""What a question asks for."""
FindingKind = Literal[
    "symptom", "sign", "lab", "imaging", "history", "demographic", "medication", "pertinent_negative"
]

Polarity = Literal["present", "absent"]
Salience = Literal[1, 2, 3]


class Finding(BaseModel):
    """A finding, quoted from the case."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    """F1, F2, ... in order of appearance."""
    quote: str
    """Part of the vignette or the question, apart from white space, case and typographic variants."""
    kind: FindingKind
    polarity: Polarity
    salience: Salience
    """1 background, 2 relevant, 3 could decide the case."""


class History(BaseModel):
    """The output of one review of the history."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["history"] = "history"
    reasoning: str = ""
    asks: Asks = "other"
    findings: tuple[Finding, ...] = ()
    """The new findings of this review."""
    unquoted: int = 0
    """Findings dropped because their quote is not in the case."""
    repeated: int = 0
    """Findings dropped because they were known already."""


@cache
def output_model(limits: Limits) -> type[BaseModel]:
    """The form of the reply; the free reasoning comes first."""
    finding = form(
        "QuotedFinding",
        quote=text(limits.quote_chars, least=3),
        kind=FindingKind,
        polarity=Polarity,
        salience=Salience,
    )
    return form(
        "ReviewHistory",
        reasoning=text(limits.reasoning_chars),
        asks=Asks,
        findings=list_of(finding, most=limits.findings, least=1),
    )


def room(limits: Limits) -> int:
    """Completion tokens that a review may need."""
    return limits.completion_tokens(limits.findings, limits.quote_chars + 40)


async def review_history(
    case: Case,
    known: Sequence[Finding],
    critique: str,
    line: Consultation,
    limits: Limits,
    *,
    first: bool = False,
) -> History:
    """Review the case, or review it again in the light of a critique.

    Args:
        case: the case.
        known: findings of earlier reviews; empty at the first.
        critique: what the last reflection found missing; empty at the first review.
        line: the line to the model.
        limits: maximum sizes in the reply.
        first: whether this is the first review although findings are known, since an expert gave them.

    Returns:
        The new findings; none if the reply could not be parsed.

    Raises:
        EngineFailed: the model gave no reply.
    """
    asking = line.prompts.render(NODE, known=() if first else known, critique=critique)
    output: Any = await line.ask(Turn(NODE, asking, output_model(limits), room(limits)))
    if output is None:
        return History()
    return settle(output, case, known)


def settle(output: Any, case: Case, known: Sequence[Finding]) -> History:
    """Keep the findings that are new and quoted from the case; count the others.

    Args:
        output: the parsed reply.
        case: the case.
        known: findings of earlier reviews.

    Returns:
        The output of the review.
    """
    record = comparable(f"{case.vignette}\n{case.question}")
    seen = {comparable(finding.quote) for finding in known}
    findings: list[Finding] = []
    last = max((int(finding.id[1:]) for finding in known), default=0)
    unquoted = repeated = 0
    for item in output.findings:
        quote = comparable(item.quote)
        if not quote or quote not in record:
            unquoted += 1
        elif quote in seen:
            repeated += 1
        else:
            seen.add(quote)
            findings.append(
                Finding(
                    id=f"F{last + len(findings) + 1}",
                    quote=item.quote.strip(),
                    kind=item.kind,
                    polarity=item.polarity,
                    salience=item.salience,
                )
            )
    return History(
        reasoning=output.reasoning,
        asks=output.asks,
        findings=tuple(findings),
        unquoted=unquoted,
        repeated=repeated,
    )


_SPACE: Final = re.compile(r"\s+")
_EDGE: Final = " \"'.,;:()…"


def comparable(text: str) -> str:
    """A quote in the form in which quotes are compared: folded, with trimmed edges."""
    return folded(text).strip(_EDGE)


def folded(text: str) -> str:
    """A text without the differences that do not count in a quote: white space, case and typographic variants.

    White space goes altogether, since `disarm` puts spaces into template tokens.
    """
    return _SPACE.sub("", typed(text).casefold())


async def _think(briefing: Briefing, line: Consultation) -> History:
    known = list(briefing.now.findings.values())
    return await review_history(
        briefing.case, known, briefing.now.critique, line, briefing.limits, first=not briefing.again
    )


def _learn(now: Standpoint, history: History) -> Standpoint:
    findings = {finding.id: finding for finding in history.findings}
    return now._replace(asks=now.asks or history.asks, findings={**now.findings, **findings})


def _words(history: History) -> Iterator[str]:
    yield history.reasoning
    yield from (finding.quote for finding in history.findings)


REVIEW_HISTORY: Final = TrunkStop(
    name=NODE,
    title="History",
    letter="H",
    colour="#4b5563",
    output=History,
    words=_words,
    learn=_learn,
    room=lambda briefing: room(briefing.limits),
    think=_think,
    errand="to read the case",
)
