"""Inspection of a set of journeys: what its files hold, and whether they were changed."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Final

from ddxgraph.common.files import real
from ddxgraph.common.frozen import Frozen
from ddxgraph.training.gate.config import SIDES, Side
from ddxgraph.training.sets.folder import changed_files
from ddxgraph.training.sets.manifest import Figures, SetManifest, Tally, data_file, read_set
from ddxgraph.training.sets.samples import Record, SampleMeta, read_samples
from ddxgraph.training.styles.compile import Message

_BARS: Final = 12
"""Most bars of a histogram."""


class Bar(Frozen):
    """Samples of one range of lengths."""

    words: int
    """Minimum number of words."""
    below: int
    """All have fewer words than this."""
    samples: int


class Shown(Frozen):
    """A randomly drawn sample."""

    side: Side
    line: int
    """Its line in the file, from 1."""
    messages: Sequence[Message]
    meta: SampleMeta


class Inspection(Frozen):
    """A set of journeys as its files hold it."""

    name: str
    """The folder's name."""
    manifest: SetManifest
    changed: Sequence[str]
    """What was done to its files since it was made; empty if they are as they were."""
    all: Figures
    train: Figures
    validation: Figures
    models: Mapping[str, int]
    """Model to samples."""
    per_case: Mapping[int, int]
    """Number of journeys of a case to the number of such cases."""
    histogram: Sequence[Bar]
    """Samples by the words of the assistant."""
    shown: Sequence[Shown]
    """Randomly drawn samples, in the order of the files."""

    def to_json(self) -> str:
        """The inspection as JSON, with a newline at its end."""
        return self.model_dump_json(indent=1) + "\n"


def inspect_set(folder: Path | str, *, samples: int = 5, seed: int = 0) -> Inspection:
    """Read a set, count what it holds, and draw samples.

    Args:
        folder: of the set.
        samples: how many to draw; all of them if there are fewer.
        seed: of the draw.

    Returns:
        The inspection.

    Raises:
        JourneySetError: the folder holds no set.
        SampleFileError: a line is no sample; file and line are named.
    """
    folder = Path(folder)
    manifest = read_set(folder)
    changed = changed_files(folder, manifest)
    whole = Tally()
    sides: dict[Side, Tally] = {side: Tally() for side in SIDES}
    drawn = _Draw(samples, seed)
    for side, tally in sides.items():
        path = folder / data_file(side)
        if not path.exists():
            continue
        for line, record in enumerate(read_samples(path, manifest.settings.format), 1):
            whole.add(record)
            tally.add(record)
            drawn.offer(side, line, record)
    return Inspection(
        name=real(folder).name,
        manifest=manifest,
        changed=[*changed, *_added(folder, manifest)],
        all=whole.figures(),
        train=sides["train"].figures(),
        validation=sides["validation"].figures(),
        models=dict(sorted(whole.models.items())),
        per_case=whole.per_case,
        histogram=histogram(whole.words),
        shown=drawn.shown,
    )


def _added(folder: Path, manifest: SetManifest) -> list[str]:
    names = [data_file(side) for side in SIDES]
    return [f"{name} was added" for name in names if name not in manifest.files and (folder / name).exists()]


class _Draw:
    """Draws a number of the records that it is offered, all with equal probability (reservoir sampling)."""

    def __init__(self, most: int, seed: int) -> None:
        self._most, self._luck = most, Random(seed)  # noqa: S311 - no secret
        self._offered = 0
        self._kept: list[tuple[int, Side, int, Record]] = []

    def offer(self, side: Side, line: int, record: Record) -> None:
        """Keep a record or not; if the draw is full, it takes the place of another.

        Args:
            side: of the record.
            line: of its file, from 1.
            record: the record.
        """
        self._offered += 1
        entry = (self._offered, side, line, record)
        if len(self._kept) < self._most:
            self._kept.append(entry)
            return
        place = self._luck.randrange(self._offered)
        if place < self._most:
            self._kept[place] = entry

    @property
    def shown(self) -> list[Shown]:
        """The kept records, in the order of the offers."""
        return [
            Shown(side=side, line=line, messages=record.messages, meta=record.meta)
            for _, side, line, record in sorted(self._kept, key=lambda entry: entry[0])
        ]


def histogram(numbers: Sequence[int]) -> list[Bar]:
    """Numbers in at most 12 bars with round limits; empty bars between the first and the last stay."""
    if not numbers:
        return []
    step = _round_step((max(numbers) - min(numbers) + 1) / (_BARS - 1))
    first, last = min(numbers) // step, max(numbers) // step
    counts = [0] * (last - first + 1)
    for number in numbers:
        counts[number // step - first] += 1
    return [
        Bar(words=(first + place) * step, below=(first + place + 1) * step, samples=count)
        for place, count in enumerate(counts)
    ]


def _round_step(least: float) -> int:
    """The smallest of 1, 2, 5, 10, 20, 50, ... that is not below `least`."""
    scale = 1
    while True:
        for digit in (1, 2, 5):
            if digit * scale >= least:
                return digit * scale
        scale *= 10
