"""Finds where prose gives a hypothesis up, goes back, opens all hypotheses again, or settles on one.

It searches marked texts (`naming`) for the wordings of our templates and for the English phrases in `cues.toml`.
What neither holds is not found: a text that says it in another way is refused rather than believed.

A phrase counts only where it is asserted: not in a question, not negated or hedged in its own clause, and not in
a clause without a subject of its own after a negated one.
"""

import re
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from ddxgraph.training.rewrite.mentions import NAME, plain
from ddxgraph.training.styles.phrases import ASIDES, EVENTS, THOUGHTS

_NAMES: Final = rf"(?:the |both |either )?{NAME}(?:(?:,? (?:and|or|nor|as well as) |, ?){NAME})*"
_PRONOUN: Final = r"(?:it|(?:this|that)(?: (?:one|option|idea|hypothesis|candidate|possibility|diagnosis))?)"
_SLOTS: Final[Mapping[str, str]] = {
    "name": NAME,
    "rest": r"\w*",
    "gap": r"(?!\w)[^.;:!?\n]{0,40}?(?<!\w)",
    "end": r"(?=[ ,.;]*(?:$|[,.;\n]))",
    "alone": r"(?! (?:alone|only|that)\b)",
    "m": _NAMES,  # the slots of our wordings
    "t": "(?: \u2014 [^\u2014\n]* \u2014)?",
    "n": r"\d+",
}
_OUR_KINDS: Final[Mapping[str, tuple[str, ...]]] = {
    "review_history": ("review_history",),
    "generate_differential": ("generate_differential", "all_refuted", "nothing_to_recheck"),
    "check_evidence": ("check_evidence", "all_evidence", "too_close"),
}
"""Where a move back leads, to the kinds of our wordings for it."""

_FIRST_PERSON: Final = re.compile(
    r"\b(?:i|me|my|we|us|our|let's)\b|^(?:\W*\w+,)?\W*(?:so |and )?(?:right )?back to\b"
)
_AIM: Final = re.compile(r"(?:(?<!able )(?<!enough )(?<!me )\bto|\b(?:for|about|of))\s*$")
"""To rule something out, or thoughts of ruling it out, are not to have done it."""
_BOUNDARY: Final = re.compile(r"[,;:\u2014] ?|\b(?:and so|so|but|hence|therefore|thus|and) ")
_CONTINUED: Final = re.compile(r"\b(?:that|whether|if|than)\W*$")
_SUBJECT: Final = re.compile(
    rf"(?:then |now )*(?:(?:i|we|it|this|these|those|which|that(?! (?:it|this|i|we|the|these)\b)|let)\b|{NAME})"
)
_SENTENCE: Final = re.compile(r"(?! )(?: \u2014 [^\u2014\n]* \u2014|[^\n])+?(?:[.!?]+[\"\u201d')]*(?=\s)|$)")
"""Dashes enclose what does not end a sentence. An abbreviation may end one too early, so that less is found."""
_CLOSED: Final = re.compile(
    r"\s*(?:[.;:!?\u2014]|$|,? ?(?:as|because|since|for|on|given|by|now|at|here|too|altogether)\b)"
)
_BEGUN: Final = re.compile(r"(?:^|[,;:\u2014] ?|\b(?:so|and|that|both|then|therefore|now) )$")


class Sighting(NamedTuple):
    """An event as a text tells it: where, and whether it is asserted rather than denied, hedged or asked."""

    start: int
    end: int
    asserted: bool


Key = tuple[str, str]
"""`hypothesis` or `refutation` and a sign, `backtrack` and its destination, or `reopening` and nothing."""


def sightings(text: str) -> Mapping[Key, Sequence[Sighting]]:
    """What a marked text tells, by kind and by what it is about; nothing for a key that it does not tell."""
    places: dict[Key, list[Sighting]] = defaultdict(list)
    for mention in re.finditer(NAME, text):
        places["hypothesis", mention.group()].append(Sighting(*mention.span(), asserted=True))
    for paragraph in re.finditer(r"[^\n]+", text):
        before = ""
        for sentence in _SENTENCE.finditer(text, *paragraph.span()):
            words, offset = sentence.group(), sentence.start()
            for key, place in (*_refutations(words, before), *_moves(words), *_reopenings(words)):
                places[key].append(Sighting(place.start + offset, place.end + offset, place.asserted))
            before = words
    return places


def choices(text: str) -> Iterator[tuple[str, int]]:
    """Hypotheses settled on: the sign of each, and its place."""
    for match in _settled().finditer(text):
        yield match.group()[-1], match.end() - 1


def gives_up(text: str) -> bool:
    """Whether a text speaks of giving up at all, whatever it gives up."""
    return any(pattern.search(text) for pattern in _patterns("given_up"))


def _refutations(sentence: str, before: str) -> Iterator[tuple[Key, Sighting]]:
    """Hypotheses given up, by their signs.

    A pronoun stands for the one hypothesis that is named before it in its sentence or, if there is none, in the
    sentence before it in the same paragraph. Where several are named there, it stands for none.
    """
    for pattern in (*_patterns("refuted", it=_NAMES), *_patterns("refuted_by_name", it=_NAMES)):
        for match in pattern.finditer(sentence):
            asserted = _is_asserted(sentence, match, owed=False)
            for place in _given_up(sentence, match):
                yield ("refutation", sentence[place]), Sighting(place, place + 1, asserted)
    for pattern in _patterns("refuted", it=_PRONOUN):
        for match in pattern.finditer(sentence):
            meant = set(re.findall(NAME, sentence[: match.start()]) or re.findall(NAME, before))
            if len(meant) == 1:
                yield (
                    ("refutation", meant.pop()),
                    Sighting(*match.span(), _is_asserted(sentence, match, owed=False)),
                )


