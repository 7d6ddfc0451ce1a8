"""What the model said on one traversal, in the form in which a training text holds it."""

import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Final

from ddxgraph.common.errors import CompileError
from ddxgraph.graph.trace import Trace
from ddxgraph.nodes.check_evidence import WHOLE_CASE
from ddxgraph.nodes.generate_differential import Differential, Hypothesis
from ddxgraph.nodes.review_history import Finding, History
from ddxgraph.training.styles.quoting import WHOLE, Name, fold, label, names_of, note, quote

_ID: Final = re.compile(r"\b(?:F\d{1,3}|H\d{1,3}(?!-|\W?(?:receptor|block|antagon|antihist|histamin)))\b")
"""An id of the graph; in "H2 blocker" it is none."""

_LOWER: Final = re.compile(r"\b[a-z]{3,}\b")


class ModelWords:
    """Folds a model's words (`embedding`), and puts names for the graph's ids.

    The graph calls findings and hypotheses beside the options by ids (F1, H1), which no training text explains:
    where a thought or a reason uses one, the finding's words or the hypothesis' name stand in for it. An id that
    nothing has, or that the case itself speaks of (fibrosis stage F2), is left as it is.

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
        """A finding's quote."""
        words = quote(finding.quote)
        if not words:
            raise CompileError(f"trace {self._trace.id} holds a finding without words: leave it out")
        return words

    def _resolved(self, text: str) -> str:
        if not _ID.search(text):
            return text
        return _ID.sub(lambda found: self._known.get(found.group(), found.group()), text)

    @cached_property
    def _common(self) -> frozenset[str]:
        """Words that the case itself writes in lower case."""
        return frozenset(_LOWER.findall(f"{self._trace.case.vignette} {self._trace.case.question}"))

    @cached_property
    def _known(self) -> Mapping[str, str]:
        """Id to what it stands for."""
        case = self._trace.case
        taken = {*_ID.findall(" ".join([case.vignette, case.question, *case.options.values()]))}
        known = {WHOLE_CASE: WHOLE}
        known |= {key: name.label for key, name in self.names.items() if name.letter is None}
        for step in self._trace.steps:
            if isinstance(step.output, History):
                known |= {finding.id: f'"{quote(finding.quote)}"' for finding in step.output.findings}
        return {key: words for key, words in known.items() if key not in taken}


def _names(trace: Trace) -> dict[str, Name]:
    names: dict[str, Name] = {}
    options = {name.letter: name for name in names_of(trace.case.options)}
    for hypothesis in _hypotheses(trace):
        name = Name(label(hypothesis.label), hypothesis.letter)
        if not name.label:
            raise CompileError(
                f"hypothesis {hypothesis.id} of trace {trace.id} has no name that could be written: leave it out"
            )
        if name.letter is not None and options.get(name.letter) != name:
            raise CompileError(
                f"hypothesis {hypothesis.id} of trace {trace.id} is not named as option {name.letter} of its "
                "case: leave it out"
            )
        if names.setdefault(hypothesis.id, name) != name:
            raise CompileError(
                f"hypothesis {hypothesis.id} of trace {trace.id} changes its name: leave it out"
            )
    if len(set(names.values())) < len(names):
        raise CompileError(f"two hypotheses of trace {trace.id} have the same name: leave it out")
    return names


def _hypotheses(trace: Trace) -> Iterator[Hypothesis]:
    """Each hypothesis as often as it comes in another wording."""
    seen: set[tuple[str, str]] = set()
    for step in trace.steps:
        if isinstance(step.output, Differential):
            for hypothesis in step.output.hypotheses:
                if (hypothesis.id, hypothesis.label) not in seen:
                    seen.add((hypothesis.id, hypothesis.label))
                    yield hypothesis
