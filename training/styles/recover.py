"""Reads a compiled text back: the journey that a `longstep` or a `longmonolog` tells.

A sentence is recognised as a whole, by the wordings of `phrases`, once its names, findings and notes are taken
out. Nothing that a model wrote is searched for sentences: it stands in its place (`embedding`).
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import product
from typing import Any, Final, NamedTuple, cast

from ddxgraph.common.errors import BadInput
from ddxgraph.nodes.check_evidence import Strength
from ddxgraph.nodes.consultation import StopName
from ddxgraph.nodes.statement import stated
from ddxgraph.training.styles.journey import (
    Asked,
    Checked,
    Concluded,
    Event,
    Halted,
    Journey,
    Missing,
    Named,
    Noted,
    Refuted,
    Revived,
    Thought,
    Weighed,
    WentBack,
    Why,
)
from ddxgraph.training.styles.longstep import (
    EVIDENCE_TITLES,
    KINDS,
    OTHER_TITLES,
    POLARITIES,
    RULED_OUT,
    SALIENCES,
    SETTLE,
    STRENGTHS,
)
from ddxgraph.training.styles.phrases import ASIDES, EVENTS, THOUGHTS, our_words
from ddxgraph.training.styles.quoting import Mentions, Name, finding_of

_NAME, _NOTE, _NUMBER = "\x01", "\x02", "\x03"
_REMARK: Final = "remark"
_SHOWN: Final = 80
"""Characters of a line that an error shows."""


class RecoveryError(BadInput):
    """A text is not a compiled journey of this case."""


class _Slots(NamedTuple):
    """What a sentence's slots hold."""

    mentions: tuple[str, ...]
    note: str
    percent: int


class _Sentence(NamedTuple):
    kind: str
    slots: _Slots


def recover(text: str, options: Mapping[str, str]) -> Journey:
    """The journey that a text tells.

    Args:
        text: a `longstep` or `longmonolog` text that `compile_journey` gave.
        options: the case's options; empty for a free-form case.

    Returns:
        The events, equal to those of `journey.journey_of`: hypotheses with their priors, verdicts, refutations,
        backtracks, thoughts and the answer, in order. Texts are folded. (A finding's kind and salience, which
        do not count for equality, are there for `longstep` alone.)

    Raises:
        RecoveryError: a line is none that the compiler writes, or no answer is stated.
    """
    said = stated(text, options)
    if said is None:
        raise RecoveryError(
            "the text states no answer in its last line: compile it again, it may have been cut"
        )
    lines = text.rstrip().split("\n")[:-1]
    reader = _Reader(options)
    events = [event for line in lines if line for event in reader.line(line)]
    return (*events, Concluded(said.answer))


class _Reader:
    """Reads line by line, and learns the names that are introduced."""

    def __init__(self, options: Mapping[str, str]) -> None:
        self._mentions = Mentions(options, our_words())

    def line(self, line: str) -> Iterator[Event]:
        if line.startswith("## "):
            yield from self._title(line)
        elif line.startswith("- "):
            yield self._item(line)
        elif line.startswith(SETTLE):
            yield Missing(line[len(SETTLE) :])
        else:
            yield from self._sentences(line)

    def _title(self, line: str) -> Iterator[Event]:
        title = line[3:]
        if title in OTHER_TITLES:
            return
        for begins in EVIDENCE_TITLES:
            if title.startswith(begins):
                yield Checked(self._mentions.name(title[len(begins) :]))
                return
        raise _foreign(line)

    def _item(self, line: str) -> Event:
        found = self._mentions.pattern.match(line, 2)
        said = _items().fullmatch(line, found.end()) if found else None
        if found is None or said is None:
            raise _foreign(line)
        mention = found.group()
        match said.lastgroup:
            case "noted":
                return _noted(mention, said)
            case "named":
                return self._named(mention, int(said["percent"]), said["why"] or "")
            case "weighed":
                return Weighed(finding_of(mention), _STRENGTH_OF[said["strength"]], said["reason"] or "")
            case _:
                return Refuted(self._mentions.name(mention), said["because"] or "")

    def _sentences(self, line: str) -> Iterator[Event]:
        bare = _Bare(line, self._mentions)
        place = 0
        while place < len(bare.text):
            found = _wordings().match(bare.text, place)
            if found is None:
                raise _foreign(line)
            kind = _kinds()[found.group()]
            if kind in THOUGHTS:
                yield Thought(cast(StopName, kind), line[bare.whence(found.end()) + 1 :])
                return
            if kind != _REMARK:
                yield from self._told(_Sentence(kind, bare.slots(found)))
            place = found.end() + 1

    def _told(self, sentence: _Sentence) -> Iterator[Event]:
        """The events of a sentence."""
        kind, _, about = sentence.kind.partition(":")
        slots = sentence.slots
        match kind:
            case "asked":
                yield Asked(cast(Any, about))
            case "noted":
                for mention in slots.mentions:
                    yield Noted(finding_of(mention), cast(Any, about))
            case "named":
                yield self._named(slots.mentions[0], slots.percent, slots.note)
            case "revived":
                yield Revived()
            case "weighed":
                yield Weighed(finding_of(slots.mentions[0]), cast(Strength, int(about)), slots.note)
            case "missing":
                yield Missing(slots.note)
            case "halted":
                yield Halted(cast(Any, about))
            case _:
                yield self._of_hypotheses(kind, about, slots)

    def _of_hypotheses(self, kind: str, about: str, slots: _Slots) -> Event:
        """What happens to hypotheses that have been named."""
        names = tuple(map(self._mentions.name, slots.mentions))
        match kind:
            case "refuted":
                return Refuted(names[0], slots.note)
            case "back":
                return _went_back(about, names)
            case _:
                return Checked(names[0])

    def _named(self, mention: str, percent: int, why: str) -> Named:
        name = self._mentions.name(mention)
        self._mentions.learn(name)
        return Named(name, percent, why)


