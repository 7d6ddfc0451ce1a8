"""How probability is spread over the options' letters, read off a reply's log-probabilities."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


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
