"""Prompts that a server cut without a word: it then reports fewer tokens than the prompt has words. Pure."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from ddxgraph.graph.conversation import Compaction
from ddxgraph.nodes.call.inwords import FORM
from ddxgraph.nodes.call.reply import without_thoughts

if TYPE_CHECKING:
    from ddxgraph.graph.trace import Step, Trace

LOG: Final = logging.getLogger("ddxgraph.prompts")
_LEAST_SHARE: Final = 0.8
"""Fewest tokens to a word that are believed. Tokenizers split text at white space, so that a word is a token at
least; the few that do not save less than this."""
_LEAST_GROWTH: Final = 40
"""Words by which a conversation must have grown before its growth in tokens says anything."""


class _Size(NamedTuple):
    """Of a prompt: in words, and in the tokens that the server reports."""

    words: int
    tokens: int

    def cut(self, before: "_Size | None") -> bool:
        """Whether the server saw less than was sent, in all or of what was added to a prompt before it."""
        if self.tokens < _LEAST_SHARE * self.words:
            return True
        if before is None:
            return False
        grown = self.words - before.words
        return grown >= _LEAST_GROWTH and self.tokens - before.tokens < _LEAST_SHARE * grown


def cut_prompts(
    system: str, opening: str, steps: Sequence["Step"], compactions: Sequence[Compaction]
) -> tuple[int, ...]:
    """Indices of the steps whose prompt the server cut.

    Some servers drop the beginning of a prompt that exceeds their context window, and answer the rest. What they
    report gives them away: fewer tokens than the prompt has words, or a count that stops growing while the
    conversation grows. Steps with a repair, and those whose usage was estimated, tell nothing.

    Args:
        system: the system message.
        opening: the case as the model saw it.
        steps: the steps of the traversal.
        compactions: its compactions.

    Returns:
        The indices, in order; empty if no prompt was cut, or no usage was reported.
    """
    return tuple(_cut(_words(system) + _words(opening), steps, {c.before: c.text for c in compactions}))


def _cut(always: int, steps: Sequence["Step"], summaries: Mapping[int, str]) -> Iterator[int]:
    told = of_round = 0
    before: _Size | None = None
    for step in steps:
        if step.branch is None:
            told, of_round = told + of_round, 0
        if step.index in summaries:
            told, before = _words(summaries[step.index]), None
        asked = _words(step.prompt)
        if step.usage.calls == 1 and not step.usage.estimated and step.text:
            size = _Size(always + told + asked, step.usage.prompt_tokens)
            if (
                FORM in step.left_out
            ):  # each prompt then ends with another form, so that its growth says nothing
                before = None
            if size.cut(before):
                yield step.index
            before = size if before is None or size.words > before.words else before
        if step.text and step.failure is None:
            exchanged = asked + _words(without_thoughts(step.text))
            told, of_round = (told + exchanged, 0) if step.branch is None else (told, of_round + exchanged)


def cut_in_words(trace: "Trace") -> str:
    """What was cut and how to mend it, in a sentence without a full stop; empty if no prompt was cut."""
    cut = len(trace.cut_prompts)
    if not cut:
        return ""
    return (
        f"the server cut {cut} of {sum(step.usage.calls > 0 for step in trace.steps)} prompts without a word, so "
        "the model did not see the whole conversation; serve it with a longer context, or give the graph the "
        "size that it has (`context_window`)"
    )


def warned(trace: "Trace") -> "Trace":
    """The trace itself, after a warning in the log if prompts of it were cut."""
    if told := cut_in_words(trace):
        LOG.warning("%s: %s", trace.case.id, told)
    return trace


def _words(text: str) -> int:
    return len(text.split())