class _Bare:
    """A line with one sign for each list of names, each note and each number."""

    def __init__(self, line: str, mentions: Mentions) -> None:
        self._one = mentions.pattern
        one = self._one.pattern
        slot = re.compile(
            rf"(?P<mention>(?:{one})(?:, (?:{one}))*(?: and (?:{one}))?)"
            "| \u2014 (?P<note>[^\u2014]*) \u2014"
            r"|\b(?P<number>\d{1,2})(?= percent\b)"
        )
        parts: list[str] = []
        self._slots: list[tuple[int, re.Match[str]]] = []
        length = done = 0
        for found in slot.finditer(line):
            sign = {"mention": _NAME, "note": _NOTE}.get(found.lastgroup or "", _NUMBER)
            parts += [line[done : found.start()], sign]
            length += found.start() - done
            self._slots.append((length, found))
            length += 1
            done = found.end()
        parts.append(line[done:])
        self.text = "".join(parts)

    def whence(self, place: int) -> int:
        """Where a place stands in the line itself."""
        before = [(at, found) for at, found in self._slots if at < place]
        return place if not before else before[-1][1].end() + place - before[-1][0] - 1

    def slots(self, sentence: re.Match[str]) -> _Slots:
        """What the slots of a sentence hold."""
        held = [found for at, found in self._slots if sentence.start() <= at < sentence.end()]
        told = {found.lastgroup: found for found in held}
        mention, note, number = told.get("mention"), told.get("note"), told.get("number")
        return _Slots(
            tuple(self._one.findall(mention.group())) if mention else (),
            note["note"] if note else "",
            int(number["number"]) if number else 0,
        )


def _went_back(about: str, names: tuple[Name, ...]) -> WentBack:
    to: dict[str, StopName] = {
        "all_refuted": "generate_differential",
        "nothing_to_recheck": "generate_differential",
        "too_close": "check_evidence",
        "all_evidence": "check_evidence",
    }
    ruled = about in {"all_refuted", "nothing_to_recheck", "too_close"}
    return WentBack(to.get(about, cast(StopName, about)), names, cast(Why, about) if ruled else "doubt")


_STRENGTH_OF: Final[Mapping[str, Strength]] = {words: cast(Strength, s) for s, words in STRENGTHS.items()}
_KIND_OF: Final = {words: kind for kind, words in KINDS.items()}
_SALIENCE_OF: Final = {words: salience for salience, words in SALIENCES.items()}


def _noted(mention: str, said: re.Match[str]) -> Noted:
    kind, salience = said["kind"], said["salience"]
    return Noted(
        finding_of(mention),
        cast(Any, said["polarity"]),
        cast(Any, _KIND_OF[kind] if kind else None),
        cast(Any, _SALIENCE_OF[salience] if salience else None),
    )


@cache
def _items() -> re.Pattern[str]:
    """What follows a mention in an item of a list."""

    def one_of(words: Mapping[Any, str]) -> str:
        return "|".join(re.escape(word) for word in words.values())

    return re.compile(
        rf"(?P<noted> \((?:(?P<kind>{one_of(KINDS)}), )?(?P<polarity>{one_of(POLARITIES)})"
        rf"(?:; (?P<salience>{one_of(SALIENCES)}))?\))"
        r"|(?P<named>, about (?P<percent>\d{1,2}) percent(?:: (?P<why>.*))?)"
        rf"|(?P<weighed> (?P<strength>{one_of(STRENGTHS)})(?:: (?P<reason>.*))?)"
        rf"|(?P<refuted> {RULED_OUT}(?:: (?P<because>.*))?)"
    )


@cache
def _kinds() -> Mapping[str, str]:
    """Every wording, bare, with and without a note, to what it tells of."""
    kinds: dict[str, str] = {}
    pools = [*EVENTS.items(), *THOUGHTS.items(), *((_REMARK, pool) for pool in ASIDES.values())]
    for kind, pool in pools:
        for wording, note in product(pool, (_NOTE, "")):
            bare = wording.replace("{m}", _NAME).replace("{t}", note).replace("{n}", _NUMBER)
            if kinds.setdefault(bare, kind) != kind:
                raise AssertionError(f"the wording {wording!r} tells of {kinds[bare]} and of {kind}")
    return kinds


@cache
def _wordings() -> re.Pattern[str]:
    """Matches one bare wording, the longest first."""
    return re.compile("|".join(re.escape(bare) for bare in sorted(_kinds(), key=len, reverse=True)))


def _foreign(line: str) -> RecoveryError:
    shown = line if len(line) <= _SHOWN else f"{line[:_SHOWN]}..."
    return RecoveryError(
        f"the line {shown!r} is none that the compiler writes: read back only compiled journeys"
    )
