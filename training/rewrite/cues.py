"""What prose says to give a hypothesis up, to go back, to open all hypotheses again, or to settle on one.

Patterns for marked texts (`naming`): the wordings of our own templates, and the usual ways of saying it in
English. What they do not know is not found: a text that says it in another way is refused rather than believed.

A cue counts only where it is asserted: not in a question, not negated or hedged in its own clause, and not in a
clause without a subject of its own after a negated one.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Final, Literal, NamedTuple

from ddxgraph.training.rewrite.mentions import NAME, plain
from ddxgraph.training.styles.phrases import ASIDES, EVENTS, THOUGHTS

Destination = Literal["review_history", "generate_differential", "check_evidence"]

_MENTIONED, _NOTED, _NUMBER = "\x01", "\x02", "\x03"  # slots of a wording while it is put into plain form
_LIST: Final = rf"(?:the |both |either )?{NAME}(?:(?:,? (?:and|or|nor|as well as) |, ?){NAME})*"
_GAP: Final = r"[^.;:!?\n]{0,40}?"

_SURELY: Final = (
    r"(?:(?:now|also|then|therefore|thus|hence|effectively|essentially|already|clearly|firmly|safely"
    r"|confidently|finally|definitively|reasonably|completely|entirely) )*"
)
_GIVEN_UP: Final = (
    "ruled out|excluded|eliminated|discarded|refuted|rejected|dismissed|dropped|abandoned"
    "|crossed (?:off|out)|struck (?:off|out|from)"
)
_GONE: Final = (
    "gone|untenable|off the (?:table|list)|out of the (?:running|question)|out(?=[ ,.;]*(?:$|[,.;\n]))"
)
_TO_GIVE_UP: Final = (
    "(?:exclud|eliminat|refut)(?:e|es|ed|ing)|(?:discard|reject|abandon)(?:s|ed|ing)?|dismiss(?:es|ed|ing)?"
    "|drop(?:s|ped|ping)?"
)
_OF_ANY: Final = (
    rf"(?:rul(?:e|es|ed|ing)) {_SURELY}out {{it}}",
    r"(?:rul(?:e|es|ed|ing)) {it} out",
    rf"(?:{_TO_GIVE_UP}) {{it}}",
    r"(?:giv(?:e|es|ing)|gave) up (?:on )?{it}",
    r"(?:giv(?:e|es|ing)|gave) {it} up",
    r"let(?:s|ting)? go of {it}",
    r"let(?:s|ting)? {it} go\b",
    r"(?:cross(?:es|ed|ing)?|strik(?:e|es|ing)|struck) {it} (?:off|out|from)\b",
    r"(?:cross(?:es|ed|ing)?|strik(?:e|es|ing)|struck) (?:off|out) {it}",
    r"(?:tak(?:e|es|ing)|took|remov(?:e|es|ed|ing)) {it} (?:off|from|out of) (?:the|my) (?:list|differential)",
    rf"{{it}} (?:is|are|was|were|has been|have been|can be) {_SURELY}(?:{_GIVEN_UP})\b",
    r"{it} (?:cannot|can't|can not) be (?:right|it|correct|true|the (?:right )?(?:answer|diagnosis|cause))\b",
)
"""Ways of giving up what stands for `{it}`: a name, or a pronoun."""
_OF_NAMES: Final = (
    rf"{{it}} (?:is|are|was|were|has been|have been) {_SURELY}(?:{_GONE})",
    r"{it} (?:no longer|does not|doesn't) (?:stands?|holds?(?: up)?|survives?)\b",
    r"{it} (?:drops|falls|goes) (?:out|away|off)\b",
    r"no longer (?:believ(?:e|ing) in|consider|suspect|favou?r|entertain|think it is) {it}",
    r"(?:it|this) (?:cannot|can't|can not) (?:possibly |really )?be {it}(?! (?:alone|only|that)\b)",
    r"wrong to (?:have )?(?:entertain|consider|believe in|suspect|think of)(?:ed)? {it}",
    r"no room (?:left )?for {it}",
)
_PRONOUN: Final = (
    r"\b(?:it|(?:this|that)(?: (?:one|option|idea|hypothesis|candidate|possibility|diagnosis))?)"
)

_BACK: Final = (
    r"(?:(?:\b(?:go(?:ing|es)?|went|com(?:e|ing)|step(?:ping)?|head(?:ing)?|turn(?:ing)?) )?(?:right |straight )?"
    r"\bback (?:to|over|through)\b|\breturn(?:s|ed|ing)? to\b|\bstart(?:ing)? over with\b"
    r"|\bre-?(?:read|visit|think|open|check|weigh|assess|consider|examine|evaluate)(?:s|ed|ing)?\b"
    r"|\bre(?:examin|evaluat)ing\b|\b(?:another|a (?:second|fresh|closer|new)) look at\b"
    r"|\blook(?:ing)? (?:again|once more|anew|afresh) at\b|\bread(?:ing)? (?:again|once more|anew|afresh)\b)"
)
_WIDEN: Final = r"\b(?:widen|broaden|expand|extend)(?:s|ed|ing)?\b"
_PLACES: Final[Mapping[Destination, str]] = {
    "review_history": (
        rf"{_BACK}{_GAP}\b(?:history|record|vignette|story|chart|presentation|case (?:itself|report))\b"
    ),
    "generate_differential": (
        rf"(?:{_BACK}|{_WIDEN}){_GAP}\b(?:list|differential|candidates?|possibilities|hypotheses|alternatives"
        r"|drawing board)\b"
        r"|\b(?:what|which) else (?:it|this) (?:could|might|may) be\b"
        r"|\b(?:look|search|think)(?:ing)? (?:for|of) (?:other|new|different|more|further) (?:candidates"
        r"|hypotheses|possibilities|explanations|diagnoses|ones)\b"
    ),
    "check_evidence": rf"{_BACK}{_GAP}(?:\b(?:evidence|findings|weighing)\b|{NAME})",
}
_REOPENED: Final = (
    r"\b(?:re-?open|restor|reinstat|reviv|readmit|bring|put|let|tak)\w*\b[^.;!?\n]{0,60}\b(?:all|every|each"
    r"|everything|whole)\b[^.;!?\n]*"
    r"|\b(?:all|every|each|everything)\b[^.;!?\n]{0,60}\b(?:open again|back (?:in|on|into)|come back"
    r"|stands? again|reopened|reinstated|restored)\b"
)
_SETTLED: Final = (
    rf"(?:\bsettl(?:e|ed|ing) on|\bmy (?:final )?answer(?:,? then,?)? is|\bin favou?r of|\bleaves me with"
    rf"|\bi choose|\bgo(?:ing)? with|\bcommit to|\bconclude(?: that)?(?: it| this)?(?: is)?"
    rf"|\bthe answer (?:is|must be)(?: therefore)?):? (?:the )?({NAME})"
)
_FIRST_PERSON: Final = re.compile(
    r"\b(?:i|me|my|we|us|our|let's)\b|^(?:\W*\w+,)?\W*(?:so |and )?(?:right )?back to\b"
)

_NEGATED: Final = re.compile(
    r"\b(?:not|never|cannot|no|nor|neither|none|nobody|hardly|barely|scarcely|unable|refuse|refusing|stop|stopped|avoid"
    r"|doubt|wrong|mistake|mistaken|hasty|premature|almost|nearly|reluctant|hesitate|impossible)\b|n't\b"
    r"|\btoo (?:early|soon|quick|hasty)\b|\bfar from\b|\binstead of\b|\brather than\b"
)
_HEDGED: Final = re.compile(
    r"\b(?:if|unless|until|before|whether|may|might|could|would|tempted|tempting|difficult|hard)\b|'d\b"
    r"|\bwithout\s*$"
)
_OWED: Final = re.compile(
    r"\b(?:must|should|need|needs|needed|ought|wants?|wish|hope|try|trying|have|has|had)\b(?! ruled\b)"
)
"""To have to rule something out is to keep it in mind; to have to go back is to go."""
_AIM: Final = re.compile(r"(?:(?<!able )(?<!enough )(?<!me )\bto|\b(?:for|about|of))\s*$")
"""To rule something out, or thoughts of ruling it out, are not to have done it."""
_BOUNDARY: Final = re.compile(r"[,;:\u2014] ?|\b(?:and so|so|but|hence|therefore|thus|and) ")
_CONTINUED: Final = re.compile(r"\b(?:that|whether|if|than)\W*$")
_SUBJECT: Final = re.compile(
    rf"(?:then |now )*(?:(?:i|we|it|this|these|those|which|that(?! (?:it|this|i|we|the|these)\b)|let)\b|{NAME})"
)
_TAKEN_BACK: Final = re.compile(
    r"\W*(?:too (?:soon|early|quickly|hastily)|prematurely|yet\b|only if|unless|but not)"
)
_SENTENCE: Final = re.compile(
    r"(?: \u2014 [^\u2014\n]* \u2014|[^\n])+?(?:[.!?]+[\"\u201d')]*(?=\s)|(?=\n)|$)"
)
"""What stands between two dashes does not end a sentence."""
_CLOSED: Final = re.compile(
    r"\s*(?:[.;:!?\u2014]|$|,? ?(?:as|because|since|for|on|given|by|now|at|here|too|altogether)\b)"
)
_BEGUN: Final = re.compile(r"(?:^|[,;:\u2014] ?|\b(?:so|and|that|both|then|therefore|now) )$")


class Sighting(NamedTuple):
    """A cue in a marked text."""

    start: int
    end: int
    asserted: bool


class Sentence(NamedTuple):
    """Where a sentence stands."""

    start: int
    end: int
    opens: bool
    """It begins a paragraph."""


def sentences_of(text: str) -> list[Sentence]:
    """The sentences of a marked text, in order. An abbreviation may end one too early: that finds less."""
    found = []
    for one in _SENTENCE.finditer(text):
        start = one.end() - len(one.group().lstrip())
        if start < one.end():
            found.append(
                Sentence(
                    start, one.end(), not text[:start].rstrip(" ") or text[:start].rstrip(" ")[-1] == "\n"
                )
            )
    return found


def refutations(text: str, sentences: Iterable[Sentence]) -> Iterator[tuple[str, Sighting]]:
    """Hypotheses given up: the sign of each, and where.

    A pronoun stands for the one hypothesis that is named before it in its sentence, or, if there is none, in the
    sentence before it in the same paragraph. Where several are named there, it stands for none.
    """
    before = ""
    for sentence in sentences:
        said = text[sentence.start : sentence.end]
        for found in _each(_refuting(), said):
            asserted = _is_asserted(said, found.start(), found.end(), owed=False)
            for place in _given_up(said, found):
                start = sentence.start + place
                yield said[place], Sighting(start, start + 1, asserted)
        for found in _each(_refuting_it(), said):
            meant = set(re.findall(NAME, said[: found.start()])) or set(
                () if sentence.opens else re.findall(NAME, before)
            )
            if len(meant) == 1:
                asserted = _is_asserted(said, found.start(), found.end(), owed=False)
                start, end = sentence.start + found.start(), sentence.start + found.end()
                yield meant.pop(), Sighting(start, end, asserted)
        before = said


def _given_up(said: str, found: re.Match[str]) -> list[int]:
    """Where the names stand that a cue is about.

    In "I rule out A and B fits better" and in "I keep A and B is ruled out" it is about one of two: a list counts
    as a whole only where nothing follows that another name could be the subject of, or where a clause begins with
    it.
    """
    held = found.group().partition("\u2014")[0]  # what follows a dash is a reason
    names = [found.start() + one.start() for one in re.finditer(NAME, held)]
    if len(names) < 2 or said[names[0] : names[-1]].count(" or "):  # noqa: PLR2004 - a list
        return names[:1]
    if found.end() == names[-1] + 1:
        return names if _CLOSED.match(said, found.end()) else names[:1]
    return names if _BEGUN.search(said[: found.start()]) else names[-1:]


def backtracks(text: str, sentences: Iterable[Sentence]) -> Iterator[tuple[Destination, Sighting]]:
    """Moves back: where to, and where. Each takes the rest of its sentence.

    A sentence of our templates that tells of something else (such as of a check that follows) is none.
    """
    for sentence in sentences:
        said = text[sentence.start : sentence.end]
        for to, found in _own_moves(said) or _free_moves(said):
            asserted = _is_asserted(said, found.start(), found.end(), owed=True)
            yield to, Sighting(sentence.start + found.start(), sentence.end, asserted)


def _own_moves(said: str) -> list[tuple[Destination, re.Match[str]]]:
    """Moves back in our own words."""
    return [(to, found) for to in _PLACES if (found := _own_back(to).search(said))]


def _free_moves(said: str) -> Iterator[tuple[Destination, re.Match[str]]]:
    """Moves back in other words; who goes back is the one who tells it."""
    if _own_other().search(said):
        return
    for to, pattern in _PLACES.items():
        for found in re.finditer(pattern, said):
            clause = _BOUNDARY.split(said[: found.start()])[-1]
            whose = clause if clause.strip() else said[: found.end()]
            if _FIRST_PERSON.search(whose):
                yield to, found


def reopenings(text: str, sentences: Iterable[Sentence]) -> Iterator[Sighting]:
    """Where all hypotheses stand again."""
    for sentence in sentences:
        said = text[sentence.start : sentence.end]
        own = _own("revived").search(said)
        found = own or re.search(_REOPENED, said)
        if found:
            asserted = _is_asserted(said, found.start(), found.end(), owed=True)
            yield Sighting(sentence.start + found.start(), sentence.end, asserted)


def choices(text: str) -> Iterator[tuple[str, int]]:
    """Hypotheses settled on: the sign of each, and where."""
    for found in re.finditer(_SETTLED, text):
        yield found[1], found.start(1)


def gives_up(text: str) -> bool:
    """Whether a text holds a word of giving up at all, whatever it is about."""
    return bool(
        re.search(
            rf"\brul\w+\b.{{0,40}}\bout\b|\b(?:{_TO_GIVE_UP}|{_GIVEN_UP}|{_GONE})|\bgave up|\bgiv\w+ up", text
        )
    ) or any(_each((*_refuting(), *_refuting_it()), text))


def _is_asserted(said: str, start: int, end: int, *, owed: bool) -> bool:
    """Whether a cue in a sentence is a plain statement.

    Args:
        said: the sentence.
        start: where the cue begins in it.
        end: where it ends.
        owed: what one must do counts as done.
    """
    if said.rstrip("\"\u201d') ").endswith("?") or _TAKEN_BACK.match(said, end):
        return False
    parts = _BOUNDARY.split(said[:start])
    clause, earlier = parts[-1], " ".join(parts[:-1])
    wanted = (_NEGATED, _HEDGED) if owed else (_NEGATED, _HEDGED, _OWED)
    if any(pattern.search(clause) for pattern in wanted):
        return False
    if not owed and _AIM.search(clause):
        return False
    if not _NEGATED.search(earlier):
        return True
    if _CONTINUED.search(earlier):
        return False
    return bool(_SUBJECT.match(clause + said[start:end]))


def _each(patterns: Iterable[re.Pattern[str]], text: str) -> Iterator[re.Match[str]]:
    for pattern in patterns:
        yield from pattern.finditer(text)


@cache
def _refuting() -> tuple[re.Pattern[str], ...]:
    """With names."""
    free = (re.compile(r"(?<!\w)" + cue.format(it=_LIST)) for cue in (*_OF_ANY, *_OF_NAMES))
    return (*free, _own("refuted"))


@cache
def _refuting_it() -> tuple[re.Pattern[str], ...]:
    """With a pronoun."""
    return tuple(re.compile(r"(?<!\w)" + cue.format(it=_PRONOUN)) for cue in _OF_ANY)


@cache
def _own(kind: str) -> re.Pattern[str]:
    """The wordings of a kind of event."""
    return _any_of(EVENTS[kind])


@cache
def _own_back(to: Destination) -> re.Pattern[str]:
    """The wordings of moves back to a stop; what a rule of the graph sends back goes to one of two."""
    kinds = {
        "review_history": ("review_history",),
        "generate_differential": ("generate_differential", "all_refuted", "nothing_to_recheck"),
        "check_evidence": ("check_evidence", "all_evidence", "too_close"),
    }
    return _any_of(wording for kind in kinds[to] for wording in EVENTS[f"back:{kind}"])


@cache
def _own_other() -> re.Pattern[str]:
    """The wordings of all that is no move back."""
    events = (pool for kind, pool in EVENTS.items() if not kind.startswith(("back:", "weighed:", "noted:")))
    return _any_of(wording for pool in (*events, *ASIDES.values(), *THOUGHTS.values()) for wording in pool)


def _any_of(wordings: Iterable[str]) -> re.Pattern[str]:
    """Matches the last sentence of a wording: it says what happens, those before it ("Hold on.") how it feels."""
    slots = {_MENTIONED: _LIST, _NOTED: "(?: \u2014 [^\u2014\n]* \u2014)?", _NUMBER: r"\d+"}
    patterns = []
    for wording in wordings:
        parts = re.split("([" + "".join(slots) + "])", _unslotted(wording))
        patterns.append("".join(slots.get(part) or re.escape(part) for part in parts))
    return re.compile("|".join(patterns))


def _unslotted(wording: str) -> str:
    """A wording's last sentence in plain form, each slot one sign."""
    last = re.split(r"(?<=[.?!]) ", wording)[-1]
    for slot, sign in (("{m}", _MENTIONED), ("{t}", _NOTED), ("{n}", _NUMBER)):
        last = last.replace(slot, sign)
    return plain(last)
