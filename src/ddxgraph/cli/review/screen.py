"""A traversal as a reviewer reads it: plain lines, nothing hidden, nothing that could control the terminal.

Every sign has its word, so that a screen reader conveys all that the eye sees; nothing depends on colour.
"""

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Final, TypeVar

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from ddxgraph.graph.credence import ranked
from ddxgraph.graph.routing import Move
from ddxgraph.graph.trace import Step, Trace
from ddxgraph.nodes.check_evidence import WHOLE_CASE, EvidenceCheck, Weight
from ddxgraph.nodes.conclude import Conclusion
from ddxgraph.nodes.expert_edit import ExpertEdit
from ddxgraph.nodes.generate import GENERATE, Generation
from ddxgraph.nodes.generate_differential import Differential, Hypothesis
from ddxgraph.nodes.reflect import Reflection
from ddxgraph.nodes.registry import title
from ddxgraph.nodes.review_history import Finding, History

T = TypeVar("T")

WIDTH: Final = 88
"""Most columns: longer lines are hard to read."""

_LABEL_CHARS: Final = 100
_NOTE_CHARS: Final = 240
_TEXT_CHARS: Final = 480
_CASE_CHARS: Final = 6_000
"""Most characters of a label, a remark, a paragraph and a case; `f` shows the rest."""
_ITEMS: Final = 8
"""Most findings, weights or hypotheses of a step."""
_LINES: Final = 120
_FULL_LINES: Final = 5_000
"""Most lines of a text, and of a text that `f` shows."""
_ROOM: Final = 10
"""Fewest columns of a text."""
_FULL_CHARS: Final = 200_000
"""Most characters that `f` shows of one text."""

_STEERS: Final = frozenset(
    map(chr, (0x61C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A), 0xFEFF))
) | frozenset(map(chr, range(0xE0000, 0xE0080)))
"""Direction marks, line separators, tag letters: a line with them does not read as it is written."""

_STRENGTHS: Final = {2: "strongly for", 1: "for", 0: "neutral", -1: "against", -2: "strongly against"}
_MOVERS: Final = {
    "self": "the model's own move",
    "verifier": "a rule of the graph",
    "budget": "the budget",
    "engine": "the engine",
    "gold": "an answer key's move",
    "label": "an answer key's move",
    "expert": "an expert's edit",
}


