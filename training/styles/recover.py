"""Reads a compiled text back: the journey that a `longstep` or a `longmonolog` tells.

A sentence is recognised as a whole, by the wordings of `phrases`, once its names, findings and notes are taken
out. Nothing that a model wrote is searched for sentences: it stands in its own place (`quoting`).
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import product
from typing import Any, Final, NamedTuple, cast

from ddxgraph.common.errors import BadInput, CompileError
from ddxgraph.nodes.call.statement import stated
from ddxgraph.nodes.check_evidence import CHECK_EVIDENCE, Strength
from ddxgraph.nodes.generate_differential import GENERATE_DIFFERENTIAL
from ddxgraph.nodes.registry import STOPS
from ddxgraph.training.styles import events
from ddxgraph.training.styles.journey import ParsedTrace
from ddxgraph.training.styles.longstep import (
    EVIDENCE_TITLES,
    KINDS,
    POLARITIES,
    RULED_OUT,
    SALIENCES,
    SETTLE,
    STRENGTHS,
    tells_nothing,
)
from ddxgraph.training.styles.phrases import ASIDES, EVENTS, Pool, lead_ins, our_words
from ddxgraph.training.styles.quoting import Mentions, Name, finding_of

_NAME, _NOTE, _NUMBER = "\x01", "\x02", "\x03"
_REMARK: Final = "remark"
_MORE_THAN_A_PHRASE: Final = re.compile(r"[.:;!?,]\s")
_SHOWN: Final = 80
"""Characters of a line that an error shows."""


class RecoveryError(BadInput):
    """A text is not a compiled journey of its case."""


class _Slots(NamedTuple):
    """What a sentence's slots hold."""

    mentions: tuple[str, ...]
    note: str
    percent: int


def recover(text: str, options: Mapping[str, str]) -> events.Journey:
    """The journey that a text tells.

    Args:
        text: a `longstep` or `longmonolog` text that `compile_journey` gave.
        options: the case's options; empty for a free-form case.

    Returns:
        The events in order, equal to those of `ParsedTrace.journey`. A finding's kind and salience, which do
        not count for equality, are there for `longstep` alone.

    Raises:
        RecoveryError: a line is none that the compiler writes, or no answer is stated.
    """
    statement = stated(text, options)
    if statement is None:
        raise RecoveryError(
            "the text states no answer in its last line: compile it again, it may have been cut"
        )
    lines = text.rstrip().split("\n")[:-1]
    reader = _Reader(options)
    told = [event for line in lines if line for event in reader.line(line)]
    return (*told, events.Concluded(statement.answer))


def recoverable(text: str, parsed: ParsedTrace) -> str:
    """A compiled text, once it is seen to tell the journey of a traversal and no other.

    An option that holds more than a phrase may hold the end of one of our sentences and the start of another;
    only the texts of such cases are read back.

    Raises:
        CompileError: the text cannot be read back.
    """
    if any(_MORE_THAN_A_PHRASE.search(option) for option in parsed.options.values()):
        try:
            journey = recover(text, parsed.options)
        except RecoveryError:
            journey = ()
        if journey != parsed.journey:
            raise CompileError(
                f"an option of trace {parsed.trace.id} is worded like a sentence of ours, and would not be found "
                "again in the text: leave it out"
            )
    return text


