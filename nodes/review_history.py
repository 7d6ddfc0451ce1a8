"""Review the history: which findings matter, quoted from the case, and what the question asks for."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict

from ddxgraph.nodes.case import Case
from ddxgraph.nodes.consultation import Consultation, Turn
from ddxgraph.nodes.reply import form, list_of, text
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
    """A finding of the case, in its own words."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    """F1, F2, ... in the order of reading."""
    quote: str
    """Stands in the vignette or the question, up to white space, case and typographic signs."""
    kind: FindingKind
    polarity: Polarity
    salience: Salience
    """1 background, 2 relevant, 3 could decide the case."""


class History(BaseModel):
    """What a reading of the case gave."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["history"] = "history"
    reasoning: str = ""
    asks: Asks = "other"
    findings: tuple[Finding, ...] = ()
    """New findings of this reading alone."""
    unquoted: int = 0
    """Findings dropped because their quote does not stand in the case."""
    repeated: int = 0
    """Findings dropped because they were listed already."""


@cache
def output_model(limits: Limits) -> type[BaseModel]:
    """The form of the reply; the free thought stands first."""
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
    """Completion tokens that a reading may need."""
    return limits.completion_tokens(limits.findings, limits.quote_chars + 40)


async def review_history(
    case: Case, known: Sequence[Finding], critique: str, line: Consultation, limits: Limits
) -> History:
    """Read the case, or read it again in the light of a critique.

    Args:
        case: the case.
        known: findings of earlier readings; empty at the first.
        critique: what the last reflection missed; empty at the first reading.
        line: the line to the model.
        limits: how much may be written.

    Returns:
        New findings alone; empty where the reply could not be read.
    """
    asking = line.prompts.render(NODE, known=known, critique=critique)
    output: Any = await line.ask(Turn(NODE, asking, output_model(limits), room(limits)))
    if output is None:
        return History()
    return settle(output, case, known)


def settle(output: Any, case: Case, known: Sequence[Finding]) -> History:
    """Keep what is quoted from the case and new; count what is not."""
    record = comparable(f"{case.vignette}\n{case.question}")
    seen = {comparable(finding.quote) for finding in known}
    findings: list[Finding] = []
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
                    id=f"F{len(known) + len(findings) + 1}",
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


_SIGNS: Final = str.maketrans(
    dict.fromkeys("\u2018\u2019\u2032\u02bc", "'")
    | dict.fromkeys("\u201c\u201d\u201e\u00ab\u00bb", '"')
    | dict.fromkeys("\u2010\u2012\u2013\u2014\u2015\u2212", "-")
    | {"\u2033": '"'}
)
_SPACE: Final = re.compile(r"\s+")
_EDGE: Final = " \"'.,;:()…"


def comparable(text: str) -> str:
    """A quote as it is compared: folded, its edges trimmed."""
    return folded(text).strip(_EDGE)


def folded(text: str) -> str:
    """A text without what does not count in a quote: white space, case and typographic signs.

    Spaces that `disarm` put into a template token are white space too, so they are taken out altogether.
    """
    return _SPACE.sub("", unicodedata.normalize("NFKC", text.translate(_SIGNS)).translate(_SIGNS).casefold())


async def _think(told: Briefing, line: Consultation) -> History:
    known = list(told.now.findings.values())
    return await review_history(told.case, known, told.now.critique, line, told.limits)


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
    room=lambda told: room(told.limits),
    think=_think,
    errand="to read the case",
)
