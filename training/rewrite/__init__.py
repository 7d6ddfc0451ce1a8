"""Monologues rewritten by a model, and the check that they still tell the whole journey.

- rewriter: asks the model, checks its replies, and sums up a pass
- store: the file of its replies
- check: whether a text tells a journey, in typed faults; cues: what a text tells, by the phrases in `cues.toml`;
  mentions: hypotheses by name in free prose
"""

from typing import TYPE_CHECKING

from ddxgraph.common import lazy

if TYPE_CHECKING:
    from ddxgraph.training.rewrite.check import Fault as Fault
    from ddxgraph.training.rewrite.check import FaultKind as FaultKind
    from ddxgraph.training.rewrite.check import check_rewrite as check_rewrite
    from ddxgraph.training.rewrite.rewriter import Rewriter as Rewriter
    from ddxgraph.training.rewrite.rewriter import Rewritten as Rewritten
    from ddxgraph.training.rewrite.rewriter import draft_of as draft_of
    from ddxgraph.training.rewrite.rewriter import retold as retold
    from ddxgraph.training.rewrite.rewriter import rewrite as rewrite
    from ddxgraph.training.rewrite.rewriter import summary_of as summary_of
    from ddxgraph.training.rewrite.store import RewriteLog as RewriteLog
else:
    __getattr__, __dir__, __all__ = lazy.face(
        __name__,
        {
            "Fault": "ddxgraph.training.rewrite.check",
            "FaultKind": "ddxgraph.training.rewrite.check",
            "RewriteLog": "ddxgraph.training.rewrite.store",
            "Rewriter": "ddxgraph.training.rewrite.rewriter",
            "Rewritten": "ddxgraph.training.rewrite.rewriter",
            "check_rewrite": "ddxgraph.training.rewrite.check",
            "draft_of": "ddxgraph.training.rewrite.rewriter",
            "retold": "ddxgraph.training.rewrite.rewriter",
            "rewrite": "ddxgraph.training.rewrite.rewriter",
            "summary_of": "ddxgraph.training.rewrite.rewriter",
        },
    )
