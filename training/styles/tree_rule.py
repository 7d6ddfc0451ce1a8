"""The tree rule of journey learning: how many tries of a node a training text keeps. Pure."""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from ddxgraph.common.errors import BadInput
from ddxgraph.graph.trace import Step
from ddxgraph.nodes.check_evidence import CHECK_EVIDENCE
from ddxgraph.nodes.generate_differential import GENERATE_DIFFERENTIAL
from ddxgraph.nodes.registry import END
from ddxgraph.nodes.review_history import REVIEW_HISTORY

LEAST_TRIES: Final = 2
"""One wrong and one right; without a wrong one there is no journey, which is what `shortcut` tells."""


class Taken(NamedTuple):
    """A step of a traversal, and whether the text tells it."""

    step: Step
    kept: bool


class _Round(NamedTuple):
    """From a start or a backtrack to the reflection that ends it, or to the end of the journey."""

    begins: str
    steps: tuple[Step, ...]


def all_taken(steps: Sequence[Step]) -> list[Taken]:
    """Every step, to be told."""
    return [Taken(step, kept=True) for step in steps]


def with_few_tries(steps: Sequence[Step], tries: int) -> list[Taken]:
    """Keep the first `tries - 1` and the last try of every on-path node.

    Backtracks divide a traversal into rounds. A backtrack abandons what stands below the stop that it goes back
    to, and the round that it begins is another try there. So the rounds form a tree: the children of the case
    are readings of its history, those of a reading are differentials, and those of a differential are checks of
    the evidence on each hypothesis. The on-path nodes are the ancestors of the conclusion: the case, its last
    reading, the last differential under that, and each hypothesis checked under that. The last try of each is
    the right one: it led to the conclusion. Of the wrong ones before it the first `tries - 1` stay. An off-path
    branch stays or goes as a whole, so that it is always followed to its end before the backtrack.

    Where tries are left out, the backtrack that led to the first of them leads to the last one instead. A round
    goes with its checks if none of them stays. What a skipped step brought in (a finding, a hypothesis, a
    refutation) is told by `journey` where a step that stays speaks of it.

    Source: O1 Replication Journey, Part 1 (arXiv 2410.18982), on building journeys from a reasoning tree.

    Args:
        steps: of one traversal, in order.
        tries: most tries of each on-path node, at least 2: one wrong, one right.

    Returns:
        All the steps in order. A step whose backtrack now leads elsewhere is a copy with that move's targets.

    Raises:
        BadInput: `tries` is less than 2.
    """
    if tries < LEAST_TRIES:
        raise BadInput(f"tries is {tries}: keep at least 2, one wrong and one right, or compile `shortcut`")
    rounds = _rounds(steps)
    whole = range(len(rounds))
    dropped, path = _between(whole, rounds, REVIEW_HISTORY.name, tries)
    more, path = _between(path, rounds, GENERATE_DIFFERENTIAL.name, tries)
    checks = _checks_left_out(path, rounds, tries)
    gone = dropped | more | _emptied(path, rounds, checks)
    return _retold(rounds, gone, checks)


def _rounds(steps: Sequence[Step]) -> list[_Round]:
    rounds: list[_Round] = []
    begins: str = REVIEW_HISTORY.name
    current: list[Step] = []
    for step in steps:
        current.append(step)
        if step.move.backtrack and step.move.to != END:
            rounds.append(_Round(begins, tuple(current)))
            begins, current = step.move.to, []
    return [*rounds, _Round(begins, tuple(current))]


def _between(
    path: Sequence[int], rounds: Sequence[_Round], stop: str, tries: int
) -> tuple[set[int], Sequence[int]]:
    """Among the rounds of an on-path node: those of the tries that go, and those of the last try."""
    starts = [place for place in path if place == path[0] or rounds[place].begins == stop]
    last = starts[-1]
    gone = set(range(starts[tries - 1], last)) if len(starts) > tries else set()
    return gone, range(last, path[-1] + 1)


def _checks_left_out(path: Sequence[int], rounds: Sequence[_Round], tries: int) -> set[int]:
    """Indices of the checks that go, under the last differential."""
    by_hypothesis: dict[str, list[int]] = {}
    for place in path:
        for step in rounds[place].steps:
            if step.branch is not None:
                by_hypothesis.setdefault(step.branch, []).append(step.index)
    return {index for checks in by_hypothesis.values() for index in checks[tries - 1 : -1]}


def _emptied(path: Sequence[int], rounds: Sequence[_Round], checks: set[int]) -> set[int]:
    """Rounds of rechecks none of which stays. The last round holds the conclusion and always stays."""
    return {
        place
        for place in path[1:-1]
        if not any(step.branch is not None and step.index not in checks for step in rounds[place].steps)
    }


def _retold(rounds: Sequence[_Round], gone: set[int], checks: set[int]) -> list[Taken]:
    taken: list[Taken] = []
    leads: int | None = None
    """Place among `taken` of the last backtrack that stays."""
    for place, a_round in enumerate(rounds):
        if leads is not None and place not in gone:
            taken[leads] = _leading_to(taken[leads], a_round, rounds[place - 1], checks)
        taken += [Taken(step, kept=place not in gone and step.index not in checks) for step in a_round.steps]
        if place not in gone:
            leads = len(taken) - 1
    return taken


def _leading_to(back: Taken, a_round: _Round, before: _Round, checks: set[int]) -> Taken:
    """The backtrack that now begins a round: with the targets of the one that did."""
    targets = before.steps[-1].move.targets
    if a_round.begins == CHECK_EVIDENCE.name:
        targets = _standing(targets, a_round.steps, checks)
    if targets == back.step.move.targets:
        return back
    move = back.step.move.model_copy(update={"targets": targets})
    return Taken(back.step.model_copy(update={"move": move}), back.kept)


def _standing(targets: Iterable[str], steps: Sequence[Step], checks: set[int]) -> tuple[str, ...]:
    left_out = {step.branch for step in steps if step.index in checks}
    return tuple(key for key in targets if key not in left_out)
