"""What the views show, as plain data.

- tracebook: the traces of a run or a file, read on demand
- row: a trace as a row of a table, with its verdict; pairing: two traces or runs compared
- evidence: findings by hypotheses; path: the layout of the steps; course: a traversal in progress
- ending: why a traversal ended, in sentences
- topology: the moves that the graph allows; transitions: the moves that many traversals made
"""

from typing import TYPE_CHECKING

from ddxgraph.common import lazy

if TYPE_CHECKING:
    from ddxgraph.view.data.evidence import evidence_of as evidence_of
    from ddxgraph.view.data.path import path_of as path_of
    from ddxgraph.view.data.row import Judge as Judge
    from ddxgraph.view.data.row import Judged as Judged
    from ddxgraph.view.data.tracebook import Entry as Entry
    from ddxgraph.view.data.tracebook import TraceBook as TraceBook
    from ddxgraph.view.data.tracebook import read_trace as read_trace
else:
    __getattr__, __dir__, __all__ = lazy.face(
        __name__,
        {
            "Entry": "ddxgraph.view.data.tracebook",
            "Judge": "ddxgraph.view.data.row",
            "Judged": "ddxgraph.view.data.row",
            "TraceBook": "ddxgraph.view.data.tracebook",
            "evidence_of": "ddxgraph.view.data.evidence",
            "path_of": "ddxgraph.view.data.path",
            "read_trace": "ddxgraph.view.data.tracebook",
        },
    )
