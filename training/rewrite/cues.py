"""Finds what a text tells: hypotheses named, refuted and settled on, backtracks, and reopenings.

It searches marked texts (`mentions`) for the wordings of our templates and the English phrases in `cues.toml`.
A text that says it in another way is refused rather than believed.

A phrase counts only if it is asserted: not in a question, not negated or hedged in its own clause, and not in a
clause without a subject of its own after a negated one.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import chain, islice
from pathlib import Path
from typing import Any, Final, NamedTuple

from ddxgraph.common.toml import read_toml
from ddxgraph.training.rewrite.mentions import NAME, plain
from ddxgraph.training.styles.phrases import ASIDES, EVENTS, THOUGHTS

Key = tuple[str, str]
"""`hypothesis`, `refutation` or `choice` and a sign; `backtrack` and its destination; `reopening` and nothing."""

_SLOTS: Final[Mapping[str, str]] = {  # `m`, `t` and `n` are those of our wordings
    "name": NAME,
    "rest": r"\w*",
    "gap": r"(?!\w)[^.;:!?\n]{0,40}?(?<!\w)",
    "end": r"(?=[ ,.;]*(?:$|[,.;\n]))",
    "first": r"\A\W*",
    "last": r"\W*\Z",
    "alone": r"(?! (?:alone|only|that)\b)",
    "to": r"(?<!\bable )(?<!\benough )(?<!\bme )(?<!\btime )to",
    "m": rf"(?:the |both |either )?{NAME}(?:(?:,? (?:and|or|nor|as well as) |, ?){NAME})*",
    "t": "(?: \u2014 [^\u2014\n]* \u2014)?",
    "n": r"\d+",
}
_OUR_BACKTRACKS: Final[Mapping[str, Sequence[str]]] = {
    "review_history": ("review_history",),
    "generate_differential": ("generate_differential", "all_refuted", "nothing_to_recheck"),
    "check_evidence": ("check_evidence", "all_evidence", "too_close"),
}
"""A backtrack's destination, to the kinds of our wordings for it."""

_BOUNDARY: Final = re.compile(r"[,;:\u2014] ?|\b(?:and so|so|but|hence|therefore|thus|and) ")
_SUBJECT: Final = re.compile(
    rf"(?:then |now )*(?:(?:i|we|it|this|these|those|which|that(?! (?:it|this|i|we|the|these)\b)|let)\b|{NAME})"
)
_SENTENCE: Final = re.compile(r"(?! )(?: \u2014 [^\u2014\n]* \u2014|[^\n])+?(?:[.!?]+[\"\u201d')]*(?=\s)|$)")
"""What stands between dashes does not end a sentence. An abbreviation may end one early: then less is found."""
_CLOSED: Final = re.compile(
    r"\s*(?:[.;:!?\u2014]|$|,? ?(?:as|because|since|for|on|given|by|now|at|here|too|altogether)\b)"
)
_BEGUN: Final = re.compile(r"(?:^|[,;:\u2014] ?|\b(?:so|and|that|both|then|therefore|now) )$")


class Sighting(NamedTuple):
    """Where a text tells something, and whether it asserts it."""

    start: int
    end: int
    asserted: bool


def sightings(text: str) -> Mapping[Key, Sequence[Sighting]]:
    """Where a marked text tells what; an empty list for a key that it does not tell."""
    places: dict[Key, list[Sighting]] = defaultdict(list)
    for kind, names in (("hypothesis", re.finditer(NAME, text)), ("choice", phrases("settled", text))):
        for name in names:
            places[kind, name.group()[-1]].append(Sighting(name.end() - 1, name.end(), asserted=True))
    for paragraph in re.finditer(r"[^\n]+", text):
        before = ""
        for match in _SENTENCE.finditer(text, *paragraph.span()):
            sentence, start = match.group(), match.start()
            for key, place in chain(_refutations(sentence, before), _turns(sentence)):
                places[key].append(Sighting(start + place.start, start + place.end, place.asserted))
            before = sentence
    return places


def phrases(key: str, text: str, it: str = "") -> Iterator[re.Match[str]]:
    """Find the phrases under a key of `cues.toml`.

    Args:
        key: what they tell; `our ...` for the wordings of our templates.
        text: in plain form.
        it: the slot or list of words that `{it}` stands for. If given, each phrase is searched for on its own.
    """
    for pattern in _patterns(key, it):
        yield from pattern.finditer(text)


def _refutations(sentence: str, before: str) -> Iterator[tuple[Key, Sighting]]:
    """Refuted hypotheses.

    A pronoun stands for the one hypothesis named before it in its sentence; if none is, for the one named in the
    sentence before, in the same paragraph. If several are named there, it stands for none.
    """
    for match in chain(phrases("refuted", sentence, "m"), phrases("refuted_by_name", sentence, "m")):
        asserted = _is_asserted(sentence, match)
        for place in _given_up(sentence, match):
            yield ("refutation", sentence[place]), Sighting(place, place + 1, asserted)
    for match in phrases("refuted", sentence, "pronoun"):
        meant = set(re.findall(NAME, sentence[: match.start()]) or re.findall(NAME, before))
        if len(meant) == 1:
            yield ("refutation", meant.pop()), Sighting(*match.span(), _is_asserted(sentence, match))


