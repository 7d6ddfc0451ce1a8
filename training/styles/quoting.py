"""How a model's words stand in a training text: folded, quoted or set off, so that they can be told from ours.

In a compiled text only three things are not our own words: what stands in typographic double quotes, what stands
between two em dashes, and what follows a lead-in and its colon to the end of the line. `fold` removes these signs
and every line break from a model's words, so that no text can leave its place.

What folding changes: control characters, line breaks, bidirectional overrides and runs of white space become one
space; typographic double quotes become straight ones; em dashes and horizontal bars become en dashes; tokens of
chat templates and tags of our prompts are disarmed as in every prompt (`prompts.library.disarm`). A note and a
label also lose their final full stops, and a quote its final punctuation. The first letter of a note is lowered
if its first word is no name. In a label a single capital in parentheses, which would look like an option's
letter, gets square brackets.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from functools import cached_property
from typing import Final, NamedTuple

from ddxgraph.common.errors import CompileError
from ddxgraph.graph.trace import Trace
from ddxgraph.nodes.check_evidence import WHOLE_CASE
from ddxgraph.nodes.expert_edit import ExpertEdit
from ddxgraph.nodes.generate_differential import Differential, Hypothesis
from ddxgraph.nodes.review_history import Finding, History
from ddxgraph.prompts.library import disarm

WHOLE: Final = "the case as a whole"
"""Stands for the finding that no quote could be given for."""

_HIDDEN: Final = re.compile(r"[\s\x00-\x20\x7f-\xa0\u2028-\u202f\u2066-\u2069\ud800-\udfff]+")
_SIGNS: Final = str.maketrans(
    {"\u201c": '"', "\u201d": '"', "\u201e": '"', "\u201f": '"', "\u2014": "\u2013", "\u2015": "\u2013"}
)
_OPTION_SIGN: Final = re.compile(r"\(([A-Z])\)")
_FUNCTION_WORDS: Final = frozenset(
    """
    The This That These Those It Its There No In An Both Because Since As With Without Not Such He She They
    His Her Their All Many Most Some Few Often Usually Rarely Less More Very Only Also Even If When While
    Would Could Should May Might Can Does Is Are Has Have Had Common Rare Typical Classic Classical Unlikely
    Likely Possible Sudden Acute Chronic Severe Mild Low High Normal Abnormal Elevated Increased Decreased
    Reduced Absence Absent Presence Present Lack Strong Weak Highly Consistent Inconsistent Suggests
    Suggestive Supports Fits Explains Indicates Patient Patients Symptoms Signs Findings One Two Three Four
    Several Multiple New Old
    """.split()  # noqa: SIM905 - a word a line would be a page
)
"""Words that begin a note and are no name."""
_LONGEST_PLAIN: Final = 60
_PLAIN: Final = re.compile(r"\w(?:[\w ,'/+-]*\w)?")
_WORD: Final = re.compile(r"\w+")
_ID: Final = re.compile(r"\b(?:F\d{1,3}|H\d{1,3}(?!-|\W?(?:receptor|block|antagon|antihist|histamin)))\b")
"""An id of the graph; "H2" in "H2 blocker" is none."""
_LOWER: Final = re.compile(r"\b[a-z]{3,}\b")


def fold(text: str) -> str:
    """A model's words on one line, free of the signs that set them off."""
    if text.isascii() and text.isprintable() and "  " not in text:  # most are; 10 times as fast
        return disarm(text.strip())
    return disarm(_HIDDEN.sub(" ", text.translate(_SIGNS)).strip())


def note(text: str, common: Collection[str] = ()) -> str:
    """A short remark, as it stands within or at the end of a sentence of ours.

    Args:
        text: the remark.
        common: words that are no names, in lower case.
    """
    words = fold(text).rstrip(". ")
    first, _, rest = words.partition(" ")
    if rest and first.istitle() and (first in _FUNCTION_WORDS or first.lower() in common):
        return f"{first.lower()} {rest}"
    return words


def quote(text: str) -> str:
    """A finding in the case's words; its final punctuation belongs to the sentence that it was taken from."""
    words = fold(text)
    return words.rstrip(" .,;:") or words


def label(text: str) -> str:
    """The name of a hypothesis."""
    words = fold(_OPTION_SIGN.sub(r"[\1]", text) if "(" in text else text)
    return words.rstrip(". ") or words


class Name(NamedTuple):
    """What a hypothesis is called."""

    label: str
    letter: str | None = None
    """An option's letter; None for a hypothesis beside the options."""


def names_of(options: Mapping[str, str]) -> list[Name]:
    """The options as hypotheses."""
    return [Name(label(text), letter) for letter, text in options.items()]


def quoted(words: str) -> str:
    """Folded words in quotation marks."""
    return f"\u201c{words}\u201d"


def aside(words: str) -> str:
    """A note between dashes; nothing for an empty one."""
    return f" \u2014 {words} \u2014" if words else ""


def joined(items: Iterable[str]) -> str:
    """A list in words: `a`, `a and b`, `a, b and c`."""
    *most, last = items
    return f"{', '.join(most)} and {last}" if most else last


def answer_line(answer: str) -> str:
    """The line that states the answer, as `nodes.statement` reads it."""
    return f"Answer: {answer}"


