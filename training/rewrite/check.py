"""Whether a rewritten monologue still tells its journey: typed faults, and none where it does.

The check knows nothing of the text that was rewritten, only the journey and the words that it finds. It is made
to err on one side: what it cannot find is a fault, even where a reader would find it.

The journey's events are looked for in their order, each behind the one before it. Each takes the first place that
will do and ends earliest. That is enough: where a place can be found for all of them, the first one's can be
exchanged for its earliest, which leaves the others all the room they had, and so on with the next. Places depend
on the text alone, never on what was taken before. So the greedy choice loses no event, and no place serves two.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from functools import cached_property
from typing import Final, NamedTuple

from pydantic import BaseModel, ConfigDict

from ddxgraph.nodes.generate_differential import name_key
from ddxgraph.nodes.statement import Statement, stated
from ddxgraph.prompts.library import disarm
from ddxgraph.training.rewrite.cues import (
    Sighting,
    backtracks,
    choices,
    gives_up,
    refutations,
    reopenings,
    sentences_of,
)
from ddxgraph.training.rewrite.mentions import Marked, Namer, plain
from ddxgraph.training.styles.journey import (
    Checked,
    Concluded,
    Event,
    Journey,
    Missing,
    Named,
    Noted,
    Refuted,
    Revived,
    Thought,
    Weighed,
    WentBack,
)
from ddxgraph.training.styles.quoting import Name, names_of
from ddxgraph.training.styles.voice import answer_line

CHECK: Final = "1"
"""Version of the check. Any change to what it accepts raises it."""

_LEAST_SHARE, _MOST_SHARE = 0.5, 2.0
_CHARS_AN_EVENT, _SPARE_CHARS = 300, 500
_LOOP_WORDS, _LOOP_TIMES = range(3, 41), 5
"""So many words, so many times over, are a loop that a model fell into."""
_NUMBER: Final = re.compile(r"\d+(?:[.,]\d+)*(?!\d|(?:st|nd|rd|th)\b)")
_FREE_SCRIPTS: Final = frozenset({"LATIN", "GREEK"})
_ANSWER_LINE: Final = re.compile(
    r"^[\s*_#>-]*(?:final )?answer[*_]*\s*[:\uff1a]", re.IGNORECASE | re.MULTILINE
)
_ANSWER_LETTER: Final = re.compile(r"\b[Aa]nswer(?: is|:) (?:option )?\(?([A-Z])\b(?![' ]\w)\)?")
_LAID_OUT: Final = re.compile(r"^\s*(?:#|[-*+\u2022] |\d+[.)] |```|\|)|</?think>", re.MULTILINE)
_OF_ITSELF: Final = re.compile(
    r"\b(?:re-?writ(?:e|ten|ing)|re-?phras\w+|paraphras\w+|re-?word\w*|as an ai\b|language model|hope this helps"
    r"|original (?:text|monologue|version)|(?:text|monologue|version) (?:above|below)"
    r"|here(?:'s| is) (?:the|my|a|your) (?:monologue|text|version|revised|new|natural))"
)
_OBLIGES: Final = re.compile(r"\W*(?:sure|certainly|absolutely|of course|here you (?:go|are))\b")


class FaultKind(StrEnum):
    """What a rewriting lacks, or has too much of."""

    NO_ANSWER = "no_answer"
    """The last line is not `Answer:` with an answer."""
    OTHER_ANSWER = "other_answer"
    """It states, or settles on, another answer."""
    EXTRA_ANSWER = "extra_answer"
    """A line before the last states an answer."""
    HYPOTHESIS_MISSING = "hypothesis_missing"
    """A hypothesis is not named, or not as often as it is taken up."""
    HYPOTHESIS_OUT_OF_ORDER = "hypothesis_out_of_order"
    REFUTATION_MISSING = "refutation_missing"
    """A hypothesis that is given up is not said to be."""
    REFUTATION_NEGATED = "refutation_negated"
    """The only places that could say so are negated, hedged or questions."""
    REFUTATION_OUT_OF_ORDER = "refutation_out_of_order"
    REFUTATION_INVENTED = "refutation_invented"
    """A hypothesis is given up that the journey keeps."""
    BACKTRACK_MISSING = "backtrack_missing"
    """A move back is not told, or not where it goes to."""
    BACKTRACK_OUT_OF_ORDER = "backtrack_out_of_order"
    REOPENING_MISSING = "reopening_missing"
    """All hypotheses had been given up and stand again: that is not told."""
    REOPENING_OUT_OF_ORDER = "reopening_out_of_order"
    WRONG_LETTER = "wrong_letter"
    """An option stands with another option's letter."""
    NUMBER_INVENTED = "number_invented"
    """A number that the journey does not hold."""
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    REPETITIVE = "repetitive"
    """The same words five times in a row."""
    OTHER_SCRIPT = "other_script"
    """Letters of a script that the journey does not hold, Latin and Greek aside."""
    NOT_PROSE = "not_prose"
    """Headings, lists, code, a table, or tags."""
    SPEAKS_OF_ITSELF = "speaks_of_itself"
    """It says that it is a rewriting, or talks to whoever asked for it."""
    UNCHANGED = "unchanged"
    """It is the text that was to be rewritten."""
    CUT_OFF = "cut_off"
    """The reply met its cap."""
    NO_ROOM = "no_room"
    """The text does not fit the model's context window."""
    TEST_QUESTION = "test_question"
    """It quotes a question of a test set. This check cannot know it; the gate's rule is asked
    (`Gated.quote_in`)."""


