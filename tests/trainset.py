"""Small sets of journeys to train on."""

from pathlib import Path
from typing import Any

from gated import LETTERS, NOTHING_HELD_OUT, Walk, entries, make_run

from ddxgraph.training.gate.config import Balance, GateConfig, Split
from ddxgraph.training.sets.make import make_journeys
from ddxgraph.training.sets.manifest import SetManifest
from ddxgraph.training.source import RunSource

_CURT = Walk(words=1)


def train_set(
    folder: Path, cases: int = 6, style: Any = "longstep", *, validation: float = 0.0, **settings: Any
) -> SetManifest:
    """A set of so many journeys, each with words of its own, in `folder`; its run lies beside it."""
    rows = entries(cases, LETTERS)
    run = make_run(folder.with_name(f"{folder.name}-run"), rows, _CURT)
    split = Split(enabled=validation > 0, validation_share=validation)
    config = GateConfig(balance=Balance(enabled=False), split=split)
    made = make_journeys(
        [RunSource(run, rows)], style, folder, config=config, held_out=NOTHING_HELD_OUT, **settings
    )
    return made.manifest