def can_be_plain(name: Name, others: Collection[Name], ours: Collection[str]) -> bool:
    """Whether a hypothesis beside the options can be named without quotes and still be found.

    Its first and its last word must be none of ours, and it must neither stand within another plain name nor hold
    one: a match can then neither begin nor end in our words, nor run from one name into the next.

    Args:
        name: the hypothesis.
        others: those that stand without quotes already.
        ours: every word of our templates, case folded.

    Returns:
        Whether its label may stand as it is.
    """
    text = name.label
    if len(text) > _LONGEST_PLAIN or not _PLAIN.fullmatch(text):
        return False
    words = _WORD.findall(text.casefold())
    if words[0] in ours or words[-1] in ours or words[-1].isdigit():
        return False
    return not any(other.label in text or text in other.label for other in others)


class Mentions:
    """The names known at one point of a text: writes them, and finds them again.

    Args:
        options: the case's options.
        ours: every word of our templates, case folded.
    """

    def __init__(self, options: Mapping[str, str], ours: Collection[str]) -> None:
        self._ours = ours
        self._options = {f"{name.label} ({name.letter})": name for name in names_of(options)}
        self._known: set[Name] = set()
        self._plain: set[Name] = set()
        self._pattern: re.Pattern[str] | None = None

    def learn(self, name: Name) -> None:
        """Note a hypothesis beside the options; from now on it may stand without quotes."""
        if name.letter is not None or name in self._known:
            return
        self._known.add(name)
        if can_be_plain(name, self._plain, self._ours):
            self._plain.add(name)
            self._pattern = None

    def written(self, name: Name) -> str:
        """A name as it stands in the text."""
        if name.letter is not None:
            return f"{name.label} ({name.letter})"
        return name.label if name in self._plain else quoted(name.label)

    @property
    def pattern(self) -> re.Pattern[str]:
        """Finds one mention: quoted, an option, or a plain name, the longest first."""
        if self._pattern is None:
            known = sorted((*self._options, *(name.label for name in self._plain)), key=len, reverse=True)
            plain = "|".join(rf"(?<!\w){re.escape(text)}(?!\w)" for text in known)
            self._pattern = re.compile(
                rf"\u201c[^\u201c\u201d]*\u201d|{plain + '|' if plain else ''}[Tt]{WHOLE[1:]}"
            )
        return self._pattern

    def name(self, mention: str) -> Name:
        """The hypothesis that a mention names."""
        if mention.startswith("\u201c"):
            return Name(mention[1:-1])
        return self._options.get(mention) or Name(mention)


def finding_of(mention: str) -> str:
    """The finding that a mention names: its quote, or nothing for the case as a whole."""
    return mention[1:-1] if mention.startswith("\u201c") else ""


class ModelWords:
    """Folds the words of one traversal's model, and replaces the graph's ids by names.

    The graph calls findings and hypotheses beside the options by ids (F1, H1), which no training text explains:
    where a thought or a reason uses one, the finding's words or the hypothesis' name take its place. An id that
    nothing has, or that the case itself speaks of (fibrosis stage F2), stays.

    Raises:
        CompileError: a hypothesis has no name that could be written, or one that could not be told apart.
    """

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self.names: Mapping[str, Name] = _names(trace)
        """Hypothesis id to name."""

    def thought(self, text: str) -> str:
        """A free thought."""
        return fold(self._resolved(text))

    def note(self, text: str) -> str:
        """A rationale, a reason, something missing."""
        return note(self._resolved(text), self._common)

    def finding(self, finding: Finding) -> str:
        """A finding's quote.

        Raises:
            CompileError: it has no words.
        """
        words = quote(finding.quote)
        if not words:
            raise CompileError(f"trace {self._trace.id} holds a finding without words: leave it out")
        return words

    def _resolved(self, text: str) -> str:
        if not _ID.search(text):
            return text
        return _ID.sub(lambda match: self._by_id.get(match.group(), match.group()), text)

    @cached_property
    def _common(self) -> frozenset[str]:
        """Words that the case itself writes in lower case."""
        return frozenset(_LOWER.findall(f"{self._trace.case.vignette} {self._trace.case.question}"))

    @cached_property
    def _by_id(self) -> Mapping[str, str]:
        """Id to what it stands for."""
        case = self._trace.case
        of_the_case = {*_ID.findall(" ".join([case.vignette, case.question, *case.options.values()]))}
        known = {WHOLE_CASE: WHOLE}
        known |= {key: name.label for key, name in self.names.items() if name.letter is None}
        for step in self._trace.steps:
            if isinstance(step.output, History | ExpertEdit) and step.output.findings:
                known |= {finding.id: f'"{quote(finding.quote)}"' for finding in step.output.findings}
        return {key: words for key, words in known.items() if key not in of_the_case}


def _names(trace: Trace) -> dict[str, Name]:
    options = {name.letter: name for name in names_of(trace.case.options)}
    outputs = (step.output for step in trace.steps if isinstance(step.output, Differential | ExpertEdit))
    worded: dict[tuple[str, str], Hypothesis] = {}
    for hypothesis in (h for output in outputs for h in output.hypotheses or ()):
        worded.setdefault((hypothesis.id, hypothesis.label), hypothesis)
    names: dict[str, Name] = {}
    for hypothesis in worded.values():
        name = Name(label(hypothesis.label), hypothesis.letter)
        if not name.label:
            fault = "has no name that could be written"
        elif name.letter is not None and options.get(name.letter) != name:
            fault = f"is not named as option {name.letter} of its case"
        elif names.setdefault(hypothesis.id, name) != name:
            fault = "changes its name"
        else:
            continue
        raise CompileError(f"hypothesis {hypothesis.id} of trace {trace.id} {fault}: leave it out")
    if len(set(names.values())) < len(names):
        raise CompileError(f"two hypotheses of trace {trace.id} have the same name: leave it out")
    return names
