"""The looser rule of published code, for comparison only: it finds an answer in any text.

Published tables of this field are often scored so, and the figures lie above a strict rule's. The rule is that
of HuatuoGPT-o1's evaluation script (github.com/FreedomIntelligence/HuatuoGPT-o1, `evaluation/scorer.py`),
described here and written anew. Of a text it takes, by the first of these that finds something:

1. What follows the last heading `## Final Response` and a blank line, where there is one; all of it otherwise.
2. `answer is`, white space or none, and a capital letter from A to N. What follows the letter does not
   matter, so that "the answer is Asthma" is an A.
3. A letter of the options that stands alone: at the beginning or behind anything but a letter, digit or
   underscore, and before anything but those, or the end. `A` before a space is no answer. A Chinese character
   counts as a border. Two finds share no character: of `A,B,C` they are A and C.
4. An option's text, whatever its case. Of several options the one that is mentioned last.
5. The option whose text is most similar to the whole text, by `difflib`'s ratio; of equals the last. So that a
   text without any answer still gets one.

Rules 2 and 3 may find several letters: the *first* and the *last* are kept, and the published figure is the
better of the two over the whole benchmark, chosen with the gold answers in hand. Under rule 4 *last* is the
option whose last mention comes last, and *first* the one whose first mention comes last: the published code
sorts both downwards.
"""

import re
from collections.abc import Mapping
from difflib import SequenceMatcher
from functools import lru_cache
from typing import Final, NamedTuple

_HEADING: Final = "## Final Response\n\n"
_STATED: Final = re.compile(r"answer is\s*([A-N])")
_BORDER: Final = r"\W|[\u4e00-\u9fff]"


class Found(NamedTuple):
    """The letters that the rule finds in a text."""

    first: str
    last: str


def find_letters(text: str, options: Mapping[str, str]) -> Found:
    """The first and the last answer that a text can be taken for; always letters, right or wrong.

    Args:
        text: the model's final text.
        options: letter to text; two at least.
    """
    text = text.rsplit(_HEADING, 1)[-1]
    letters = _STATED.findall(text) or _standing_alone("".join(options)).findall(text)
    if letters:
        return Found(letters[0], letters[-1])
    return _mentioned(text.lower(), options) or _most_similar(text.lower(), options)


@lru_cache(maxsize=64)
def _standing_alone(letters: str) -> re.Pattern[str]:
    return re.compile(rf"(?:^|{_BORDER})(?!A )([{letters}])(?:{_BORDER}|$)")


def _mentioned(text: str, options: Mapping[str, str]) -> Found | None:
    named = {letter: said for letter, option in options.items() if (said := option.lower()) in text}
    if not named:
        return None
    return Found(
        first=max(named, key=lambda letter: text.index(named[letter])),
        last=max(named, key=lambda letter: text.rindex(named[letter])),
    )


def _most_similar(text: str, options: Mapping[str, str]) -> Found:
    matcher = SequenceMatcher(None)
    matcher.set_seq2(text)  # what difflib works out once and keeps
    best, most = "", 0.0
    for letter, option in options.items():
        matcher.set_seq1(option.lower())
        ratio = matcher.ratio()
        if ratio >= most:
            best, most = letter, ratio
    return Found(best, best)