class Fault(BaseModel):
    """One reason for which a rewriting is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: FaultKind
    about: str = ""
    """The hypothesis, the place of a move back, the number, the test question's id."""


def check_rewrite(journey: Journey, text: str, options: Mapping[str, str]) -> tuple[Fault, ...]:
    """What keeps a text from telling a journey.

    Looked for are, in the order of the journey: every hypothesis as it is named and as it is taken up, every
    refutation with the hypothesis's name, every move back with where it goes, every reopening, and the answer by
    its name; then the line that states the answer. Not looked for are findings, how they are weighed, and
    thoughts.

    Args:
        journey: from `journey.journey_of`.
        text: the rewritten monologue, whole.
        options: the case's options; empty for a free-form case.

    Returns:
        The faults; none where the text is accepted.
    """
    return tuple(_Check(journey, text, options).faults())


class _Wanted(NamedTuple):
    """An event, and the places that could tell it."""

    kind: str
    about: str
    places: list[Sighting]


class _Check:
    def __init__(self, journey: Journey, text: str, options: Mapping[str, str]) -> None:
        self._journey, self._text, self._options = journey, text, options
        self._answer = next((event.answer for event in reversed(journey) if isinstance(event, Concluded)), "")
        self._said = stated(text, options)
        self._body = _body(text, self._said)
        self._names = _names(journey, options)
        self._namer = Namer(self._names, _quotes(journey))
        self._marked: Marked = self._namer.marked(self._body)
        self._sentences = sentences_of(self._marked.text)
        self._refutations: dict[Name, list[Sighting]] = {}
        for sign, sighting in refutations(self._marked.text, self._sentences):
            self._refutations.setdefault(self._namer.name(sign), []).append(sighting)
        self._backtracks = list(backtracks(self._marked.text, self._sentences))
        self._reopenings = [one for one in reopenings(self._marked.text, self._sentences) if one.asserted]

    def faults(self) -> Iterator[Fault]:
        yield from self._answers()
        events, end = self._events()
        yield from events
        yield from self._invented(end)
        for label in dict.fromkeys(self._marked.misnamed):
            yield Fault(kind=FaultKind.WRONG_LETTER, about=label)
        yield from self._numbers()
        yield from self._manner()

    def _answers(self) -> Iterator[Fault]:
        if self._said is None:
            yield Fault(kind=FaultKind.NO_ANSWER)
        elif not self._is_answer(self._said):
            yield Fault(kind=FaultKind.OTHER_ANSWER, about=self._said.answer)
        if _ANSWER_LINE.search(self._body):
            yield Fault(kind=FaultKind.EXTRA_ANSWER)

    def _is_answer(self, said: Statement) -> bool:
        wanted = stated(answer_line(self._answer), self._options)
        if wanted is None or self._options:
            return wanted is not None and said.answer == wanted.answer
        key = name_key(wanted.answer)
        return said.answer == wanted.answer or (bool(key) and name_key(said.answer) == key)

    def _events(self) -> tuple[list[Fault], int]:
        """Faults of the events, and where the last one that was found ends."""
        faults, end = [], 0
        for event in self._journey:
            wanted = self._wanted(event)
            if wanted is None:
                continue
            found = min(
                (one for one in wanted.places if one.asserted and one.start >= end), key=_end, default=None
            )
            if found:
                end = found.end
            else:
                faults.append(Fault(kind=_lack(wanted), about=wanted.about))
        return faults, end

    def _wanted(self, event: Event) -> _Wanted | None:
        match event:
            case Named(hypothesis=name) | Checked(hypothesis=name):
                return _Wanted("hypothesis", name.label, self._named(name))
            case Refuted(hypothesis=name):
                return _Wanted("refutation", name.label, self._refutations.get(name, []))
            case WentBack(to=to):
                return _Wanted("backtrack", to, [one for place, one in self._backtracks if place == to])
            case Revived():
                return _Wanted("reopening", "", self._reopenings)
            case Concluded(answer=answer):
                own = next((one for one in names_of(self._options) if one.letter == answer), None)
                return _Wanted("hypothesis", own.label, self._named(own)) if own else None
            case _:
                return None

    def _named(self, name: Name) -> list[Sighting]:
        return [Sighting(place, place + 1, True) for place in self._marked.of(name)]

    def _invented(self, end: int) -> Iterator[Fault]:
        """Hypotheses given up, or settled on in the end, where neither journey nor the model's words do so."""
        refuted = {event.hypothesis for event in self._journey if isinstance(event, Refuted)}
        for name, sightings in self._refutations.items():
            if name not in refuted and name not in self._doubted and any(one.asserted for one in sightings):
                yield Fault(kind=FaultKind.REFUTATION_INVENTED, about=name.label)
        for sign, place in choices(self._marked.text):
            name = self._namer.name(sign)
            if place >= end and name.letter != self._answer and self._options and name not in self._spoken_of:
                yield Fault(kind=FaultKind.OTHER_ANSWER, about=name.label)
        own = " ".join(words for words, _ in self._own)
        letters = set(_ANSWER_LETTER.findall(self._body)) - set(_ANSWER_LETTER.findall(own)) - {self._answer}
        for letter in sorted(letters & self._options.keys()):
            yield Fault(kind=FaultKind.OTHER_ANSWER, about=letter)

    @cached_property
    def _own(self) -> list[tuple[str, Name | None]]:
        """The model's own words in the journey, each with the hypothesis that was last spoken of."""
        return list(_own_words(self._journey))

    @cached_property
    def _doubted(self) -> set[Name]:
        """Hypotheses that the model's words may give up without the graph having done so."""
        found: set[Name] = set()
        for words, about in self._own:
            if gives_up(plain(words)):
                found |= {mention.name for mention in self._namer.marked(words).mentions}
                found |= {about} if about else set()
        return found

    @cached_property
    def _spoken_of(self) -> set[Name]:
        """Hypotheses that the final thought speaks of: what it says of them is the model's."""
        last = [
            event.text
            for event in self._journey
            if isinstance(event, Thought) and event.stop in {"conclude", "reflect"}
        ]
        return {mention.name for text in last for mention in self._namer.marked(text).mentions}

    def _numbers(self) -> Iterator[Fault]:
        told = [text for event in self._journey for text in _strings(event)]
        known = _numbers(" ".join((*told, *self._options.values())))
        for number in sorted(_numbers(self._body) - known):
            yield Fault(kind=FaultKind.NUMBER_INVENTED, about=number)

    def _manner(self) -> Iterator[Fault]:
        """Length, loops, scripts, layout, and talk of itself."""
        told = [text for event in self._journey for text in _strings(event)]
        size, all_told = len(self._text.strip()), " ".join(told)
        least = _LEAST_SHARE * sum(map(len, told))
        most = _MOST_SHARE * sum(map(len, told)) + _CHARS_AN_EVENT * len(self._journey) + _SPARE_CHARS
        if size < least:
            yield Fault(kind=FaultKind.TOO_SHORT)
        if size > most:
            yield Fault(kind=FaultKind.TOO_LONG)
        own = plain(all_told)
        flat = " ".join(plain(self._body).split()) + " "
        if any(loop not in own for loop in _loops(flat.split())):
            yield Fault(kind=FaultKind.REPETITIVE)
        for script in sorted(_scripts(self._body) - _scripts(all_told) - _FREE_SCRIPTS):
            yield Fault(kind=FaultKind.OTHER_SCRIPT, about=script.lower())
        if _LAID_OUT.search(self._text) or disarm(self._text) != self._text:
            yield Fault(kind=FaultKind.NOT_PROSE)
        of_itself = (found.group() not in own for found in _OF_ITSELF.finditer(flat))
        if any(of_itself) or _OBLIGES.match(flat):
            yield Fault(kind=FaultKind.SPEAKS_OF_ITSELF)


