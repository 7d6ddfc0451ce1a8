"""The rules by which an answer is right: the strict one, the match of free-form answers, and a looser one.

Scores rest on the strict rule: the answer that a strategy states, by its own rule, against the gold answer.
Free-form answers are equal if they are equal once habits of writing are removed.

The looser rule finds an answer in any text and serves comparison only. Published tables of this field often use
it, and its figures lie above a strict rule's. It is the rule of HuatuoGPT-o1's evaluation script
(github.com/FreedomIntelligence/HuatuoGPT-o1, `evaluation/scorer.py`), described here and written anew. It reads
what follows the last heading `## Final Response` and a blank line, or the whole text, and takes the first of
these that finds something:

1. `answer is`, optional white space, and a capital letter from A to N. What follows the letter does not matter,
   so "the answer is Asthma" is an A.
2. A letter of the options that stands alone: at the beginning or after anything but a letter, digit or
   underscore, and before anything but those, or at the end. `A` before a space is no answer. A Chinese character
   counts as a border. Matches do not overlap: of `A,B,C` they are A and C.
3. An option's text, in any case. Of several options, the one mentioned last.
4. The option whose text is most similar to the whole text, by `difflib`'s ratio; of equals, the last. A text
   without any answer therefore still gets one.

Rules 1 and 2 may find several letters: the *first* and the *last* are kept, and the published figure is the
better of the two over the whole benchmark, chosen with the gold answers in hand. Under rule 3, *last* is the
option whose last mention comes last, and *first* the one whose first mention comes last: the published code sorts
both downwards.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum
from functools import lru_cache
from typing import Final, NamedTuple

SCORER: Final = "1"
"""Version of the strict rule; stands in every report."""
MATCH: Final = "1"
"""Version of the match of free-form answers; stands in every report."""

_RAISED: Final = {ord(sign): f"^{unicodedata.digit(sign)}" for sign in "⁰¹²³⁴⁵⁶⁷⁸⁹"}
"""NFKC alone would make 10⁵ the same as 105."""
_MINUS: Final = "\N{MINUS SIGN}"
_LEADING: Final = re.compile(r"\A(\W*)(?:(?:an?|the)\s+)+(?=\S)")
_APOSTROPHES: Final = frozenset("'`\u2018\u2019\u00b4\u02bc")
_IN_NUMBERS: Final = frozenset(".,:/-")
_HEADING: Final = "## Final Response\n\n"
_STATED: Final = re.compile(r"answer is\s*([A-N])")
_BORDER: Final = r"\W|[\u4e00-\u9fff]"


class Verdict(StrEnum):
    """What a trace is worth. All but `ERROR` are scored; only `CORRECT` counts as correct."""

    CORRECT = "correct"
    INCORRECT = "incorrect"
    UNPARSED = "unparsed"
    """No answer could be read by the strategy's own rule, or the answer is none of the options."""
    ABSTAINED = "abstained"
    ERROR = "error"
    """Unscored: an engine, a judge or code broke, not the model's reasoning, or the traversal is paused."""


@dataclass(frozen=True, slots=True)
class Score:
    """A trace's score and what it cost; or that of a (case, sample) whose every attempt failed."""

    case: str
    sample: int
    verdict: Verdict
    answer: str | None
    """As the trace states it: a letter, or text in a free-form case."""
    gold: str
    choice: str | None
    """The text of the option answered, so that runs with shuffled options can be compared; in a free-form case
    the normalised answer. None without an answer, and for one that is none of the options."""
    loose_first: bool | None
    """Correct by the first answer that the looser rule finds; None for errors and free-form cases."""
    loose_last: bool | None
    """The same by the last one."""
    distribution: Mapping[str, float]
    """As the trace has it: option letter (hypothesis id in a free-form case) to probability; may be empty."""
    completion_tokens: int
    """Over all calls of the trace, repairs and failed nodes included."""
    prompt_tokens: int
    calls: int
    repairs: int
    """Calls made because a reply did not fit its schema."""
    backtracks: int
    elapsed_s: float
    """Wall time of the traversal, in seconds."""
    ended: str
    """Why the traversal ended, as the trace has it."""
    failure: str
    """Kind of the failure where the verdict is `ERROR`, such as `timeout` or `judge timeout`; else empty."""
    trace: str
    """The trace's id."""
    cut: bool = False
    """Whether the server cut a prompt without a word."""

    @property
    def correct(self) -> bool | None:
        """Whether the answer is the gold one; None where the trace is unscored."""
        return None if self.verdict is Verdict.ERROR else self.verdict is Verdict.CORRECT


