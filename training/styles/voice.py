"""The voice of a text: tells events in sentences, in wordings that a seed picks."""

from collections.abc import Mapping, Sequence
from random import Random
from typing import Final

from ddxgraph.nodes.check_evidence import CHECK_EVIDENCE
from ddxgraph.training.styles.events import Halted, Refuted, Thought, Weighed, WentBack
from ddxgraph.training.styles.phrases import ASIDES, EVENTS, SLOT, Pool, lead_ins, our_words
from ddxgraph.training.styles.quoting import WHOLE, Mentions, Name, answer_line, aside, joined, quoted

__all__ = ["Teller", "answer_line", "finding"]

_RULED: Final = frozenset({"all_refuted", "nothing_to_recheck", "too_close"})
"""Backtracks that a rule of the graph made; each has wordings of its own."""


class Teller:
    """Picks wordings by a seed, none twice in a row, and knows which names have been introduced.

    Args:
        options: the case's options.
        seed: any text; the same text picks the same wordings on every machine.
    """

    def __init__(self, options: Mapping[str, str], seed: str) -> None:
        self.mentions = Mentions(options, our_words())
        self._dice = Random(seed)  # noqa: S311 - a choice of words
        self._last: dict[Pool, int] = {}

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self._dice.random() < probability

    def sentence(
        self, kind: str, mentioned: Sequence[str] = (), note: str = "", percent: int | None = None
    ) -> str:
        """A sentence that tells an event.

        Args:
            kind: of the event, such as `weighed:-2`.
            mentioned: names and findings, as they are written.
            note: stands between dashes; may be empty.
            percent: for wordings that state a probability.

        Returns:
            The sentence, with its full stop.
        """
        return _filled(self._pick(EVENTS[kind]), mentioned, note, percent)

    def lead(self, thought: Thought) -> str:
        """A thought after its lead-in."""
        return f"{self._pick(lead_ins()[thought.stop])} {thought.text}"

    def remark(self, kind: str, mentioned: Sequence[str] = ()) -> str:
        """A sentence that tells no event."""
        return _filled(self._pick(ASIDES[kind]), mentioned)

    def weighed(self, event: Weighed) -> str:
        """What a finding says about the hypothesis under test."""
        return self.sentence(f"weighed:{event.strength}", [finding(event.finding)], event.reason)

    def refuted(self, event: Refuted) -> str:
        """That a hypothesis is given up."""
        return self.sentence("refuted", [self.written(event.hypothesis)], event.because)

    def went_back(self, event: WentBack) -> str:
        """A backtrack."""
        kind: str = event.why if event.why in _RULED else event.to
        if event.to == CHECK_EVIDENCE.name and not event.targets:
            kind = "all_evidence"
        return self.sentence(f"back:{kind}", [self.written(name) for name in event.targets])

    def halted(self, event: Halted) -> str:
        """The end of the budget."""
        return self.sentence(f"halted:{event.limit}")

    def introduced(self, name: Name) -> str:
        """A hypothesis where it is first named; one beside the options stands in quotes there."""
        self.mentions.learn(name)
        return quoted(name.label) if name.letter is None else self.written(name)

    def written(self, name: Name) -> str:
        """A hypothesis that has been introduced."""
        return self.mentions.written(name)

    def _pick(self, pool: Pool) -> str:
        last = self._last.get(pool) if len(pool) > 1 else None
        place = int(self._dice.random() * (len(pool) - (last is not None)))
        if last is not None and place >= last:
            place += 1
        self._last[pool] = place
        return pool[place]


def finding(quote: str) -> str:
    """A finding as it is written."""
    return quoted(quote) if quote else WHOLE


def _filled(wording: str, mentioned: Sequence[str] = (), note: str = "", percent: int | None = None) -> str:
    """A wording with its slots filled; a mention that begins a sentence gets a capital."""
    slots = {"{m}": joined(mentioned) if mentioned else "", "{t}": aside(note), "{n}": str(percent)}
    sentence = SLOT.sub(lambda slot: slots[slot.group()], wording)
    return sentence[:1].upper() + sentence[1:] if wording.startswith("{m}") else sentence
