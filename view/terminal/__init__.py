"""Traversals and runs on the terminal, with rich.

- journey: the steps of a traversal and its answer; live: a traversal in progress; bars: its differential
- progress: a run in progress; outcomes: how its traversals came out
- pathline: a path on one line; screen: what the console can show
"""

from typing import TYPE_CHECKING

from ddxgraph.common import lazy

if TYPE_CHECKING:
    from ddxgraph.view.terminal.journey import JourneyPrinter as JourneyPrinter
    from ddxgraph.view.terminal.journey import print_result as print_result
    from ddxgraph.view.terminal.live import LiveJourney as LiveJourney
    from ddxgraph.view.terminal.progress import RunProgress as RunProgress
else:
    __getattr__, __dir__, __all__ = lazy.face(
        __name__,
        {
            "JourneyPrinter": "ddxgraph.view.terminal.journey",
            "LiveJourney": "ddxgraph.view.terminal.live",
            "RunProgress": "ddxgraph.view.terminal.progress",
            "print_result": "ddxgraph.view.terminal.journey",
        },
    )
