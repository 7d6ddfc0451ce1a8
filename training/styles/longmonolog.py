"""The style `longmonolog`: the journey as one first-person monologue, without headings or lists."""

from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Final

from ddxgraph.nodes.check_evidence import CHECK_EVIDENCE
from ddxgraph.nodes.review_history import REVIEW_HISTORY
from ddxgraph.training.styles import events
from ddxgraph.training.styles.quoting import Name, names_of
from ddxgraph.training.styles.voice import Teller, answer_line, finding

_TOGETHER: Final = ((2, 0.4), (1, 0.5), (3, 1.0))
"""Findings a sentence takes in, and the probability of that number if the ones before it were not drawn."""
_OPENS: Final = frozenset({REVIEW_HISTORY.name, CHECK_EVIDENCE.name})
"""Stops whose thought continues the paragraph that opened them; any other thought begins a paragraph."""
_HESITATES: Final = 0.25
"""How often a monologue pauses before the next check."""


def monologue(journey: events.Journey, options: Mapping[str, str], seed: str) -> str:
    """Tell a journey as a stream of thought.

    Args:
        journey: of a `ParsedTrace`.
        options: the case's options.
        seed: any text; decides the wordings.

    Returns:
        Paragraphs, the last of which is the line that states the answer.
    """
    return _Monologue(options, seed).tell(journey)


class _Monologue:
    """The paragraphs so far. A thought ends its paragraph, because it runs to the end of the line."""

    def __init__(self, options: Mapping[str, str], seed: str) -> None:
        self._teller = Teller(options, seed)
        self._options = options
        self._done: list[str] = []
        self._current: list[str] = []
        self._checked: set[Name] = set()
        self._listed = False
        self._awaited = ""
        """The remark to make if nothing follows of what was announced."""

    def tell(self, journey: events.Journey) -> str:
        for kind, run in groupby(journey, key=type):
            alike = tuple(run)
            self._remark_absence(alike[0])
            if kind is events.Noted:
                self._findings([event for event in alike if isinstance(event, events.Noted)])
                continue
            if kind is events.Named:
                self._list()
            for place, event in enumerate(alike):
                if place:
                    self._remark_absence(event)
                self._event(event)
        self._close()
        return "\n\n".join(self._done)

    def _event(self, event: events.Event) -> None:
        match event:
            case events.Thought():
                self._think(event)
            case events.Revived():
                self._close()
                self._say(self._teller.sentence("revived"))
            case events.Checked(hypothesis=name):
                self._check(name)
            case events.WentBack():
                self._say(self._teller.went_back(event))
                self._close()
                self._awaited = "nothing_new" if event.to == REVIEW_HISTORY.name else ""
            case events.Concluded(answer=answer):
                self._conclude(answer)
            case events.Noted():
                self._findings([event])
            case _:
                self._say(self._in_a_sentence(event))

    def _in_a_sentence(
        self,
        event: events.Asked | events.Named | events.Weighed | events.Missing | events.Refuted | events.Halted,
    ) -> str:
        """An event that takes one sentence of the current paragraph."""
        tell = self._teller
        match event:
            case events.Asked(asks=asks):
                return tell.sentence(f"asked:{asks}")
            case events.Named(hypothesis=name, percent=percent, rationale=why):
                return tell.sentence("named", [tell.introduced(name)], why, percent)
            case events.Weighed():
                return tell.weighed(event)
            case events.Missing(text=text):
                return tell.sentence("missing", note=text)
            case events.Refuted():
                return tell.refuted(event)
            case events.Halted():
                return tell.halted(event)

    def _think(self, thought: events.Thought) -> None:
        """Write a thought; it runs to the end of its paragraph."""
        if thought.stop not in _OPENS:
            self._close()
        self._say(self._teller.lead(thought))
        self._close()

    def _remark_absence(self, event: events.Event) -> None:
        """Say that there is nothing, once an event shows that nothing will follow."""
        if not self._awaited or (isinstance(event, events.Thought) and event.stop in _OPENS):
            return
        if not isinstance(event, events.Noted | events.Weighed):
            self._say(self._teller.remark(self._awaited))
        self._awaited = ""

    def _findings(self, noted: Iterable[events.Noted]) -> None:
        for polarity, run in groupby(noted, key=lambda event: event.polarity):
            waiting = [finding(event.quote) for event in run]
            while waiting:
                size = next(size for size, odds in _TOGETHER if self._teller.chance(odds))
                self._say(self._teller.sentence(f"noted:{polarity}", waiting[:size]))
                del waiting[:size]

    def _list(self) -> None:
        """Begin to list hypotheses."""
        self._close()
        self._say(self._teller.remark("listing_again" if self._listed else "listing"))
        self._listed = True

    def _check(self, name: Name) -> None:
        self._close()
        if self._teller.chance(_HESITATES):
            self._say(self._teller.remark("between"))
        kind = "rechecked" if name in self._checked else "checked"
        self._say(self._teller.sentence(kind, [self._teller.written(name)]))
        self._checked.add(name)
        self._awaited = "nothing"

    def _conclude(self, answer: str) -> None:
        name = next((name for name in names_of(self._options) if name.letter == answer), None)
        if name:
            self._say(self._teller.remark("closing_on", [self._teller.written(name)]))
        else:
            self._say(self._teller.remark("closing"))
        self._close()
        self._done.append(answer_line(answer))

    def _say(self, sentence: str) -> None:
        self._current.append(sentence)

    def _close(self) -> None:
        """End the paragraph."""
        if self._current:
            self._done.append(" ".join(self._current))
            self._current = []
