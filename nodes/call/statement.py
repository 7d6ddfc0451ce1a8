"""The answer that a reply states, by one strict rule, and the probability of each option where it states it."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from ddxgraph.common.typography import DASHES, is_invisible, typed

STATEMENT_RULE: Final = "2"
"""Version of the rule, raised by any change to what `stated` accepts.

1. Reasoning is not part of the answer: only the text after the last `</think>` is read, and none of it if a
   `<think>` is still open there.
2. The statement is the last line in which something is visible. No other line is read: a model that goes on after
   a statement may take it back, and of two statements it is unclear which one counts.
3. The line is `Answer:` and the answer, with nothing before it. The word may be in any case, the colon half- or
   full-width, with any white space around it. Markdown emphasis (`*`, `_` and the backtick), characters that take
   no room (such as zero-width spaces), and a final full stop are ignored.
4. With options, the answer is one of their letters as a capital: `B`, `(B)`, or either of these followed by `.`,
   `)` or `:`. The text of that option may follow, after one of these signs, white space or a dash, or in
   parentheses; it may differ only in case, white space, emphasis, the final full stop, and typography
   (`common.typography`: NFKC, the kinds of quotes and dashes). Anything else (another letter, a second one, other
   words) states no answer, and neither does the text without the letter.
5. Without options, the answer is the rest of the line, 1 to 200 characters, without emphasis that is paired or at
   an end; a full stop stays.
6. A text that was cut off states no answer, since its last line is unknown.

Version 1 did not allow for typography and characters that take no room.
"""
STATEMENT_CHARS: Final = 200
"""Longest answer in words."""

_MARKS: Final = "*_`"
_STATEMENT: Final = re.compile(r"\s*answer\s*[:\uff1a]\s*", re.IGNORECASE)
_LETTER: Final = re.compile(r"(?:\((?P<held>[A-Z])\)|(?P<bare>[A-Z]))(?P<sign>[.):]?)(?P<rest>.*)", re.DOTALL)
_SET_OFF: Final = re.compile(rf"\s*[-{DASHES}]\s*|\s+|(?=\()")
_PAIRED: Final = re.compile(r"(\*{1,3}|_{1,3}|`)(\S(?:.*?\S)?)\1")
_HEAD: Final = re.compile(r"[\s*_`]*answer[\s*_`]*[:\uff1a]", re.IGNORECASE)


class Statement(NamedTuple):
    """An answer as a text states it."""

    answer: str
    """An option's letter, or words in a free-form case."""
    words: str
    """The line that states it, as in the text."""
    place: int
    """Index of the letter in the text; -1 in a free-form case."""


class _Line(NamedTuple):
    """A line without its emphasis."""

    text: str
    places: tuple[int, ...]
    """Index of each character in the whole text."""


def stated(text: str, options: Mapping[str, str]) -> Statement | None:
    """Find the answer that a text states, by the rule of `STATEMENT_RULE`.

    Args:
        text: the whole reply, not cut off.
        options: letter to text; empty for a free-form case.

    Returns:
        The statement; None if the text states no answer.
    """
    start, end = _last_line(text)
    words = text[start:end]
    if not options:
        return _in_words(words)
    kept = tuple(place for place in range(start, end) if not _is_ignored(text[place]))
    line = _Line("".join(text[place] for place in kept), kept)
    head = _STATEMENT.match(line.text)
    given = _LETTER.fullmatch(line.text, head.end()) if head else None
    if given is None:
        return None
    group = "held" if given["held"] else "bare"
    letter = given[group]
    if letter not in options or not _is_own(given, options[letter]):
        return None
    return Statement(letter, words, line.places[given.start(group)])


def _last_line(text: str) -> tuple[int, int]:
    """Start and end of the last line that is not blank, outside reasoning."""
    begin = text.rfind("</think>")
    begin = 0 if begin < 0 else begin + len("</think>")
    if "<think>" in text[begin:]:
        return len(text), len(text)
    end = len(text)
    while end > begin and (text[end - 1].isspace() or is_invisible(text[end - 1])):
        end -= 1
    start = max(begin, text.rfind("\n", 0, end) + 1)
    return start + len(text[start:end]) - len(text[start:end].lstrip()), end


def _in_words(words: str) -> Statement | None:
    """The statement of a free-form case."""
    line = _PAIRED.sub(r"\2", words)
    head = _HEAD.match(line)
    answer = line[head.end() :].strip().strip(_MARKS).strip() if head else ""
    return Statement(answer, words, -1) if 0 < len(answer) <= STATEMENT_CHARS else None