def _given_up(sentence: str, match: re.Match[str]) -> list[int]:
    """Places of the names that a phrase is about.

    In "I rule out A and B fits better" and in "I keep A and B is ruled out" it is about one of two: a list counts
    as a whole only where nothing follows that another name could be the subject of, or where a clause begins with
    it.
    """
    phrase = match.group().partition("\u2014")[0]  # what follows a dash is a reason
    names = [match.start() + name.start() for name in re.finditer(NAME, phrase)]
    if len(names) < 2 or " or " in sentence[names[0] : names[-1]]:  # noqa: PLR2004 - a list
        return names[:1]
    if match.end() == names[-1] + 1:
        return names if _CLOSED.match(sentence, match.end()) else names[:1]
    return names if _BEGUN.search(sentence[: match.start()]) else names[-1:]


def _moves(sentence: str) -> Iterator[tuple[Key, Sighting]]:
    """Moves back, by the stops that they lead to. Each takes the rest of its sentence.

    A sentence of our templates that tells of something else (such as of a check that follows) is none. In other
    words, who goes back must be the one who speaks.
    """
    ours = [(to, match) for to in _OUR_KINDS if (match := _our_moves(to).search(sentence))]
    for to, match in ours or _free_moves(sentence):
        yield (
            ("backtrack", to),
            Sighting(match.start(), len(sentence), _is_asserted(sentence, match, owed=True)),
        )


def _free_moves(sentence: str) -> Iterator[tuple[str, re.Match[str]]]:
    if _our_other_sentences().search(sentence):
        return
    for to in _OUR_KINDS:
        for pattern in _patterns("back", to):
            for match in pattern.finditer(sentence):
                clause = _BOUNDARY.split(sentence[: match.start()])[-1]
                if _FIRST_PERSON.search(clause if clause.strip() else sentence[: match.end()]):
                    yield to, match


def _reopenings(sentence: str) -> Iterator[tuple[Key, Sighting]]:
    patterns = (_ours(EVENTS["revived"]), *_patterns("reopened"))
    match = next((match for pattern in patterns if (match := pattern.search(sentence))), None)
    if match:
        yield (
            ("reopening", ""),
            Sighting(match.start(), len(sentence), _is_asserted(sentence, match, owed=True)),
        )


def _is_asserted(sentence: str, match: re.Match[str], *, owed: bool) -> bool:
    """Whether a phrase in a sentence is a plain statement.

    Args:
        sentence: the sentence.
        match: the phrase in it.
        owed: what one must do counts as done.
    """
    negated, hedged, owing, after = _doubts()
    if sentence.rstrip("\"\u201d') ").endswith("?") or after.match(sentence, match.end()):
        return False
    *earlier, clause = _BOUNDARY.split(sentence[: match.start()])
    if any(pattern.search(clause) for pattern in (negated, hedged, *(() if owed else (owing, _AIM)))):
        return False
    if not negated.search(" ".join(earlier)):
        return True
    return not _CONTINUED.search(" ".join(earlier)) and bool(_SUBJECT.match(clause + match.group()))


@cache
def _phrases() -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_name("cues.toml").read_text(encoding="utf-8"))


@cache
def _patterns(*keys: str, it: str = "") -> tuple[re.Pattern[str], ...]:
    """The phrases under a key; `it` is what stands for the hypothesis."""
    found: Any = _phrases()
    for key in keys:
        found = found[key]
    return tuple(re.compile(rf"(?<!\w){_regex(phrase, it)}(?!\w)") for phrase in found)


def _any_of(*keys: str) -> str:
    return f"(?:{'|'.join(pattern.pattern for pattern in _patterns(*keys))})"


@cache
def _settled() -> re.Pattern[str]:
    return re.compile(rf"{_any_of('settled')}:? (?:the )?{NAME}")


@cache
def _doubts() -> tuple[re.Pattern[str], ...]:
    """What takes a statement back: negations, hedges and duties in its clause, and what follows it."""
    return (
        re.compile(rf"{_any_of('doubt', 'negated')}|n't\b"),
        re.compile(rf"{_any_of('doubt', 'hedged')}|'d\b|\bwithout\s*$"),
        re.compile(_any_of("doubt", "owed")),
        re.compile(rf"\W*{_any_of('doubt', 'after')}"),
    )


@cache
def _our_moves(to: str) -> re.Pattern[str]:
    return _ours(*(EVENTS[f"back:{kind}"] for kind in _OUR_KINDS[to]))


@cache
def _our_other_sentences() -> re.Pattern[str]:
    """All wordings that are no move back."""
    events = (
        pool for kind, pool in EVENTS.items() if kind.partition(":")[0] not in {"back", "weighed", "noted"}
    )
    return _ours(*events, *ASIDES.values(), *THOUGHTS.values())


@cache
def _ours(*pools: tuple[str, ...]) -> re.Pattern[str]:
    """Matches the last sentence of a wording: it says what happens, those before it ("Hold on.") how it feels."""
    last = (re.split(r"(?<=[.?!]) ", wording)[-1] for pool in pools for wording in pool)
    return re.compile("|".join(_regex(plain(sentence)) for sentence in last))


def _regex(phrase: str, it: str = "") -> str:
    """A phrase as a regular expression; the notation is explained in `cues.toml`."""

    def filled(slot: re.Match[str]) -> str:
        fixed = it if slot[1] == "it" else _SLOTS.get(slot[1])
        return fixed if fixed is not None else f"(?:{_regex(_phrases()['words'][slot[1]], it)})"

    escaped = re.sub(r"\\([(|)])", r"\1", re.escape(phrase)).replace("(", "(?:")
    return re.sub(r"\\{(\w+)\\}", filled, escaped)
