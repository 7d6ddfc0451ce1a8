"""Checks whether a rewritten monologue still tells its journey.

The check sees the journey and the rewritten text, not the template's. It errs on one side: what it cannot find is
a fault, even if a reader would find it.

It looks for the journey's milestones in order, each behind the one before it, and takes for each the place that
ends earliest. This greedy choice loses no milestone: if there are places for all, the first can be moved to its
earliest place, which leaves the others all their room, and so on. Places depend on the text alone, so that none
serves two milestones.
"""

import re
import unicodedata
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from dataclasses import fields
from enum import StrEnum
from typing import Final, NamedTuple

from pydantic import BaseModel, ConfigDict

from ddxgraph.nodes.generate_differential import name_key
from ddxgraph.nodes.statement import stated
from ddxgraph.prompts.library import disarm
from ddxgraph.training.rewrite.cues import Sighting, phrases, sightings
from ddxgraph.training.rewrite.mentions import Namer, plain
from ddxgraph.training.styles.journey import (
    Checked,
    Concluded,
    Event,
    Journey,
    Named,
    Refuted,
    Revived,
    Thought,
    WentBack,
)
from ddxgraph.training.styles.quoting import Name, answer_line, joined, names_of

CHECK: Final = "2"
"""Version of the check. Any change to what it accepts raises it."""

_LEAST_SHARE, _MOST_SHARE, _CHARS_AN_EVENT, _SPARE_CHARS = 0.5, 2.0, 300, 500
_NUMBER: Final = re.compile(r"\d+(?:[.,]\d+)*(?!\d|(?:st|nd|rd|th)\b)")
_FREE_SCRIPTS: Final = frozenset({"LATIN", "GREEK"})
_LOOP: Final = re.compile(r"(?<!\S)((?:\S++ ){3,40}?)\1{4}")
_ANSWER_LINE: Final = re.compile(
    r"^[\s*_#>-]*(?:final )?answer[*_]*\s*[:\uff1a]", re.IGNORECASE | re.MULTILINE
)
_ANSWER_LETTER: Final = re.compile(r"\b[Aa]nswer(?: is|:) (?:option )?\(?([A-Z])\b(?![' ]\w)\)?")
_LAID_OUT: Final = re.compile(r"^\s*(?:#|[-*+\u2022] |\d+[.)] |```|\|)|</?think>", re.MULTILINE)
_OWN: Final = ("rationale", "because", "text", "reason")
"""Fields of events in the model's own words."""
_QUOTES: Final = ("quote", "finding")
_PLACES: Final[Mapping[str, str]] = {
    "review_history": "the history",
    "generate_differential": "the list of candidates",
    "check_evidence": "the evidence",
}


class FaultKind(StrEnum):
    """What a rewrite lacks, or has too much of; `missing` is not told, `out_of_order` told in another place."""

    NO_ANSWER = "no_answer"  # the last line is not `Answer:` with an answer
    OTHER_ANSWER = "other_answer"  # it states, or settles on, another answer
    EXTRA_ANSWER = "extra_answer"  # a line before the last states an answer
    HYPOTHESIS_MISSING = "hypothesis_missing"  # not named, or not as often as it is taken up
    HYPOTHESIS_OUT_OF_ORDER = "hypothesis_out_of_order"
    REFUTATION_MISSING = "refutation_missing"
    REFUTATION_NEGATED = (
        "refutation_negated"  # all places that could tell it are negated, hedged or questions
    )
    REFUTATION_OUT_OF_ORDER = "refutation_out_of_order"
    REFUTATION_INVENTED = "refutation_invented"  # of a hypothesis that the journey keeps
    BACKTRACK_MISSING = "backtrack_missing"  # not told, or not with its destination
    BACKTRACK_OUT_OF_ORDER = "backtrack_out_of_order"
    REOPENING_MISSING = "reopening_missing"  # of all hypotheses, after all were given up
    REOPENING_OUT_OF_ORDER = "reopening_out_of_order"
    WRONG_LETTER = "wrong_letter"  # an option stands with another option's letter
    NUMBER_INVENTED = "number_invented"  # a number that the journey does not hold
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    REPETITIVE = "repetitive"  # the same 3 to 40 words five times in a row: the model fell into a loop
    OTHER_SCRIPT = "other_script"  # letters of a script that the journey does not hold, Latin and Greek aside
    NOT_PROSE = "not_prose"  # headings, lists, code, a table, or tags
    SPEAKS_OF_ITSELF = "speaks_of_itself"  # it says that it is a rewrite, or addresses who asked for it
    UNCHANGED = "unchanged"  # it equals the template's text
    CUT_OFF = "cut_off"  # the reply hit its cap
    NO_ROOM = "no_room"  # the text does not fit the model's context window
    TEST_QUESTION = "test_question"  # it quotes a test question; the gate finds this (`Gated.quote_in`)