class _Reader:
    """Reads line by line, and learns the names that are introduced."""

    def __init__(self, options: Mapping[str, str]) -> None:
        self._mentions = Mentions(options, our_words())

    def line(self, line: str) -> Iterator[events.Event]:
        if line.startswith("## "):
            yield from self._title(line)
        elif line.startswith("- "):
            yield self._item(line)
        elif line.startswith(SETTLE):
            yield events.Missing(line[len(SETTLE) :])
        else:
            yield from self._sentences(line)

    def _title(self, line: str) -> Iterator[events.Event]:
        title = line[3:]
        if tells_nothing(title):
            return
        for begins in EVIDENCE_TITLES:
            if title.startswith(begins):
                yield events.Checked(self._mentions.name(title[len(begins) :]))
                return
        raise _foreign(line)

    def _item(self, line: str) -> events.Event:
        subject = self._mentions.pattern.match(line, 2)
        rest = _items().fullmatch(line, subject.end()) if subject else None
        if subject is None or rest is None:
            raise _foreign(line)
        mention = subject.group()
        match rest.lastgroup:
            case "noted":
                return _noted(mention, rest)
            case "named":
                return self._named(mention, int(rest["percent"]), rest["why"] or "")
            case "weighed":
                return events.Weighed(
                    finding_of(mention), _STRENGTH_OF[rest["strength"]], rest["reason"] or ""
                )
            case _:
                return events.Refuted(self._mentions.name(mention), rest["because"] or "")

    def _sentences(self, line: str) -> Iterator[events.Event]:
        bare = _Bare(line, self._mentions)
        place = 0
        while place < len(bare.text):
            sentence = _wordings(_leads()).match(bare.text, place)
            if sentence is None:
                raise _foreign(line)
            kind = _kinds(_leads())[sentence.group()]
            if kind in STOPS:
                yield events.Thought(kind, line[bare.whence(sentence.end()) + 1 :])
                return
            if kind != _REMARK:
                yield from self._events(kind, bare.slots(sentence))
            place = sentence.end() + 1

    def _events(self, whole_kind: str, slots: _Slots) -> Iterator[events.Event]:
        """The events of a sentence."""
        kind, _, about = whole_kind.partition(":")
        match kind:
            case "asked":
                yield events.Asked(cast(Any, about))
            case "noted":
                for mention in slots.mentions:
                    yield events.Noted(finding_of(mention), cast(Any, about))
            case "named":
                yield self._named(slots.mentions[0], slots.percent, slots.note)
            case "revived":
                yield events.Revived()
            case "weighed":
                yield events.Weighed(finding_of(slots.mentions[0]), cast(Strength, int(about)), slots.note)
            case "missing":
                yield events.Missing(slots.note)
            case "halted":
                yield events.Halted(cast(Any, about))
            case _:
                yield self._of_hypotheses(kind, about, slots)

    def _of_hypotheses(self, kind: str, about: str, slots: _Slots) -> events.Event:
        """What happens to hypotheses that have been named."""
        names = tuple(map(self._mentions.name, slots.mentions))
        match kind:
            case "refuted":
                return events.Refuted(names[0], slots.note)
            case "back":
                return _went_back(about, names)
            case _:
                return events.Checked(names[0])

    def _named(self, mention: str, percent: int, why: str) -> events.Named:
        name = self._mentions.name(mention)
        self._mentions.learn(name)
        return events.Named(name, percent, why)


class _Bare:
    """A line with one sign for each list of names, each note and each number."""

    def __init__(self, line: str, mentions: Mentions) -> None:
        self._name = mentions.pattern
        name = self._name.pattern
        slot = re.compile(
            rf"(?P<mention>(?:{name})(?:, (?:{name}))*(?: and (?:{name}))?)"
            "| \u2014 (?P<note>[^\u2014]*) \u2014"
            r"|\b(?P<number>\d{1,2})(?= percent\b)"
        )
        parts: list[str] = []
        self._slots: list[tuple[int, re.Match[str]]] = []
        length = done = 0
        for filled in slot.finditer(line):
            sign = {"mention": _NAME, "note": _NOTE}.get(filled.lastgroup or "", _NUMBER)
            parts += [line[done : filled.start()], sign]
            length += filled.start() - done
            self._slots.append((length, filled))
            length += 1
            done = filled.end()
        parts.append(line[done:])
        self.text = "".join(parts)

    def whence(self, place: int) -> int:
        """A place of the bare text in the line itself."""
        before = [(at, filled) for at, filled in self._slots if at < place]
        return place if not before else before[-1][1].end() + place - before[-1][0] - 1

    def slots(self, sentence: re.Match[str]) -> _Slots:
        """What the slots of a sentence hold."""
        within = [filled for at, filled in self._slots if sentence.start() <= at < sentence.end()]
        by_kind = {filled.lastgroup: filled for filled in within}
        mention, note, number = by_kind.get("mention"), by_kind.get("note"), by_kind.get("number")
        return _Slots(
            tuple(self._name.findall(mention.group())) if mention else (),
            note["note"] if note else "",
            int(number["number"]) if number else 0,
        )


