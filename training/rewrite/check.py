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
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from enum import StrEnum
from typing import Final, NamedTuple

from pydantic import BaseModel, ConfigDict

from ddxgraph.nodes.call.statement import Statement, stated
from ddxgraph.nodes.generate_differential import name_key
from ddxgraph.prompts.library import disarm
from ddxgraph.training.rewrite.cues import Key, Sighting, phrases, sightings
from ddxgraph.training.rewrite.mentions import Namer, plain
from ddxgraph.training.styles.events import (
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
_LOOP: Final = re.compile(r"(?<!\S)((?:\S++ ){3,40}?)\1{4}")
_ANSWER_LINE: Final = re.compile(
    r"^[\s*_#>-]*(?:final )?answer[*_]*\s*[:\uff1a]", re.IGNORECASE | re.MULTILINE
)
_ANSWER_LETTER: Final = re.compile(r"\b[Aa]nswer(?: is|:) (?:option )?\(?([A-Z])\b(?![' ]\w)\)?")
_LAID_OUT: Final = re.compile(r"^\s*(?:#|[-*+\u2022] |\d+[.)] |```|\|)|</?think>", re.MULTILINE)
_OWN: Final = ("rationale", "because", "text", "reason")
"""Fields of events in the model's own words."""
_QUOTES: Final = ("quote", "finding")
_CLOSING: Final = ("conclude", "reflect")
"""Stops where a thought may settle on another hypothesis."""
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
    REFUTATION_NEGATED = "refutation_negated"  # told only in negations, hedges or questions
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
    answer = next(event.answer for event in reversed(journey) if isinstance(event, Concluded))
    line, wanted = stated(text, options), stated(answer_line(answer), options)
    body = text[: text.rindex(line.words)] if line else text
    names = [*dict.fromkeys((*names_of(options), *(name for event in journey for name in _names(event))))]
    namer = Namer(names, {quote for event in journey for quote in _fields(event, _QUOTES)})
    marked = namer.marked(body)
    told = sightings(marked.text)
    missing, end = _missing(milestones(journey, options), namer, told)

    given_up = {event.hypothesis for event in journey if isinstance(event, Refuted)}
    own = [*_own_words(journey)]
    for words, about in own:  # the model's words may give up what the graph keeps
        if any(phrases("given_up", plain(words))):
            given_up |= {*about, *namer.mentioned(words)}
    closing = (event.text for event in journey if isinstance(event, Thought) and event.stop in _CLOSING)
    considered = {name for name in names if name.letter == answer} | namer.mentioned("\n\n".join(closing))
    dropped = [
        name for name in names if any(place.asserted for place in told["refutation", namer.sign(name)])
    ]
    chosen = [name for name in names if any(place.start >= end for place in told["choice", namer.sign(name)])]
    letters = _letters(body) - _letters(" ".join(words for words, _ in own)) - {answer}

    held = [words for event in journey for words in _words(event)]
    size, length, known = len(text.strip()), sum(map(len, held)), plain(" ".join(held))
    flat = f"{' '.join(plain(body).split())} "
    faults: dict[FaultKind, Iterable[str]] = {
        FaultKind.NO_ANSWER: _once(line is None),
        FaultKind.OTHER_ANSWER: [
            *([line.answer] if line and _key(line, options) != _key(wanted, options) else ()),
            *(name.label for name in chosen if options and name not in considered),
            *sorted(letters & options.keys()),
        ],
        FaultKind.EXTRA_ANSWER: _once(_ANSWER_LINE.search(body)),
        FaultKind.REFUTATION_INVENTED: [name.label for name in dropped if name not in given_up],
        FaultKind.WRONG_LETTER: marked.misnamed,
        FaultKind.NUMBER_INVENTED: sorted(_numbers(body) - _numbers(" ".join((*held, *options.values())))),
        FaultKind.TOO_SHORT: _once(size < _LEAST_SHARE * length),
        FaultKind.TOO_LONG: _once(
            size > _MOST_SHARE * length + _CHARS_AN_EVENT * len(journey) + _SPARE_CHARS
        ),
        FaultKind.REPETITIVE: _once(any(loop[1].strip() not in known for loop in _LOOP.finditer(flat))),
        FaultKind.OTHER_SCRIPT: sorted(_scripts(body) - _scripts(" ".join(held)) - {"latin", "greek"}),
        FaultKind.NOT_PROSE: _once(_LAID_OUT.search(text) or disarm(text) != text),
        FaultKind.SPEAKS_OF_ITSELF: _once(
            any(phrases("obliging", flat)) or any(talk[0] not in known for talk in phrases("of_itself", flat))
        ),
    }
    return (*missing, *(Fault(kind=kind, about=about) for kind, abouts in faults.items() for about in abouts))


def _missing(
    expected: Iterable[Milestone], namer: Namer, told: Mapping[Key, Sequence[Sighting]]
) -> tuple[list[Fault], int]:
    """Faults of the milestones, and where the last one that was found ends."""
    faults, end = [], 0
    for kind, about, _ in expected:
        if kind == "answer":
            continue
        key, label = (namer.sign(about), about.label) if isinstance(about, Name) else (about, about)
        asserted = [place for place in told[kind, key] if place.asserted]
        ends = [place.end for place in asserted if place.start >= end]
        if ends:
            end = min(ends)
        else:
            denied = kind == "refutation" and told[kind, key]
            lack = "out_of_order" if asserted else "negated" if denied else "missing"
            faults.append(Fault(kind=FaultKind(f"{kind}_{lack}"), about=label))
    return faults, end


def _once(holds: object) -> list[str]:
    """A fault about nothing in particular, if it holds."""
    return [""] if holds else []


def _key(line: Statement | None, options: Mapping[str, str]) -> str:
    """What makes two answers the same; in a free-form case, signs, case and spaces do not matter."""
    answer = line.answer if line else ""
    return answer if options else name_key(answer) or answer


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


def _own_words(journey: Journey) -> Iterator[tuple[str, Sequence[Name]]]:
    """The model's own words, each with the hypothesis that was last spoken of."""
    about: Sequence[Name] = ()
    for event in journey:
        about = _names(event)[-1:] or about
        yield from ((words, about) for words in _fields(event, _OWN))


def _letters(text: str) -> set[str]:
    return set(_ANSWER_LETTER.findall(text))


def _numbers(text: str) -> set[str]:
    """Numbers in digits, without thousands separators."""
    return {number.replace(",", "") for number in _NUMBER.findall(unicodedata.normalize("NFKC", text))}


def _scripts(text: str) -> set[str]:
    """Scripts of a text's letters: the first words of the letters' Unicode names."""
    letters = {letter for letter in unicodedata.normalize("NFKC", text) if letter.isalpha()}
    return {unicodedata.name(letter, "none").split()[0].lower() for letter in letters}