class Fault(BaseModel):
    """One reason to refuse a rewrite."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: FaultKind
    about: str = ""
    """The hypothesis, the backtrack's destination, the number, or the test question's id."""

    def __str__(self) -> str:
        kind = self.kind.replace("_", " ")
        return f"{kind}: {self.about}" if self.about else kind


class Milestone(NamedTuple):
    """An event that a rewrite must tell."""

    kind: str
    """`hypothesis`, `refutation`, `backtrack`, `reopening`; or `answer`, if only the last line need state it."""
    about: Name | str
    """The hypothesis, or the backtrack's destination."""
    point: str
    """The instruction to the model."""


def milestones(journey: Journey, options: Mapping[str, str]) -> Iterator[Milestone]:
    """What of a journey a rewrite must tell, in order."""
    for event in journey:
        match event:
            case Named(hypothesis=name):
                yield Milestone("hypothesis", name, f"Name {_called(name)} as a hypothesis.")
            case Checked(hypothesis=name):
                yield Milestone("hypothesis", name, f"Take up {_called(name)} and weigh the evidence.")
            case Refuted(hypothesis=name):
                yield Milestone("refutation", name, f"Rule out {_called(name)}.")
            case Revived():
                yield Milestone("reopening", "", "Open all hypotheses again.")
            case WentBack(to=to, targets=targets):
                about = f" for {joined(map(_called, targets))}" if targets else ""
                yield Milestone("backtrack", to, f"Go back to {_PLACES.get(to, to)}{about}.")
            case Concluded(answer=answer):
                name = next((name for name in names_of(options) if name.letter == answer), Name(answer))
                yield Milestone("hypothesis" if options else "answer", name, f"Settle on {_called(name)}.")
            case _:
                pass


def check_rewrite(journey: Journey, text: str, options: Mapping[str, str]) -> tuple[Fault, ...]:
    """Check whether a text tells a journey.

    It must tell, in the journey's order, every hypothesis as it is named and as it is taken up, every refutation
    with the hypothesis's name, every backtrack with its destination, every reopening, and the answer by its name;
    then the line that states the answer. Findings, their weights and thoughts are not looked for.

    Args:
        journey: from `journey_of`.
        text: the rewritten monologue, whole.
        options: the case's options; empty for a free-form case.

    Returns:
        The faults; empty if the text is accepted.
    """
    return tuple(_Check(journey, text, options).faults())