def _lack(wanted: _Wanted) -> FaultKind:
    if any(one.asserted for one in wanted.places):
        return FaultKind(f"{wanted.kind}_out_of_order")
    if wanted.kind == "refutation" and wanted.places:
        return FaultKind.REFUTATION_NEGATED
    return FaultKind(f"{wanted.kind}_missing")


def _end(sighting: Sighting) -> int:
    return sighting.end


def _body(text: str, said: Statement | None) -> str:
    """A text without the line that states its answer."""
    return text[: text.rindex(said.words)] if said else text


def _names(journey: Journey, options: Mapping[str, str]) -> list[Name]:
    """Every hypothesis of a case, once."""
    told = [name for event in journey for name in _names_in(event)]
    return list(dict.fromkeys((*names_of(options), *told)))


def _names_in(event: Event) -> tuple[Name, ...]:
    match event:
        case Named(hypothesis=name) | Checked(hypothesis=name) | Refuted(hypothesis=name):
            return (name,)
        case WentBack(targets=targets):
            return targets
        case _:
            return ()


def _quotes(journey: Journey) -> set[str]:
    noted = {event.quote for event in journey if isinstance(event, Noted)}
    return noted | {event.finding for event in journey if isinstance(event, Weighed)}


def _own_words(journey: Journey) -> Iterator[tuple[str, Name | None]]:
    about: Name | None = None
    for event in journey:
        about = next(reversed(_names_in(event)), about)
        match event:
            case (
                Named(rationale=words)
                | Refuted(because=words)
                | Thought(text=words)
                | Weighed(reason=words)
                | Missing(text=words)
            ):
                yield words, about
            case _:
                pass


