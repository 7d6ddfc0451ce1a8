"""The rules that compare traversals: duplicates, how many of a case, balance of letters and backtracks."""

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from ddxgraph.training.gate.config import Balance, GateConfig
from ddxgraph.training.gate.duplicates import near_twins
from ddxgraph.training.gate.reasons import Candidate, Reason, Rejection, Rule, remaining


def drop_duplicates(candidates: Sequence[Candidate], config: GateConfig) -> None:
    """Reject all but the first, in the order of the output, of those that are the same or nearly."""
    ids: set[str] = set()
    courses: dict[tuple[str, bytes], Candidate] = {}
    rule = Rule.EXACT_DUPLICATES
    for candidate in remaining(candidates):
        course = candidate.digest, candidate.course
        same = courses.get(course) if config.exact_duplicates.enabled else None
        if same is not None:
            detail = f"same course as {same.id}, which was accepted"
            candidate.rejection = Rejection(rule, Reason.SAME_COURSE, detail)
        elif candidate.id in ids:  # never two of one id: everything after the gate goes by it
            detail = "another traversal of this id was accepted"
            candidate.rejection = Rejection(rule, Reason.SAME_ID, detail)
        else:
            ids.add(candidate.id)
            courses[course] = candidate
    if config.near_duplicates.enabled:
        _drop_near_duplicates(remaining(candidates), config)


def _drop_near_duplicates(candidates: Sequence[Candidate], config: GateConfig) -> None:
    signatures = [candidate.signature for candidate in candidates if candidate.signature is not None]
    assert len(signatures) == len(candidates)  # noqa: S101 - made for all that came so far
    for place, twin in near_twins(signatures, config.near_duplicates).items():
        detail = f"{twin.similarity:.0%} like {candidates[twin.place].id}, which was accepted"
        candidates[place].rejection = Rejection(Rule.NEAR_DUPLICATES, Reason.SIMILAR_REASONING, detail)
    for candidate in candidates:
        candidate.signature = None


def limit_per_case(candidates: Sequence[Candidate], config: GateConfig) -> None:
    """Keep a number of each case, drawn by the seed. A case with its options shuffled is the same case."""
    if not config.per_case.enabled:
        return
    most = config.per_case.at_most
    kept: Counter[bytes] = Counter()
    for candidate in sorted(remaining(candidates), key=lambda c: (rank_of(config.seed, c.id), c.order)):
        kept[candidate.question] += 1
        if kept[candidate.question] > most:
            detail = f"{most} others of the case were drawn"
            candidate.rejection = Rejection(Rule.PER_CASE, Reason.CASE_IS_FULL, detail)


def balance(candidates: Sequence[Candidate], config: GateConfig) -> None:
    """Reject journeys whose answer letter or kind (straight or backtracking) is too frequent."""
    if not config.balance.enabled:
        return
    weighed = [
        Weighed(place, candidate.letter, candidate.backtracks > 0, rank_of(config.seed, candidate.id))
        for place, candidate in enumerate(candidates)
    ]
    for place, reason in dropped(weighed, config.balance).items():
        candidate = candidates[place]
        kind = "go back" if candidate.backtracks else "go straight"
        detail = f"too many {f'answer {candidate.letter}' if reason is Reason.LETTER_SHARE else kind}"
        candidate.rejection = Rejection(Rule.BALANCE, reason, detail)


class Weighed(NamedTuple):
    """What a journey counts as."""

    key: int
    letter: str
    """Of the option answered; empty for a free-form answer."""
    backtracks: bool
    rank: int
    """The highest is dropped first. It depends on the seed and the journey alone."""


def rank_of(seed: int, name: str) -> int:
    """The number that a seed gives to a name, the same on every machine; 0 to 2^64 - 1."""
    digest = hashlib.blake2b(f"{seed}\0{name}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big")


def dropped(journeys: Sequence[Weighed], config: Balance) -> dict[int, Reason]:
    """Keys of the journeys to drop. The order in which they are given makes no difference.

    First no letter keeps more than its share. Then the kind, straight or backtracking, that is too frequent
    gives up journeys down to the wanted share, each from the letter that has the most journeys of both kinds.
    """
    given_up: dict[int, Reason] = {}
    left = sorted(journeys, key=lambda journey: (journey.rank, journey.key))
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

    If there are too few letters to reach the share, an equal share of each is the limit.
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
    if not back or not straight:  # the share is 0 or 1 whatever is dropped
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
