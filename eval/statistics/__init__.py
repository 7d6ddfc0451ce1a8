"""Statistics: pure functions of plain numbers, in fractions; whatever is random is seeded.

- `interval`: means, accuracies and weighted means with their intervals. `paired`: two runs on the same cases.
- `vote`: plurality votes and baselines. `scaling`: accuracy against tokens, length and difficulty.
- `calibration`: whether probabilities mean what they say. `shuffle`: whether the order of options matters.
"""

from typing import TYPE_CHECKING

from ddxgraph.common import lazy

if TYPE_CHECKING:
    from ddxgraph.eval.statistics.calibration import calibrate as calibrate
    from ddxgraph.eval.statistics.interval import accuracy_of as accuracy_of
    from ddxgraph.eval.statistics.interval import mean_of as mean_of
    from ddxgraph.eval.statistics.interval import wilson as wilson
    from ddxgraph.eval.statistics.paired import holm as holm
    from ddxgraph.eval.statistics.vote import vote_curve as vote_curve
else:
    __getattr__, __dir__, __all__ = lazy.face(
        __name__,
        {
            "accuracy_of": "ddxgraph.eval.statistics.interval",
            "calibrate": "ddxgraph.eval.statistics.calibration",
            "holm": "ddxgraph.eval.statistics.paired",
            "mean_of": "ddxgraph.eval.statistics.interval",
            "vote_curve": "ddxgraph.eval.statistics.vote",
            "wilson": "ddxgraph.eval.statistics.interval",
        },
        extras=dict.fromkeys(("accuracy_of", "calibrate", "holm", "mean_of", "vote_curve", "wilson"), "eval"),
    )