class _Check:
    def __init__(self, journey: Journey, text: str, options: Mapping[str, str]) -> None:
        self._journey, self._text, self._options = journey, text, options
        self._answer = next(event.answer for event in reversed(journey) if isinstance(event, Concluded))
        self._stated = stated(text, options)
        self._body = text[: text.rindex(self._stated.words)] if self._stated else text
        names = dict.fromkeys((*names_of(options), *(name for event in journey for name in _names(event))))
        self._namer = Namer([*names], {quote for event in journey for quote in _fields(event, _QUOTES)})
        self._marked = self._namer.marked(self._body)
        self._sightings = sightings(self._marked.text)
        self._told = [words for event in journey for words in _words(event)]

    def faults(self) -> Iterator[Fault]:
        yield from self._answers()
        end = yield from self._missing()
        yield from self._invented(end)
        yield from (Fault(kind=FaultKind.WRONG_LETTER, about=label) for label in self._marked.misnamed)
        known = _numbers(" ".join((*self._told, *self._options.values())))
        for number in sorted(_numbers(self._body) - known):
            yield Fault(kind=FaultKind.NUMBER_INVENTED, about=number)
        yield from self._manner()

    def _answers(self) -> Iterator[Fault]:
        wanted = stated(answer_line(self._answer), self._options)
        if self._stated is None:
            yield Fault(kind=FaultKind.NO_ANSWER)
        elif wanted is None or _key(self._stated.answer, self._options) != _key(wanted.answer, self._options):
            yield Fault(kind=FaultKind.OTHER_ANSWER, about=self._stated.answer)
        if _ANSWER_LINE.search(self._body):
            yield Fault(kind=FaultKind.EXTRA_ANSWER)

    def _missing(self) -> Generator[Fault, None, int]:
        """Faults of the milestones; returns where the last one that was found ends."""
        end = 0
        for kind, about, _ in milestones(self._journey, self._options):
            if kind == "answer":
                continue
            key, label = (self._namer.sign(about), about.label) if isinstance(about, Name) else (about, about)
            places = self._sightings[kind, key]
            asserted = [place for place in places if place.asserted]
            ends = [place.end for place in asserted if place.start >= end]
            if ends:
                end = min(ends)
                continue
            lack = "out_of_order" if asserted else "negated" if kind == "refutation" and places else "missing"
            yield Fault(kind=FaultKind(f"{kind}_{lack}"), about=label)
        return end

    def _invented(self, end: int) -> Iterator[Fault]:
        """Hypotheses given up, or settled on in the end, where neither journey nor the model's words do so."""
        own, closing = "", ""
        given_up = {event.hypothesis for event in self._journey if isinstance(event, Refuted)}
        about: Sequence[Name] = ()
        for event in self._journey:
            about = _names(event)[-1:] or about
            for words in _fields(event, _OWN):
                own = f"{own} {words}"
                if any(phrases("given_up", plain(words))):
                    given_up |= {*about, *self._namer.mentioned(words)}
            if isinstance(event, Thought) and event.stop in {"conclude", "reflect"}:
                closing = f"{closing}\n\n{event.text}"
        for name in self._about("refutation", lambda place: place.asserted):
            if name not in given_up:
                yield Fault(kind=FaultKind.REFUTATION_INVENTED, about=name.label)
        considered = self._namer.mentioned(closing)
        for name in self._about("choice", lambda place: place.start >= end):
            if self._options and name.letter != self._answer and name not in considered:
                yield Fault(kind=FaultKind.OTHER_ANSWER, about=name.label)
        letters = set(_ANSWER_LETTER.findall(self._body)) - set(_ANSWER_LETTER.findall(own)) - {self._answer}
        for letter in sorted(letters & self._options.keys()):
            yield Fault(kind=FaultKind.OTHER_ANSWER, about=letter)

    def _about(self, kind: str, holds: Callable[[Sighting], bool]) -> list[Name]:
        """Hypotheses of which a sighting of some kind holds."""
        signs = [
            sign for (of, sign), places in self._sightings.items() if of == kind and any(map(holds, places))
        ]
        return [self._namer.name(sign) for sign in signs]

    def _manner(self) -> Iterator[Fault]:
        """Length, loops, scripts, layout, and talk of itself."""
        size, told, all_told = len(self._text.strip()), sum(map(len, self._told)), " ".join(self._told)
        if size < _LEAST_SHARE * told:
            yield Fault(kind=FaultKind.TOO_SHORT)
        if size > _MOST_SHARE * told + _CHARS_AN_EVENT * len(self._journey) + _SPARE_CHARS:
            yield Fault(kind=FaultKind.TOO_LONG)
        own, flat = plain(all_told), f"{' '.join(plain(self._body).split())} "
        if any(loop[1].strip() not in own for loop in _LOOP.finditer(flat)):
            yield Fault(kind=FaultKind.REPETITIVE)
        for script in sorted(_scripts(self._body) - _scripts(all_told) - _FREE_SCRIPTS):
            yield Fault(kind=FaultKind.OTHER_SCRIPT, about=script.lower())
        if _LAID_OUT.search(self._text) or disarm(self._text) != self._text:
            yield Fault(kind=FaultKind.NOT_PROSE)
        talk = (match.group() not in own for match in phrases("of_itself", flat))
        if any(talk) or any(phrases("obliging", flat)):
            yield Fault(kind=FaultKind.SPEAKS_OF_ITSELF)


def _called(name: Name) -> str:
    return f"{name.label} ({name.letter})" if name.letter else name.label


def _names(event: Event) -> Sequence[Name]:
    if isinstance(event, WentBack):
        return event.targets
    return (event.hypothesis,) if isinstance(event, Named | Checked | Refuted) else ()


def _fields(event: Event, names: Collection[str]) -> list[str]:
    return [str(getattr(event, field.name)) for field in fields(event) if field.name in names]


def _words(event: Event) -> list[str]:
    """All that an event holds in words."""
    return [*(name.label for name in _names(event)), *_fields(event, (*_OWN, *_QUOTES, "percent", "answer"))]


def _key(answer: str, options: Mapping[str, str]) -> str:
    """What makes two answers the same: the letter; in a free-form case the words, if they hold any."""
    return answer if options else name_key(answer) or answer


def _numbers(text: str) -> set[str]:
    """Numbers written in digits, without their thousands separators."""
    return {number.replace(",", "") for number in _NUMBER.findall(unicodedata.normalize("NFKC", text))}


def _scripts(text: str) -> set[str]:
    """Scripts of a text's letters, by the first word of the letters' names."""
    letters = {letter for letter in unicodedata.normalize("NFKC", text) if letter.isalpha()}
    return {unicodedata.name(letter, "NONE").split()[0] for letter in letters}
