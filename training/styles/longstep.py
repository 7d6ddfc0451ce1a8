"""The style `longstep`: the journey in titled steps, in the order walked."""

from collections.abc import Mapping
from typing import Final

from ddxgraph.nodes.check_evidence import CHECK_EVIDENCE
from ddxgraph.nodes.conclude import CONCLUDE
from ddxgraph.nodes.generate_differential import GENERATE_DIFFERENTIAL
from ddxgraph.nodes.reflect import REFLECT
from ddxgraph.nodes.registry import STOPS, title
from ddxgraph.nodes.review_history import REVIEW_HISTORY
from ddxgraph.training.styles import events
from ddxgraph.training.styles.quoting import Name
from ddxgraph.training.styles.voice import Teller, answer_line, finding

STRENGTHS: Final[Mapping[int, str]] = {
    2: "strongly supports it",
    1: "supports it",
    0: "is neutral",
    -1: "speaks against it",
    -2: "strongly speaks against it",
}
KINDS: Final[Mapping[str, str]] = {
    "symptom": "symptom",
    "sign": "sign",
    "lab": "laboratory finding",
    "imaging": "imaging finding",
    "history": "history",
    "demographic": "demographic",
    "medication": "medication",
    "pertinent_negative": "pertinent negative",
}
SALIENCES: Final[Mapping[int, str]] = {3: "could decide the case", 2: "relevant", 1: "background"}
POLARITIES: Final[Mapping[str, str]] = {"present": "present", "absent": "absent"}
EVIDENCE_TITLES: Final = ("Evidence for and against ", "Second look at the evidence for and against ")
RULED_OUT: Final = "is ruled out"
SETTLE: Final = "What would settle it: "

_TITLES: Final[Mapping[str, tuple[str, str]]] = {
    REVIEW_HISTORY.name: ("Review of the history", "Second reading of the history"),
    GENERATE_DIFFERENTIAL.name: ("Differential", "Differential, revised"),
}
"""Title of the first and of each later section of a stop, where these are not the stop's own."""

_NEEDLESS: Final[Mapping[str, tuple[type, ...]]] = {
    "nothing": (events.Thought, events.Weighed, events.Missing),
    "nothing_new": (events.Thought, events.Noted),
}
"""Remark to the events after which it is not made."""


def tells_nothing(heading: str) -> bool:
    """Whether a section's title tells no event: every title but those of the evidence on a hypothesis."""
    stops = [stop for stop in STOPS if stop is not CHECK_EVIDENCE]
    sections = {each for stop in stops for each in _titles(stop.name)}
    return heading in sections | {_going_back(stop.name) for stop in STOPS}


def _titles(stop: str) -> tuple[str, str]:
    return _TITLES.get(stop, (title(stop), title(stop)))


def _going_back(stop: str) -> str:
    return f"Going back to the {title(stop).lower()}"


def steps_told(journey: events.Journey, options: Mapping[str, str], seed: str) -> str:
    """Tell a journey in titled steps.

    Args:
        journey: of a `ParsedTrace`.
        options: the case's options.
        seed: any text; decides the wordings outside titles and lists.

    Returns:
        Sections under lines that begin with `## `; the last line states the answer.
    """
    return _Steps(options, seed).tell(journey)


class _Steps:
    """The lines so far. A section opens with the first event that belongs to it."""

    def __init__(self, options: Mapping[str, str], seed: str) -> None:
        self._teller = Teller(options, seed)
        self._lines: list[str] = []
        self._section = ""
        self._awaited = ""
        """The remark to make if nothing follows under the last title."""
        self._seen: set[str | Name] = set()

    def tell(self, journey: events.Journey) -> str:
        for event in journey:
            self._event(event)
        return "\n".join(self._lines).strip()

    def _event(self, event: events.Event) -> None:
        self._remark_absence(event)
        match event:
            case events.Checked(hypothesis=name):
                self._evidence(name)
                self._awaited = "nothing"
            case events.WentBack():
                self._title(_going_back(event.to))
                self._lines.append(self._teller.went_back(event))
                self._awaited = "nothing_new" if event.to == REVIEW_HISTORY.name else ""
            case events.Concluded(answer=answer):
                self._open(CONCLUDE.name)
                self._lines += ["", answer_line(answer)]
            case _:
                self._line(event)

    def _remark_absence(self, event: events.Event) -> None:
        """Say that there is nothing, once the next event shows that there is nothing."""
        if self._awaited and not isinstance(event, _NEEDLESS[self._awaited]):
            self._lines.append(self._teller.remark(self._awaited))
        self._awaited = ""

    def _line(self, event: events.Event) -> None:
        """Write an event that takes one line of its section."""
        tell = self._teller
        match event:
            case events.Asked(asks=asks):
                self._add(REVIEW_HISTORY.name, tell.sentence(f"asked:{asks}"))
            case events.Thought(stop=stop):
                self._add(stop, tell.lead(event))
            case events.Noted():
                self._add(REVIEW_HISTORY.name, _noted(event))
            case events.Named(hypothesis=name, percent=percent, rationale=why):
                item = f"- {tell.introduced(name)}, about {percent} percent"
                self._add(GENERATE_DIFFERENTIAL.name, _because(item, why))
            case events.Revived():
                self._add(GENERATE_DIFFERENTIAL.name, tell.sentence("revived"))
            case events.Weighed(finding=quote, strength=strength, reason=reason):
                subject = finding(quote)
                item = f"- {subject[:1].upper()}{subject[1:]} {STRENGTHS[strength]}"
                self._add(CHECK_EVIDENCE.name, _because(item, reason))
            case events.Missing(text=text):
                self._add(CHECK_EVIDENCE.name, f"{SETTLE}{text}")
            case events.Refuted(hypothesis=name, because=because):
                self._add(REFLECT.name, _because(f"- {tell.written(name)} {RULED_OUT}", because))
            case events.Halted():
                self._add(REFLECT.name, tell.halted(event))
            case _:
                pass

    def _add(self, stop: str, line: str) -> None:
        self._open(stop)
        self._lines.append(line)

    def _open(self, stop: str) -> None:
        """Open the section of a stop, unless it is open."""
        if stop in {self._section, CHECK_EVIDENCE.name}:
            return
        self._title(_titles(stop)[stop in self._seen])
        self._seen.add(stop)
        self._section = stop

    def _evidence(self, name: Name) -> None:
        self._title(f"{EVIDENCE_TITLES[name in self._seen]}{self._teller.written(name)}")
        self._seen.add(name)

    def _title(self, heading: str) -> None:
        self._section = ""
        self._lines += ["", f"## {heading}"]


def _noted(event: events.Noted) -> str:
    if event.kind is None or event.salience is None:
        return f"- {finding(event.quote)} ({POLARITIES[event.polarity]})"
    about = f"{KINDS[event.kind]}, {POLARITIES[event.polarity]}; {SALIENCES[event.salience]}"
    return f"- {finding(event.quote)} ({about})"


def _because(item: str, why: str) -> str:
    return f"{item}: {why}" if why else item