def verdict_of(outcome: str, answer: str | None, gold: str, options: Mapping[str, str]) -> Verdict:
    """The strict rule; pure.

    The strategy decides what its answer is, and the scorer never looks for another one. With options it must be
    the gold letter as it stands: `b`, `B.` and an option's text are not letters. An answer that is none of the
    options (strategies are third-party code) is `UNPARSED`. Without options the normalised texts are compared.

    Args:
        outcome: the trace's: answered, abstained, unparsed, interrupted, error.
        answer: the trace's.
        gold: a letter of the options; text where there are none.
        options: letter to text; empty for a free-form case.

    Returns:
        The verdict.
    """
    match outcome:
        case "error" | "interrupted":
            return Verdict.ERROR
        case "abstained":
            return Verdict.ABSTAINED
        case "unparsed":
            return Verdict.UNPARSED
    if choice_of(answer, options) is None or answer is None:
        return Verdict.UNPARSED
    correct = answer == gold if options else same(answer, gold)
    return Verdict.CORRECT if correct else Verdict.INCORRECT


def choice_of(answer: str | None, options: Mapping[str, str]) -> str | None:
    """What an answer says, whatever its letter: its option's text; a free-form answer normalised."""
    if answer is None:
        return None
    return options.get(answer) if options else normalised(answer) or None


def normalised(text: str) -> str:
    """A free-form answer without the habits of writing that mean nothing; nothing in it is guessed.

    In this order: raised digits become `^` and the digit; Unicode NFKC; case folded; every dash a hyphen; the
    articles `a`, `an` and `the` at the beginning (before white space) and `the` elsewhere are dropped;
    apostrophes are dropped; any other punctuation becomes a space, except `%`, and except `. , : / -` before a
    digit and not after a letter (`2.5`, `-5`, `1/2` keep theirs, `COVID-19` does not); white space becomes one
    space.

    An `a` elsewhere stays: hepatitis A is not hepatitis. Spelling, word order, plurals, synonyms and
    abbreviations are left as they are: those are for a judge.
    """
    text = unicodedata.normalize("NFKC", text.translate(_RAISED)).casefold()
    text = unicodedata.normalize("NFKC", text)  # folding may leave what NFKC would compose
    text = "".join("-" if c == _MINUS or unicodedata.category(c) == "Pd" else c for c in text)
    text = _LEADING.sub(r"\1", text)
    kept = (_kept(text, place) for place in range(len(text)))
    return " ".join(word for word in "".join(kept).split() if word != "the")


def same(answer: str, gold: str) -> bool:
    """Whether two free-form answers are the same once normalised; an empty one is the same as nothing."""
    words = normalised(answer)
    return bool(words) and words == normalised(gold)


def _kept(text: str, place: int) -> str:
    """What becomes of a character at its place."""
    sign = text[place]
    if sign in _APOSTROPHES:
        return ""
    if sign == "%" or not unicodedata.category(sign).startswith("P"):
        return sign
    before, after = text[max(place - 1, 0) : place], text[place + 1 : place + 2]
    return sign if sign in _IN_NUMBERS and after.isdigit() and not before.isalpha() else " "


class LooseMatch(NamedTuple):
    """The letters that the looser rule finds in a text."""

    first: str
    last: str


def find_letters(text: str, options: Mapping[str, str]) -> LooseMatch:
    """The first and the last answer that the looser rule finds; always letters, right or wrong.

    Args:
        text: the model's final text.
        options: letter to text; two at least.
    """
    text = text.rsplit(_HEADING, 1)[-1]
    letters = _STATED.findall(text) or _standing_alone("".join(options)).findall(text)
    if letters:
        return LooseMatch(letters[0], letters[-1])
    return _mentioned(text.lower(), options) or _most_similar(text.lower(), options)


@lru_cache(maxsize=64)
def _standing_alone(letters: str) -> re.Pattern[str]:
    return re.compile(rf"(?:^|{_BORDER})(?!A )([{letters}])(?:{_BORDER}|$)")


def _mentioned(text: str, options: Mapping[str, str]) -> LooseMatch | None:
    named = {letter: words for letter, option in options.items() if (words := option.lower()) in text}
    if not named:
        return None
    return LooseMatch(
        first=max(named, key=lambda letter: text.index(named[letter])),
        last=max(named, key=lambda letter: text.rindex(named[letter])),
    )


def _most_similar(text: str, options: Mapping[str, str]) -> LooseMatch:
    matcher = SequenceMatcher(None)
    matcher.set_seq2(text)  # what difflib works out once and keeps
    best, most = "", 0.0
    for letter, option in options.items():
        matcher.set_seq1(option.lower())
        ratio = matcher.ratio()
        if ratio >= most:
            best, most = letter, ratio
    return LooseMatch(best, best)