def _is_own(given: re.Match[str], option: str) -> bool:
    """Whether nothing follows a letter, or the text of its option."""
    rest = given["rest"]
    if not _plain(rest):
        return True
    lead = _SET_OFF.match(rest)
    if lead is None and not given["sign"]:
        return False
    following, own = _plain(rest[lead.end() if lead else 0 :]), _plain(option)
    return following in {own, f"({own})"}


def _plain(text: str) -> str:
    """A text without the differences that do not count."""
    bare = "".join(character for character in typed(text) if not _is_ignored(character))
    return " ".join(bare.split()).rstrip(". ").casefold()


def _is_ignored(character: str) -> bool:
    return character in _MARKS or (not character.isascii() and is_invisible(character))


_ROUNDED: Final = 1e-2
"""A log-probability is at most 0, and probabilities sum to at most 1, but for what rounding adds."""
_UNSEEN: Final = 1e-6
"""What reported alternatives always leave, since their log-probabilities are rounded."""


class _Place(NamedTuple):
    token: Mapping[str, Any]
    offset: int
    """Index of the letter in the token's text."""


def probabilities_at(
    place: int, text: str, tokens: Sequence[Mapping[str, Any]] | None, letters: Sequence[str], closing: str
) -> dict[str, float] | None:
    """Probability of each option's letter at one place in a reply.

    Engines report log-probabilities before the grammar masks tokens, so most of the mass may lie elsewhere: the
    probabilities are renormalised over the letters. Letters that are not among the reported alternatives share
    evenly what the reported ones leave, and none gets more than the least likely of these has. Where that could
    be as much as the likeliest known letter has, too little is known, and there is no distribution.

    Args:
        place: index of the letter in the text.
        text: the reply.
        tokens: OpenAI's `logprobs.content`.
        letters: the options' letters.
        closing: characters that may follow a letter within its token; with any other, the token is a word.

    Returns:
        Letter to probability, summing to one; None if the letter's token cannot be located.
    """
    at = _token_at(place, text, tokens) if tokens and letters and place >= 0 else None
    if at is None:
        return None
    lead = str(at.token["token"])[: at.offset]
    reported = _reported(at.token)
    known: dict[str, float] = {}
    for token, probability in reported.items():
        letter = token[len(lead) : len(lead) + 1]
        closes = token[len(lead) + 1 :].lstrip(closing) == ""
        if token.startswith(lead) and letter in letters and closes:
            known[letter] = max(known.get(letter, 0.0), probability)
    if not known:
        return None
    unknown = [letter for letter in letters if letter not in known]
    most = max(known.values())
    left = max(1 - sum(reported.values()), _UNSEEN)
    share = min(left / len(unknown), *reported.values()) if unknown else 0.0
    incoherent = bool(unknown) and sum(reported.values()) > 1 + _ROUNDED
    if most <= share or incoherent:
        return None
    total = sum(known.values()) + share * len(unknown)
    return {letter: known.get(letter, share) / total for letter in letters}


def _reported(token: Mapping[str, Any]) -> dict[str, float]:
    """The alternatives at a token with their probabilities; without those whose log-probability is no number."""
    listed = token.get("top_logprobs")
    alternatives = [*listed, token] if isinstance(listed, Sequence) else [token]
    reported: dict[str, float] = {}
    for alternative in alternatives:
        if not isinstance(alternative, Mapping):
            continue
        logprob = alternative.get("logprob")
        if isinstance(logprob, int | float) and not isinstance(logprob, bool) and logprob <= _ROUNDED:
            name = str(alternative.get("token", ""))
            reported[name] = max(reported.get(name, 0.0), math.exp(logprob))
    return reported


def _token_at(place: int, text: str, tokens: Sequence[Mapping[str, Any]]) -> _Place | None:
    """The token that holds a character, counted from the end of the reply.

    Little text follows an answer's letter, and most of it is ASCII. So characters can be counted from there, even
    if earlier tokens are parts of a character.
    """
    before = text
    for token in reversed(tokens):
        piece = str(token.get("token", ""))
        if before.endswith(piece):
            before = before[: len(before) - len(piece)]
            if len(before) <= place:
                return _Place(token, place - len(before))
        elif before != text:
            return None
    return None
