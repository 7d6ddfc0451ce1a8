"""A path on one line, with visible backtracks: `H > D > E:A E:B > R <- E:A > R > C`. Pure."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from ddxgraph.graph.trace import Step
from ddxgraph.nodes.registry import node
from ddxgraph.view.data.course import Stop
from ddxgraph.view.terminal.screen import Signs


class _Leg(NamedTuple):
    """A stop on the trunk, or the checks of a round."""

    stops: Sequence[str]
    """As `path_line` writes them."""
    short: str
    back: bool
    """Whether a backtrack leads here."""


def path_line(steps: Sequence[Step], awaited: Sequence[Stop], signs: Signs) -> str:
    """Write out every stop.

    Args:
        steps: the steps so far.
        awaited: the stops in progress.
        signs: of the console.

    Returns:
        Letters of the stops, with `!` after a failed one and brackets around those in progress.
    """
    path = ""
    for leg in _legs(steps):
        path += _joint(leg.back, path, signs) + " ".join(leg.stops)
    if not awaited:
        return path
    joint = " " if _same_round(steps, awaited) else _joint(_goes_back(steps), path, signs)
    return f"{path}{joint}[{' '.join(_stop(stop) for stop in awaited)}]"


def short_path(steps: Sequence[Step], awaited: Sequence[Stop], signs: Signs) -> str:
    """Abbreviate the path, with checks as a number: `H D 4E R <- 2E R C`.

    Args:
        steps: the steps so far.
        awaited: the stops in progress.
        signs: of the console.

    Returns:
        The path, as in `path_line` otherwise.
    """
    parts = []
    for leg in _legs(steps):
        parts += [signs.back, leg.short] if leg.back else [leg.short]
    if awaited:
        parts += [signs.back] if _goes_back(steps) else []
        parts.append(f"[{_counted([_letter(stop.node) for stop in awaited])}]")
    return " ".join(parts)


def _legs(steps: Sequence[Step]) -> Iterator[_Leg]:
    back = False
    for _, group in groupby(enumerate(steps), lambda pair: -1 if pair[1].branch else pair[0]):
        leg = [step for _, step in group]
        failed = "!" if any(step.failure for step in leg) else ""
        yield _Leg(
            [_stop(Stop(step.node, step.branch)) + ("!" if step.failure else "") for step in leg],
            _counted([_letter(step.node) for step in leg]) + failed,
            back,
        )
        back = leg[-1].move.backtrack


def _joint(back: bool, path: str, signs: Signs) -> str:
    return f" {signs.back if back else signs.on} " if path else ""


def _goes_back(steps: Sequence[Step]) -> bool:
    return bool(steps) and steps[-1].move.backtrack


def _same_round(steps: Sequence[Step], awaited: Sequence[Stop]) -> bool:
    return bool(steps) and steps[-1].branch is not None and awaited[0].branch is not None


def _stop(stop: Stop) -> str:
    return f"{_letter(stop.node)}:{stop.branch}" if stop.branch else _letter(stop.node)


def _letter(name: str) -> str:
    return node(name).letter


def _counted(letters: Sequence[str]) -> str:
    return f"{len(letters)}{letters[0]}" if len(letters) > 1 else letters[0]
