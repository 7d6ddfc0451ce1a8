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
    finished,
    handle,
    log_billions,
    marks,
    note,
    published_handle,
    tag,
    whiskers,
)
from ddxgraph.eval.report.plots.picture import MUTED, PAGE, NumberTable, Picture, sheet, short, sign_of

_NAME: Final = 30
"""Characters of a model's name where others share its line."""
_NO_BREAK: Final = "\N{NO-BREAK SPACE}"
_WIDTH: Final = 80
"""Characters of a line below the plot."""


def gain_plot(name: str, gains: GainSet) -> Picture:
    """What prompting for steps brings each model, against its size, beside the published gains."""
    letters = _letters(gains.published)
    _, axes = sheet()
    draw_gains(axes, gains)
    entries = [
        (
            handle(axes, sign_of(min(gain.cot)), joined=False, incomplete=bool(gain.left_out)),
            f"{_pair(gain)}  {short(model_in_words(gain.model, gain.adapter))}{note(bool(gain.left_out))}",
        )
        for gain in gains.own
        if gain.parameters is not None
    ]
    # A line may end between models, not within a name.
    known = ", ".join(f"{letter} {model}".replace(" ", _NO_BREAK) for model, letter in letters.items())
    if known:
        entries.append((published_handle(axes), fill(f"published, on whole test splits: {known}", _WIDTH)))
    entries += [
        (axes.plot([], [], linestyle="none")[0], _not_drawn(gain))
        for gain in gains.every
        if gain.parameters is None
    ]
    series = (
        f"{model_in_words(gain.model, gain.adapter)} ({size_in_words(gain.parameters)})"
        f"{note(bool(gain.left_out))}: {points(gain.difference)} points ({points_interval(gain)})"
        for gain in gains.own
    )
    beside = "; ".join(
        f"{row.model} ({size_in_words(row.parameters)}): {points(row.difference)}" for row in gains.published
    )
    head = ("Model", "Parameters", "Runs", "Cases", "Points, cot less vanilla", "95% interval", "Note")
    return finished(
        name,
        f"What step-by-step prompting brings, by model size: {gains.items}",
        axes,
        series=series,
        table=NumberTable(head, _gain_rows(gains)),
        entries=entries,
        beside=f" Published: {beside}." if beside else "",
    )


def draw_gains(axes: Axes, gains: GainSet) -> None:
    """The differences in percentage points against billions of parameters, of models of known size."""
    axes.axhline(0, color=MUTED, linewidth=1.2, zorder=1.6)
    _draw_published(axes, gains.published)
    own = [gain for gain in gains.own if gain.parameters is not None]
    for gain in own:
        sign, y, reach = (
            sign_of(min(gain.cot)),
            100 * gain.difference,
            [(gain.difference, gain.low, gain.high)],
        )
        marks(
            axes, gain.parameters, y, sign, incomplete=bool(gain.left_out), yerr=whiskers(reach), markersize=7,
            capsize=3, linewidth=1.4, zorder=3,
        )  # fmt: skip
        tag(axes, str(min(gain.cot)), gain.parameters or 0.0, y, sign)
    log_billions(axes, [gain.parameters for gain in gains.every if gain.parameters is not None])
    ends = [0.0, *(end for gain in own for end in (gain.low, gain.high))]
    ends += [row.difference for row in gains.published if row.parameters is not None]
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
        # Models of one size come in pairs: letters on either side do not overlap.
        left = place % 2 == 0
        axes.annotate(
            letter, (x, y), xytext=(-6 if left else 6, 0), textcoords="offset points", fontsize=9,
            color=MUTED, ha="right" if left else "left", va="center", zorder=1.7,
            bbox={"facecolor": PAGE, "edgecolor": "none", "pad": 0.5},
        )  # fmt: skip


def _gain_rows(gains: GainSet) -> tuple[tuple[str, ...], ...]:
    own = [
        (
            model_in_words(gain.model, gain.adapter),
            size_in_words(gain.parameters),
            "; ".join(gain.names),
            str(gain.n),
            points(gain.difference),
            points_interval(gain),
            f"incomplete: {gain.left_out} unscored cases left out" if gain.left_out else "",
        )
        for gain in gains.own
    ]
    published = [
        (row.model, size_in_words(row.parameters), "published", "–", points(row.difference), "–", "")
        for row in gains.published
    ]
    return (*own, *published)


def _letters(published: Sequence[PublishedGain]) -> dict[str, str]:
    """A letter for each published model that has a size, in the order of sizes."""
    known = sorted((row.parameters, row.difference, row.model) for row in published if row.parameters)
    return {model: letter for (*_, model), letter in zip(known, ascii_lowercase, strict=False)}


def _pair(gain: PromptGain) -> str:
    return f"{', '.join(map(str, gain.cot))} less {', '.join(map(str, gain.vanilla))}"


def _not_drawn(gain: PromptGain | PublishedGain) -> str:
    """The legend's entry of a model of unknown size."""
    if isinstance(gain, PublishedGain):
        return f"size unknown, not drawn: {gain.model}, published, {points(gain.difference)}"
    name, torn = short(model_in_words(gain.model, gain.adapter), _NAME), note(bool(gain.left_out))
    return f"size unknown, not drawn: {_pair(gain)}  {name}, {points(gain.difference)}{torn}"


def size_in_words(billions: float | None) -> str:
    """Such as `7B`."""
    return "size unknown, not drawn" if billions is None else f"{billions:g}B"
