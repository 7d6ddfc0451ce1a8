"""The answer that a reply states, by one strict rule, and the probability of each option where it states it."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

STATEMENT_RULE: Final = "1"
"""Version of the rule. Any change to what `stated` accepts raises it.

1. Reasoning blocks are no part of the answer: where `</think>` stands, only what follows the last one is read;
   where a `<think>` is then still open, nothing is.
2. The statement is the last line that holds something other than white space. No other line is looked at: a
   model that goes on after a statement may take it back, and two statements leave it open which one counts.
3. The line is `Answer:` and what it states, with nothing before it. The word in any case, the colon half- or
   full-width, white space around it free. Marks of Markdown emphasis (`*`, `_` and the backtick) and a final
   full stop are passed over.
4. With options, what is stated is one of their letters, a capital: `B`, `(B)`, or either of them followed by
   `.`, `)` or `:`. That option's own text may follow, set off by one of these signs, white space or a dash, or
   in parentheses; it may differ in nothing but case, white space, emphasis and the final full stop. Anything
   else (another letter, a second one, other words) states nothing. The text without the letter states nothing.
5. Without options, what is stated is the rest of the line, 1 to 200 characters, its emphasis taken off where it
   is paired or stands at an end; a full stop stays.
6. A text that was cut off states nothing: its last line is not known.
"""
STATEMENT_CHARS: Final = 200
"""Longest answer in words."""

_MARKS: Final = "*_`"
_STATEMENT: Final = re.compile(r"\s*answer\s*[:\uff1a]\s*", re.IGNORECASE)
_LETTER: Final = re.compile(r"(?:\((?P<held>[A-Z])\)|(?P<bare>[A-Z]))(?P<sign>[.):]?)(?P<rest>.*)", re.DOTALL)
_SET_OFF: Final = re.compile(r"\s*[-\u2013\u2014]\s*|\s+|(?=\()")
_PAIRED: Final = re.compile(r"(\*{1,3}|_{1,3}|`)(\S(?:.*?\S)?)\1")
_HEAD: Final = re.compile(r"[\s*_`]*answer[\s*_`]*[:\uff1a]", re.IGNORECASE)


class Statement(NamedTuple):
    """An answer as a text states it."""

    answer: str
    """An option's letter, or words in a free-form case."""
    words: str
    """The line that states it, as it stands in the text."""
    place: int
    """Index of the letter in the text; -1 in a free-form case."""


class _Line(NamedTuple):
    """A line without its emphasis."""

    text: str
    places: tuple[int, ...]
    """Where in the whole text each character stands."""


def stated(text: str, options: Mapping[str, str]) -> Statement | None:
    """The answer that a text states, by the rule of `STATEMENT_RULE`.

    Args:
        text: the whole reply, not cut off.
        options: letter to text; empty for a free-form case.

    Returns:
        The statement; None where the text states no answer.
    """
    start, end = _last_line(text)
    words = text[start:end]
    if not options:
        return _in_words(words)
    kept = tuple(place for place in range(start, end) if text[place] not in _MARKS)
    line = _Line("".join(text[place] for place in kept), kept)
    head = _STATEMENT.match(line.text)
    said = _LETTER.fullmatch(line.text, head.end()) if head else None
    if said is None:
        return None
    group = "held" if said["held"] else "bare"
    letter = said[group]
    if letter not in options or not _is_own(said, options[letter]):
        return None
    return Statement(letter, words, line.places[said.start(group)])


def _last_line(text: str) -> tuple[int, int]:
    """Where the last line that holds something starts and ends; nothing of a block of reasoning counts."""
    begin = text.rfind("</think>")
    begin = 0 if begin < 0 else begin + len("</think>")
    if "<think>" in text[begin:]:
        return len(text), len(text)
    end = begin + len(text[begin:].rstrip())
    start = max(begin, text.rfind("\n", 0, end) + 1)
    return start + len(text[start:end]) - len(text[start:end].lstrip()), end


def _in_words(words: str) -> Statement | None:
    """The statement of a free-form case."""
    line = _PAIRED.sub(r"\2", words)
    head = _HEAD.match(line)
    answer = line[head.end() :].strip().strip(_MARKS).strip() if head else ""
    return Statement(answer, words, -1) if 0 < len(answer) <= STATEMENT_CHARS else None


def _is_own(said: re.Match[str], option: str) -> bool:
    """Whether what follows a letter is nothing, or the option's own text."""
    rest = said["rest"]
    if not _plain(rest):
        return True
    lead = _SET_OFF.match(rest)
    if lead is None and not said["sign"]:
        return False
    told, own = _plain(rest[lead.end() if lead else 0 :]), _plain(option)
    return told in {own, f"({own})"}


def _plain(text: str) -> str:
    """A text without what may differ."""
    bare = "".join(character for character in text if character not in _MARKS)
    return " ".join(bare.split()).rstrip(". ").casefold()


class _Place(NamedTuple):
    token: Mapping[str, Any]
    offset: int
    """Where in the token's text the letter stands."""


def probabilities_at(
    place: int, text: str, tokens: Sequence[Mapping[str, Any]] | None, letters: Sequence[str], closing: str
) -> dict[str, float] | None:
    """Probability of each option's letter at a place of a reply.

    Engines report log-probabilities before the grammar's mask, so most of the mass may lie on other tokens:
    it is renormalised over the letters. A letter outside the reported alternatives gets the smallest
    reported probability, its upper bound.

    Args:
        place: index of the letter in the text.
        text: the reply.
        tokens: OpenAI's `logprobs.content`.
        letters: the options.
        closing: characters that may follow a letter in its token; a token with others is a word.

    Returns:
        Letter to probability, summing to one; None where the letter's token cannot be found.
    """
    found = _token_at(place, text, tokens) if tokens and letters and place >= 0 else None
    if found is None:
        return None
    lead = str(found.token["token"])[: found.offset]
    listed = [*(found.token.get("top_logprobs") or ()), found.token]
    told: dict[str, float] = {}
    for alternative in listed:
        said = str(alternative["token"])
        letter = said[len(lead) : len(lead) + 1]
        closes = said[len(lead) + 1 :].lstrip(closing) == ""
        if said.startswith(lead) and letter in letters and closes:
            told[letter] = max(told.get(letter, -math.inf), float(alternative["logprob"]))
    if not told:
        return None
    floor = min(float(alternative["logprob"]) for alternative in listed)
    return _softmax({letter: told.get(letter, floor) for letter in letters})


def _token_at(place: int, text: str, tokens: Sequence[Mapping[str, Any]]) -> _Place | None:
    """The token that holds a character, counted back from the end of the reply.

    Little follows an answer's letter, mostly ASCII, so characters can be counted there even where earlier
    tokens are pieces of a character.
    """
    shown = text
    for token in reversed(tokens):
        piece = str(token.get("token", ""))
        if shown.endswith(piece):
            shown = shown[: len(shown) - len(piece)]
            if len(shown) <= place:
                return _Place(token, place - len(shown))
        elif shown != text:
            return None
    return None


def _softmax(logits: Mapping[str, float]) -> dict[str, float]:
    top = max(logits.values())
    weights = {key: math.exp(value - top) for key, value in logits.items()}
    total = sum(weights.values())
    return {key: weight / total for key, weight in weights.items()}
