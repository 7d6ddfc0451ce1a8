"""Balance: which journeys to drop, so that answer letters and backtracking come in proportion. Pure."""

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from ddxgraph.training.gate.config import Balance
from ddxgraph.training.gate.reasons import Reason


class Weighed(NamedTuple):
    """What a journey counts as."""

    key: int
    letter: str
    """Of the option answered; empty for a free-form answer."""
    backtracks: bool
    rank: int
    """By which is dropped first: the highest. Depends on the seed and the journey alone."""


def rank_of(seed: int, name: str) -> int:
    """A number that a seed gives to a name, the same wherever it stands; 0 to 2^64 - 1."""
    digest = hashlib.blake2b(f"{seed}\0{name}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big")


def dropped(journeys: Sequence[Weighed], config: Balance) -> dict[int, Reason]:
    """Keys of the journeys to drop. The order in which they are given makes no difference.

    First no letter keeps more than its share; then the kind, straight or backtracking, that is too many gives
    up journeys, each from the letter that has most of all kinds, down to the wanted share.
    """
    given_up: dict[int, Reason] = {}
    left = sorted(journeys, key=lambda one: (one.rank, one.key))
    if config.max_letter_share is not None:
        for journey in _over_letter(left, config.max_letter_share):
            given_up[journey.key] = Reason.LETTER_SHARE
        left = [journey for journey in left if journey.key not in given_up]
    if config.backtracking_share is not None:
        for journey in _over_kind(left, config.backtracking_share):
            given_up[journey.key] = Reason.BACKTRACKING_SHARE
    return given_up


def most_a_letter(counts: Mapping[str, int], share: float) -> int:
    """Most journeys that each letter may keep, so that none has more than a share of what is left.

    Where so few letters occur that the share cannot be reached, an equal share of each is the limit.
    """
    present = {letter: count for letter, count in counts.items() if count}
    if not present:
        return 0
    limit = max(_exact(share), Fraction(1, len(present)))
    low, high = 0, max(present.values())
    while low < high:
        middle = (low + high + 1) // 2
        left = [min(count, middle) for count in present.values()]
        if max(left) <= limit * sum(left):
            low = middle
        else:
            high = middle - 1
    return low


def _over_letter(journeys: Sequence[Weighed], share: float) -> list[Weighed]:
    lettered = [journey for journey in journeys if journey.letter]
    most = most_a_letter(Counter(journey.letter for journey in lettered), share)
    kept: Counter[str] = Counter()
    over = []
    for journey in lettered:
        kept[journey.letter] += 1
        if kept[journey.letter] > most:
            over.append(journey)
    return over


def _over_kind(journeys: Sequence[Weighed], share: float) -> list[Weighed]:
    back = sum(journey.backtracks for journey in journeys)
    straight = len(journeys) - back
    if not back or not straight:  # no share to come to but none or all
        return []
    wanted = _exact(share)
    if Fraction(back, len(journeys)) < wanted:
        kind, surplus = False, straight - math.floor(back * (1 - wanted) / wanted)
    else:
        kind, surplus = True, back - math.floor(straight * wanted / (1 - wanted))
    stacks: defaultdict[str, list[Weighed]] = defaultdict(list)
    for journey in journeys:
        if journey.backtracks is kind:
            stacks[journey.letter].append(journey)
    sizes = Counter(journey.letter for journey in journeys)
    over = []
    for _ in range(surplus):
        letter = max((key for key, stack in stacks.items() if stack), key=lambda key: (sizes[key], key))
        over.append(stacks[letter].pop())
        sizes[letter] -= 1
    return over


def _exact(share: float) -> Fraction:
    """A share as it is written: 0.4 is two fifths."""
    return Fraction(str(share))