def harmless(text: str) -> str:
    """The text without anything that controls a terminal; tabs and control characters become spaces."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(
        c if c == "\n" else " " if _is_control(c) else "\ufffd" if "\ud800" <= c <= "\udfff" else c
        for c in text
    )


def _is_control(character: str) -> bool:
    return character in _STEERS or unicodedata.category(character) == "Cc"


class TraversalScreen:
    """Writes a traversal into lines.

    Args:
        trace: the traversal.
        width: columns; 40 at least.
        whole: leave nothing out.
    """

    def __init__(self, trace: Trace, width: int, *, whole: bool = False) -> None:
        self._trace = trace
        self._width = max(width, 40)
        self._whole = whole
        self._course = trace.trajectory()
        self._labels: dict[str, str] = dict(trace.case.options)
        self._quotes: dict[str, Finding] = {}
        self._wrapper = Console(width=self._width, no_color=True, highlight=False)
        self._cut = False
        """Whether something of the current block was left out."""

    def lines(self) -> list[str]:
        """Case, journey and answer."""
        return [*self.case(), "", *self.journey(), "", *self.answer()]

    def case(self) -> list[str]:
        """Vignette, question and options."""
        case = self._trace.case
        lines = ["CASE", *self._text_lines(case.vignette, _CASE_CHARS)]
        if case.question:
            lines += ["", "QUESTION", *self._text_lines(case.question, _CASE_CHARS)]
        if case.options:
            lines += ["", "OPTIONS"]
            for letter, text in case.options.items():
                lines += self._text_lines(text, _NOTE_CHARS, first=f"  {letter}. ")
        else:
            lines += ["", "No options: the answer is free text."]
        return [*lines, *self._hint("f 0 shows the whole case")]

    def journey(self) -> list[str]:
        """All steps."""
        lines = ["JOURNEY"]
        for number, step in enumerate(self._trace.steps, 1):
            lines += self._step(number, step)
        return lines

    def step(self, number: int) -> list[str]:
        """One step, by its number from 1, and the model's raw reply."""
        for step in self._trace.steps[: number - 1]:
            self._learn(step)
        step = self._trace.steps[number - 1]
        reply = self._text_lines(step.text or "(it made no call)", _TEXT_CHARS, "    ")
        return [*self._step(number, step), "", "    The model's reply as it came:", *reply]

    def answer(self) -> list[str]:
        """The answer."""
        trace = self._trace
        answer = trace.answer or ""
        option = trace.case.options.get(answer)
        lines = self._text_lines(f"{answer}. {option}" if option else answer, _TEXT_CHARS, first="ANSWER  ")
        spread = self._shares(trace.distribution)
        if spread:
            source = {"logprobs": "token probabilities", "credence": "credence"}.get(
                trace.distribution_from, ""
            )
            lines += self._text_lines(f"{spread} ({source})", _TEXT_CHARS, first=" " * 8)
        self._hint("")
        return lines

    def _step(self, number: int, step: Step) -> list[str]:
        about = f" on {self._name(step.branch)}" if step.branch else ""
        name = "REPLY" if step.node == GENERATE.name else title(step.node).upper()
        lines = self._text_lines(f"{name}{about}", None, f"{number:>3} ")
        lines += self._thought(step, self._course[number - 1])
        if step.failure:
            lines += self._text_lines(
                step.failure.message, _NOTE_CHARS, "    No reply that could be read: ", hang=8
            )
        lines += self._moved(step.move)
        return [*lines, *self._hint(f"    f {number} shows all of this step")]

    def _learn(self, step: Step) -> None:
        """Remember names that later steps use."""
        match step.output:
            case History(findings=findings):
                self._quotes |= {finding.id: finding for finding in findings}
            case ExpertEdit(findings=findings, hypotheses=hypotheses):
                self._quotes |= {finding.id: finding for finding in findings or ()}
                self._labels |= {hypothesis.id: hypothesis.label for hypothesis in hypotheses or ()}
            case Differential(hypotheses=hypotheses):
                self._labels |= {hypothesis.id: hypothesis.label for hypothesis in hypotheses}

    def _thought(self, step: Step, shares: Mapping[str, float]) -> list[str]:  # noqa: PLR0911 - one a kind of output
        self._learn(step)
        match step.output:
            case History() as history:
                return self._history(history)
            case Differential() as differential:
                return self._differential(differential, shares)
            case EvidenceCheck() as check:
                return self._evidence(check)
            case Reflection() as reflection:
                return self._reflection(reflection, shares)
            case Conclusion(justification=why):
                return self._text_lines(why, _TEXT_CHARS, "    ")
            case Generation():
                return self._text_lines(step.text, _CASE_CHARS, "    ")
            case _:
                return [line for text in step.remarks for line in self._remark(text)]

    def _history(self, history: History) -> list[str]:
        lines = self._remark(history.reasoning)
        lines += self._text_lines(
            f"The question asks for: {history.asks.replace('_', ' ')}", _NOTE_CHARS, "    "
        )
        for finding in self._some(history.findings):
            absent = "absent: " if finding.polarity == "absent" else ""
            kind = finding.kind.replace("_", " ")
            described = (
                f'{absent}"{self._short(finding.quote, _NOTE_CHARS)}" ({kind}, salience {finding.salience})'
            )
            lines += self._text_lines(described, None, f"    {self._id(finding.id)} ")
        if not history.findings:
            lines.append("    No finding.")
        if history.unquoted:
            dropped = f"{history.unquoted} more dropped: not quoted from the case."
            lines += self._text_lines(dropped, None, "    ")
        return lines

    def _differential(self, differential: Differential, shares: Mapping[str, float]) -> list[str]:
        lines = self._remark(differential.reasoning)
        for hypothesis in self._some(differential.hypotheses):
            lines += self._hypothesis(hypothesis, shares)
        if differential.revived:
            names = ", ".join(map(self._id, self._some(differential.revived)))
            lines += self._text_lines(f"All had been refuted; standing again: {names}", None, "    ")
        return lines

    def _hypothesis(self, hypothesis: Hypothesis, shares: Mapping[str, float]) -> list[str]:
        label = self._short(hypothesis.label, _LABEL_CHARS)
        why = f": {self._short(hypothesis.rationale, _NOTE_CHARS)}" if hypothesis.rationale else ""
        share = f"{shares.get(hypothesis.id, 0):>4.0%}"
        return self._text_lines(f"{label}{why}", None, f"    {self._id(hypothesis.id):<2} {share} ")

    def _evidence(self, check: EvidenceCheck) -> list[str]:
        lines = self._remark(check.reasoning)
        for weight in self._some(check.weights):
            lines += self._weight(weight)
        if not check.weights:
            lines.append("    Nothing was weighed.")
        if check.missing:
            lines += self._text_lines(self._short(check.missing, _NOTE_CHARS), None, "    Would settle it: ")
        return lines

    def _weight(self, weight: Weight) -> list[str]:
        finding = self._quotes.get(weight.finding)
        if finding:
            absent = "absence of " if finding.polarity == "absent" else ""
            about = f'{absent}"{self._short(finding.quote, _LABEL_CHARS)}"'
        else:
            about = "the case as a whole" if weight.finding == WHOLE_CASE else self._id(weight.finding)
        reason = f": {self._short(weight.reason, _NOTE_CHARS)}" if weight.reason else ""
        return self._text_lines(f"{about}{reason}", None, f"    {_STRENGTHS[weight.strength]}: ", hang=8)

    def _reflection(self, reflection: Reflection, shares: Mapping[str, float]) -> list[str]:
        lines = self._remark(reflection.critique)
        for gone in self._some(reflection.refuted):
            because = self._short(gone.because, _NOTE_CHARS)
            lines += self._text_lines(
                f"{self._name(gone.hypothesis)}: {because}", None, "    REFUTED ", hang=8
            )
        if spread := self._shares(shares):
            lines += self._text_lines(spread, None, "    Credence now ", hang=8)
        return lines

    def _moved(self, move: Move) -> list[str]:
        mover = _MOVERS[move.trigger]
        if not move.backtrack and move.trigger == "self":
            return []
        targets = ", ".join(map(self._id, self._some(move.targets)))
        about = f" of {targets}" if targets else ""
        reason = f": {self._short(move.reason, _NOTE_CHARS)}" if move.reason else ""
        way = (
            f"<- BACK to the {title(move.to).lower()}{about}"
            if move.backtrack
            else f"-> {move.to.replace('_', ' ')}"
        )
        return self._text_lines(f"{way} ({mover}{reason})", None, "    ", hang=8)

    def _name(self, key: str) -> str:
        label = self._labels.get(key)
        return f"{self._id(key)}. {self._short(label, _LABEL_CHARS)}" if label else self._id(key)

    def _id(self, key: str) -> str:
        return self._short(key, 12)

    def _shares(self, shares: Mapping[str, float]) -> str:
        return ", ".join(f"{self._id(key)} {shares[key]:.0%}" for key in self._some(ranked(shares)))

    def _remark(self, text: str) -> list[str]:
        return self._text_lines(self._short(text, _TEXT_CHARS), None, "    ") if text.strip() else []

    def _some(self, items: Sequence[T]) -> Sequence[T]:
        if self._whole or len(items) <= _ITEMS:
            return items
        self._cut = True
        return items[:_ITEMS]

    def _short(self, text: str, most: int) -> str:
        """The text on one line, shortened and harmless."""
        kept = self._limited(text, most)
        return " ".join(harmless(kept).split()) + (" [...]" if len(kept) < len(text) else "")

    def _limited(self, text: str, most: int) -> str:
        most = _FULL_CHARS if self._whole else most
        if len(text) <= most:
            return text
        self._cut = True
        return text[:most]

    def _text_lines(self, text: str, most: int | None, first: str = "", hang: int | None = None) -> list[str]:
        """The text as lines: the first after `first`, the others indented as far, or by `hang` columns."""
        kept = self._limited(text, most) if most else text
        shown = harmless(kept) + (" [...]" if len(kept) < len(text) else "")
        indent = " " * (cell_len(first) if hang is None else hang)
        if hang is not None:
            words = first.lstrip()
            first, shown = first[: len(first) - len(words)], words + shown
        lines = self._wrapped(shown, first, indent)
        kept_lines = list(islice(lines, _FULL_LINES if self._whole else _LINES))
        if next(lines, None) is not None:
            self._cut = True
            kept_lines.append(f"{indent}[...]")
        return kept_lines

    def _wrapped(self, text: str, first: str, rest: str) -> Iterator[str]:
        lead = first
        for paragraph in text.split("\n"):
            room = max(self._width - max(cell_len(lead), len(rest)), _ROOM)
            for line in Text(paragraph).wrap(self._wrapper, room, overflow="fold"):
                yield f"{lead}{line.plain}".rstrip()
                lead = rest

    def _hint(self, words: str) -> list[str]:
        """How to see what was left out of the current block, if anything was."""
        cut, self._cut = self._cut, False
        return [words] if cut and words else []
