"""The registry of styles. Everything that lists styles takes them from here.

To add one, write a module whose function tells a parsed traversal as text, and list it in `_SHIPPED`. The
registry itself is light: `--help` reads names and facts without importing what tells a journey.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from ddxgraph.common.errors import BadInput
from ddxgraph.nodes.strategies import GRAPH, known_strategy

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

    from ddxgraph.training.styles.journey import ParsedTrace

Kind = Literal["journey", "control", "conversation"]
"""What a style tells: the whole journey with its detours; a control without them; the turns of the nodes."""

Tell = Callable[["ParsedTrace", str], "str | Sequence[Sequence[BaseMessage]]"]
"""Tells a traversal, in wordings that a seed (any text) picks: one reply, or whole conversations.

Raises `CompileError` where the traversal cannot be told.
"""


class UnknownStyle(BadInput):
    """No style has this name."""


@dataclass(frozen=True, kw_only=True)
class Style:
    """A way to tell a journey as training data."""

    name: str
    """Lower case; also the name of a set's folder and of an experiment's arm."""
    kind: Kind
    """The tree rule (`tries`) applies to `journey`; a vote over samples to all but `conversation`."""
    strategy: str
    """The strategy that asks a model trained on it at inference. A reply is put after this strategy's prompt."""
    summary: str
    """What a sample tells, in one sentence of the dataset card that begins with `Each`."""
    tell: Tell
    rewritten: bool = False
    """Whether `--rewrite` has a model put the text into its own words."""


def _longstep(parsed: "ParsedTrace", seed: str) -> str:
    from ddxgraph.training.styles.longstep import steps_told
    from ddxgraph.training.styles.recover import recoverable

    return recoverable(steps_told(parsed.journey, parsed.options, seed), parsed)


def _longmonolog(parsed: "ParsedTrace", seed: str) -> str:
    from ddxgraph.training.styles.longmonolog import monologue
    from ddxgraph.training.styles.recover import recoverable

    return recoverable(monologue(parsed.journey, parsed.options, seed), parsed)


def _shortcut(parsed: "ParsedTrace", seed: str) -> str:
    from ddxgraph.training.styles.shortcut import shortcut

    return shortcut(parsed, seed)


def _straight(parsed: "ParsedTrace", seed: str) -> str:
    from ddxgraph.training.styles.straight import straight

    return straight(parsed, seed)


def _cot(parsed: "ParsedTrace", seed: str) -> str:
    from ddxgraph.training.styles.shortcut import brief

    return brief(parsed)


def _graph(parsed: "ParsedTrace", seed: str) -> "list[list[BaseMessage]]":
    from ddxgraph.training.styles.graph import conversations

    return conversations(parsed.trace)


_SHIPPED: Final = (
    Style(
        name="longstep",
        kind="journey",
        strategy="longstep",
        summary="Each tells a whole journey in titled steps, in the order walked: wrong hypotheses, their "
        "refutation and every backtrack included (LongStep, arXiv 2501.06458).",
        tell=_longstep,
    ),
    Style(
        name="longmonolog",
        kind="journey",
        strategy="longmonolog",
        summary="Each tells a whole journey as one monologue in the first person, wrong hypotheses, their "
        "refutation and every backtrack included (LongMonolog, arXiv 2501.06458).",
        tell=_longmonolog,
        rewritten=True,
    ),
    Style(
        name="shortcut",
        kind="control",
        strategy="shortcut",
        summary="Each tells the successful path alone, without a detour (shortcut learning, arXiv 2410.18982).",
        tell=_shortcut,
    ),
    Style(
        name="straight",
        kind="control",
        strategy="straight",
        summary="Each weighs every candidate, as a journey does, but in one pass: the wrong turns alone are left "
        "out.",
        tell=_straight,
    ),
    Style(
        name="cot",
        kind="control",
        strategy="cot",
        summary="Each is a short step-by-step answer, as the control CoT-SFT of arXiv 2501.06458.",
        tell=_cot,
    ),
    Style(
        name="graph",
        kind="conversation",
        strategy=GRAPH,
        summary="Each is the conversation of a traversal's own nodes with their model, replies in JSON.",
        tell=_graph,
    ),
)


def _checked(style: Style) -> Style:
    known_strategy(style.strategy)
    return style


_STYLES: Final = {style.name: _checked(style) for style in _SHIPPED}


def style_names(*kinds: Kind) -> tuple[str, ...]:
    """Names of the styles of some kinds, or of all; in the order of the registry."""
    return tuple(name for name, style in _STYLES.items() if not kinds or style.kind in kinds)


def rewritten_styles() -> tuple[str, ...]:
    """Names of the styles that `--rewrite` is for."""
    return tuple(name for name, style in _STYLES.items() if style.rewritten)


def style_of(name: str) -> Style:
    """The style of a name.

    Raises:
        UnknownStyle: there is none; the message names those that there are.
    """
    if name not in _STYLES:
        raise UnknownStyle(f"there is no style {name!r}: choose one of {', '.join(_STYLES)}")
    return _STYLES[name]


def check_tries(style: Style, tries: int | None) -> None:
    """Check that the tree rule applies to a style.

    Raises:
        BadInput: it does not, and `tries` is given.
    """
    if tries is not None and style.kind != "journey":
        allowed = " and ".join(style_names("journey"))
        raise BadInput(f"tries is for {allowed}, not for {style.name}: leave it out")


@contextmanager
def registered(style: Style) -> Iterator[Style]:
    """Have a style known for a while, such as in a test or a notebook.

    Raises:
        BadInput: the name is taken, or there is no such strategy.
    """
    if style.name in _STYLES:
        raise BadInput(f"there is a style {style.name!r} already: give yours another name")
    _STYLES[style.name] = _checked(style)
    try:
        yield style
    finally:
        del _STYLES[style.name]