def _went_back(about: str, names: tuple[Name, ...]) -> events.WentBack:
    to = {
        "all_refuted": GENERATE_DIFFERENTIAL.name,
        "nothing_to_recheck": GENERATE_DIFFERENTIAL.name,
        "too_close": CHECK_EVIDENCE.name,
        "all_evidence": CHECK_EVIDENCE.name,
    }
    ruled = about in {"all_refuted", "nothing_to_recheck", "too_close"}
    return events.WentBack(to.get(about, about), names, cast(events.Why, about) if ruled else "doubt")


_STRENGTH_OF: Final[Mapping[str, Strength]] = {words: cast(Strength, s) for s, words in STRENGTHS.items()}
_KIND_OF: Final = {words: kind for kind, words in KINDS.items()}
_SALIENCE_OF: Final = {words: salience for salience, words in SALIENCES.items()}


def _noted(mention: str, about: re.Match[str]) -> events.Noted:
    kind, salience = about["kind"], about["salience"]
    return events.Noted(
        finding_of(mention),
        cast(Any, about["polarity"]),
        cast(Any, _KIND_OF[kind] if kind else None),
        cast(Any, _SALIENCE_OF[salience] if salience else None),
    )


@cache
def _items() -> re.Pattern[str]:
    """Matches what follows a mention in an item of a list."""

    def one_of(words: Mapping[Any, str]) -> str:
        return "|".join(re.escape(word) for word in words.values())

    return re.compile(
        rf"(?P<noted> \((?:(?P<kind>{one_of(KINDS)}), )?(?P<polarity>{one_of(POLARITIES)})"
        rf"(?:; (?P<salience>{one_of(SALIENCES)}))?\))"
        r"|(?P<named>, about (?P<percent>\d{1,2}) percent(?:: (?P<why>.*))?)"
        rf"|(?P<weighed> (?P<strength>{one_of(STRENGTHS)})(?:: (?P<reason>.*))?)"
        rf"|(?P<refuted> {RULED_OUT}(?:: (?P<because>.*))?)"
    )


_Leads = tuple[tuple[str, Pool], ...]


def _leads() -> _Leads:
    return tuple(lead_ins().items())


@cache
def _kinds(leads: _Leads) -> Mapping[str, str]:
    """Every wording, bare, with and without a note, to what it tells."""
    kinds: dict[str, str] = {}
    pools = [*EVENTS.items(), *leads, *((_REMARK, pool) for pool in ASIDES.values())]
    for kind, pool in pools:
        for wording, note in product(pool, (_NOTE, "")):
            bare = wording.replace("{m}", _NAME).replace("{t}", note).replace("{n}", _NUMBER)
            if kinds.setdefault(bare, kind) != kind:
                raise AssertionError(f"the wording {wording!r} tells {kinds[bare]} and {kind}")
    return kinds


@cache
def _wordings(leads: _Leads) -> re.Pattern[str]:
    """Matches one bare wording, the longest first."""
    return re.compile("|".join(re.escape(bare) for bare in sorted(_kinds(leads), key=len, reverse=True)))


def _foreign(line: str) -> RecoveryError:
    shown = line if len(line) <= _SHOWN else f"{line[:_SHOWN]}..."
    return RecoveryError(
        f"the compiler does not write lines such as {shown!r}: read back only compiled journeys"
    )