def _given_up(sentence: str, match: re.Match[str]) -> list[int]:
    """Places of the names that a phrase refutes.

    In "I rule out A and B fits better" and in "I keep A and B is ruled out" it refutes one of two: a list counts
    as a whole only if nothing follows that its last name could be the subject of, or if a clause begins with it.
    """
    phrase = match.group().partition("\u2014")[0]  # what follows a dash is a reason
    names = [match.start() + name.start() for name in re.finditer(NAME, phrase)]
    if len(names) < 2 or " or " in sentence[names[0] : names[-1]]:  # noqa: PLR2004 - a list
        return names[:1]
    if match.end() == names[-1] + 1:
        return names if _CLOSED.match(sentence, match.end()) else names[:1]
    return names if _BEGUN.search(sentence[: match.start()]) else names[-1:]


def _turns(sentence: str) -> Iterator[tuple[Key, Sighting]]:
    """Backtracks and reopenings. Each takes the rest of its sentence.

    A sentence of our templates that tells something else (such as a check that follows) is no backtrack. In other
    words, the one who goes back must be the one who speaks.
    """
    turns = [(("backtrack", to), match) for to in _OUR_BACKTRACKS for match in phrases(f"our {to}", sentence)]
    if not turns and not any(phrases("our others", sentence)):
        free = ((to, match) for to in _OUR_BACKTRACKS for match in phrases(to, sentence))
        turns = [(("backtrack", to), match) for to, match in free if _is_own(sentence, match)]
    reopened = chain(phrases("our revived", sentence), phrases("reopened", sentence))
    turns += [(("reopening", ""), match) for match in islice(reopened, 1)]
    for key, match in turns:
        yield key, Sighting(match.start(), len(sentence), _is_asserted(sentence, match, owed=True))


def _is_own(sentence: str, match: re.Match[str]) -> bool:
    clause = _BOUNDARY.split(sentence[: match.start()])[-1]
    return any(phrases("first_person", clause if clause.strip() else sentence[: match.end()]))


def _is_asserted(sentence: str, match: re.Match[str], *, owed: bool = False) -> bool:
    """Whether a phrase in a sentence is a plain statement; `owed`: what one has to do counts as done."""
    if sentence.rstrip("\"\u201d') ").endswith("?") or any(phrases("taken_back", sentence[match.end() :])):
        return False
    *before, clause = _BOUNDARY.split(sentence[: match.start()])
    doubts = ("negated", "hedged") if owed else ("negated", "hedged", "owed")
    if any(any(phrases(doubt, clause)) for doubt in doubts):
        return False
    earlier = " ".join(before)
    if not any(phrases("negated", earlier)):
        return True
    return not any(phrases("continued", earlier)) and bool(_SUBJECT.match(clause + match.group()))


@cache
def _phrases() -> Mapping[str, Any]:
    """Phrases by what they tell, and `words`.

    Only the last sentence of a wording counts: those before it ("Hold on.") do not say what happens.
    """
    phrases = read_toml(Path(__file__).with_name("cues.toml"))
    ours = {f"our {to}": [EVENTS[f"back:{kind}"] for kind in kinds] for to, kinds in _OUR_BACKTRACKS.items()}
    others = (
        pool for kind, pool in EVENTS.items() if kind.partition(":")[0] not in {"back", "weighed", "noted"}
    )
    ours |= {
        "our revived": [EVENTS["revived"]],
        "our others": [*others, *ASIDES.values(), *THOUGHTS.values()],
    }
    for key, pools in ours.items():
        phrases[key] = [plain(re.split(r"(?<=[.?!]) ", wording)[-1]) for pool in pools for wording in pool]
    return phrases


@cache
def _patterns(key: str, it: str) -> Sequence[re.Pattern[str]]:
    regexes = [_regex(phrase, it) for phrase in _phrases()[key]]
    return [re.compile(rf"(?<!\w)(?:{regex})(?!\w)") for regex in (regexes if it else ["|".join(regexes)])]


def _regex(phrase: str, it: str) -> str:
    """A phrase as a regular expression; `cues.toml` explains the notation."""

    def filled(slot: re.Match[str]) -> str:
        name = it if slot[1] == "it" else slot[1]
        return _SLOTS.get(name) or f"(?:{_regex(_phrases()['words'][name], it)})"

    grouped = re.sub(r"\\([(|)])", r"\1", re.escape(phrase)).replace("(", "(?:")
    return re.sub(r"\\{(\w+)\\}", filled, grouped)
