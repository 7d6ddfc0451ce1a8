"""The plot of what prompting for steps brings each model, against its size."""

from collections.abc import Sequence
from string import ascii_lowercase
from textwrap import fill
from typing import Final

from matplotlib.axes import Axes

from ddxgraph.common.words import model_in_words, points, points_interval
from ddxgraph.eval.report.models import GainSet, PromptGain, PublishedGain
from ddxgraph.eval.report.plots.axes import (
    PUBLISHED,
    handle,
    inside,
    listed,
    log_billions,
    note,
    published_handle,
    tag,
    whiskers,
)
from ddxgraph.eval.report.plots.picture import (
    MUTED,
    PAGE,
    NumberTable,
    Picture,
    entitle,
    legend,
    picture,
    sheet,
    short,
    sign_of,
)

_NAME: Final = 30
"""Characters of a model's name where others stand on its line."""
_NO_BREAK: Final = "\N{NO-BREAK SPACE}"
_WIDTH: Final = 80
"""Characters of a line below the plot."""


def gain_plot(name: str, found: GainSet) -> Picture:
    """What prompting for steps brings each model, against its size; published ones beside."""
    drawn = [one for one in found.own if one.parameters is not None]
    letters = _letters(found.published)
    unknown = [row for row in found.every if row.parameters is None]
    figure, axes = sheet()
    draw_gains(axes, found)
    entries = [
        (
            handle(axes, sign_of(min(one.cot)), joined=False, incomplete=bool(one.left_out)),
            f"{_pair(one)}  {short(model_in_words(one.model, one.adapter))}{note(bool(one.left_out))}",
        )
        for one in drawn
    ]
    # A line may end between models, and not within a name.
    known = ", ".join(f"{letter} {model}".replace(" ", _NO_BREAK) for model, letter in letters.items())
    if known:
        entries.append((published_handle(axes), fill(f"published, on whole test splits: {known}", _WIDTH)))
    entries += [(axes.plot([], [], linestyle="none")[0], _not_drawn(row)) for row in unknown]
    title = f"What step-by-step prompting brings, by model size: {found.items}"
    entitle(axes, title)
    legend(figure, entries)
    alt = f"{title}. " + listed(
        f"{model_in_words(one.model, one.adapter)} ({size_in_words(one.parameters)}){note(bool(one.left_out))}: "
        f"{points(one.difference)} points ({points_interval(one)})"
        for one in found.own
    )
    beside = "; ".join(
        f"{row.model} ({size_in_words(row.parameters)}): {points(row.difference)}" for row in found.published
    )
    head = ("Model", "Parameters", "Runs", "Cases", "Points, cot less vanilla", "95% interval", "Note")
    return picture(
        name,
        title,
        alt + (f" Published: {beside}." if beside else ""),
        NumberTable(head, _gain_rows(found)),
        figure,
    )


def draw_gains(axes: Axes, found: GainSet) -> None:
    """The differences in percentage points against billions of parameters; what has no size is not drawn."""
    axes.axhline(0, color=MUTED, linewidth=1.2, zorder=1.6)
    _draw_published(axes, found.published)
    _draw_own(axes, found.own)
    own = [one for one in found.own if one.parameters is not None]
    told = [row for row in found.published if row.parameters is not None]
    log_billions(axes, [one.parameters for one in found.every if one.parameters is not None])
    ends = [0.0, *(row.difference for row in told), *(end for one in own for end in (one.low, one.high))]
    margin = 8 * (max(ends) - min(ends)) + 0.5
    axes.set_ylim(100 * min(ends) - margin, 100 * max(ends) + margin)
    axes.set_xlabel("Parameters (billions, log scale)")
    axes.set_ylabel("cot less vanilla (points), 95% interval")


def _draw_published(axes: Axes, published: Sequence[PublishedGain]) -> None:
    known = {row.model: row for row in published}
    for place, (model, letter) in enumerate(_letters(published).items()):
        x, y = float(known[model].parameters or 0), 100 * known[model].difference
        axes.plot(
            x, y, color=MUTED, marker=PUBLISHED.marker, markersize=6, markerfacecolor=PAGE, linestyle="none",
            zorder=2,
        )  # fmt: skip
        # Models of one size stand in pairs: letters to either side do not cover each other.
        left = place % 2 == 0
        axes.annotate(
            letter, (x, y), xytext=(-6 if left else 6, 0), textcoords="offset points", fontsize=9,
            color=MUTED, ha="right" if left else "left", va="center", zorder=1.7,
            bbox={"facecolor": PAGE, "edgecolor": "none", "pad": 0.5},
        )  # fmt: skip


def _draw_own(axes: Axes, own: Sequence[PromptGain]) -> None:
    for one in own:
        if one.parameters is None:
            continue
        sign, y = sign_of(min(one.cot)), 100 * one.difference
        axes.errorbar(
            one.parameters, y, yerr=whiskers([(one.difference, one.low, one.high)]), color=sign.colour,
            marker=sign.marker, markersize=7, markerfacecolor=inside(sign, bool(one.left_out)), capsize=3,
            linewidth=1.4, zorder=3,
        )  # fmt: skip
        tag(axes, str(min(one.cot)), one.parameters, y, sign)


def _gain_rows(found: GainSet) -> tuple[tuple[str, ...], ...]:
    own = [
        (
            model_in_words(one.model, one.adapter),
            size_in_words(one.parameters),
            "; ".join(one.names),
            str(one.n),
            points(one.difference),
            points_interval(one),
            f"incomplete: {one.left_out} unscored cases left out" if one.left_out else "",
        )
        for one in found.own
    ]
    told = [
        (row.model, size_in_words(row.parameters), "published", "–", points(row.difference), "–", "")
        for row in found.published
    ]
    return (*own, *told)


def _letters(published: Sequence[PublishedGain]) -> dict[str, str]:
    """A letter for each published model that has a size, in the order of sizes."""
    known = sorted((row.parameters, row.difference, row.model) for row in published if row.parameters)
    return {model: letter for (*_, model), letter in zip(known, ascii_lowercase, strict=False)}


def _pair(one: PromptGain) -> str:
    return f"{', '.join(map(str, one.cot))} less {', '.join(map(str, one.vanilla))}"


def _not_drawn(row: PromptGain | PublishedGain) -> str:
    """A model without a known size, in the legend."""
    if isinstance(row, PublishedGain):
        return f"size unknown, not drawn: {row.model}, published, {points(row.difference)}"
    name, torn = short(model_in_words(row.model, row.adapter), _NAME), note(bool(row.left_out))
    return f"size unknown, not drawn: {_pair(row)}  {name}, {points(row.difference)}{torn}"


def size_in_words(billions: float | None) -> str:
    """Such as `7B`."""
    return "size unknown, not drawn" if billions is None else f"{billions:g}B"
