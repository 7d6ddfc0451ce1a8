"""The rules that compare traversals with each other: duplicates, how many of a case, balance."""

from collections import Counter
from collections.abc import Sequence

from ddxgraph.training.gate.balance import Weighed, dropped, rank_of
from ddxgraph.training.gate.candidate import Candidate, remaining
from ddxgraph.training.gate.config import GateConfig
from ddxgraph.training.gate.duplicates import near_twins
from ddxgraph.training.gate.reasons import Reason, Rejection, Rule


def drop_duplicates(candidates: Sequence[Candidate], config: GateConfig) -> None:
    """Of those that are the same, or nearly, reject all but the first in the order of the output."""
    ids: dict[str, Candidate] = {}
    courses: dict[tuple[str, bytes], Candidate] = {}
    rule = Rule.EXACT_DUPLICATES
    for one in remaining(candidates):
        same = courses.get((one.digest, one.course)) if config.exact_duplicates.enabled else None
        if same is not None:
            one.rejection = Rejection(rule, Reason.SAME_COURSE, f"the course of {same.id}, which is taken")
        elif one.id in ids:  # never two of one id: everything after the gate goes by it
            one.rejection = Rejection(rule, Reason.SAME_ID, "another traversal of its id is taken")
        else:
            ids[one.id] = courses[one.digest, one.course] = one
    if config.near_duplicates.enabled:
        _drop_near_duplicates(remaining(candidates), config)


def _drop_near_duplicates(candidates: Sequence[Candidate], config: GateConfig) -> None:
    signatures = [one.signature for one in candidates if one.signature is not None]
    assert len(signatures) == len(candidates)  # noqa: S101 - made for all that came so far
    for place, twin in near_twins(signatures, config.near_duplicates).items():
        words = f"{twin.similarity:.0%} like {candidates[twin.place].id}, which is taken"
        candidates[place].rejection = Rejection(Rule.NEAR_DUPLICATES, Reason.SIMILAR_REASONING, words)
    for one in candidates:
        one.signature = None


def limit_per_case(candidates: Sequence[Candidate], config: GateConfig) -> None:
    """Keep so many of each case, drawn by the seed. The same case with its options shuffled is one case."""
    if not config.per_case.enabled:
        return
    most = config.per_case.at_most
    taken: Counter[bytes] = Counter()
    for one in sorted(remaining(candidates), key=lambda one: (rank_of(config.seed, one.id), one.order)):
        taken[one.question] += 1
        if taken[one.question] > most:
            words = f"{most} others of the case were drawn"
            one.rejection = Rejection(Rule.PER_CASE, Reason.CASE_IS_FULL, words)


def balance(candidates: Sequence[Candidate], config: GateConfig) -> None:
    """Reject those that are too many of their answer letter, or of their kind: straight or backtracking."""
    if not config.balance.enabled:
        return
    weighed = [
        Weighed(place, one.letter, one.backtracks > 0, rank_of(config.seed, one.id))
        for place, one in enumerate(candidates)
    ]
    for place, reason in dropped(weighed, config.balance).items():
        one = candidates[place]
        kind = f"answer {one.letter}" if reason is Reason.LETTER_SHARE else _kind(one)
        one.rejection = Rejection(Rule.BALANCE, reason, f"too many {kind}")


def _kind(candidate: Candidate) -> str:
    return "go back" if candidate.backtracks else "go straight"