def _strings(event: Event) -> Iterator[str]:
    """All that an event holds in words."""
    match event:
        case Named(hypothesis=name, percent=percent, rationale=words):
            yield from (name.label, str(percent), words)
        case Refuted(hypothesis=name, because=words):
            yield from (name.label, words)
        case Checked(hypothesis=name):
            yield name.label
        case WentBack(targets=targets):
            yield from (name.label for name in targets)
        case Weighed(finding=quote, reason=words):
            yield from (quote, words)
        case Noted(quote=words) | Thought(text=words) | Missing(text=words) | Concluded(answer=words):
            yield words
        case _:
            pass


def _numbers(text: str) -> set[str]:
    """Numbers written in digits, without their thousands separators."""
    return {found.replace(",", "") for found in _NUMBER.findall(unicodedata.normalize("NFKC", text))}


def _scripts(text: str) -> set[str]:
    """Scripts of a text's letters, by the first word of the letters' names."""
    letters: Iterable[str] = {c for c in unicodedata.normalize("NFKC", text) if c.isalpha()}
    return {unicodedata.name(c, "NONE").split()[0] for c in letters}


def _loops(words: list[str]) -> Iterator[str]:
    """What stands many times in a row, once for each length."""
    for size in _LOOP_WORDS:
        same = 0
        for place, (word, later) in enumerate(zip(words, words[size:], strict=False), 1):
            same = same + 1 if word == later else 0
            if same == size * (_LOOP_TIMES - 1):
                yield " ".join(words[place - size : place])
                break
