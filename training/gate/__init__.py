"""The gate: which traversals may become training data, and why the others may not.

- screen: the gate itself; gated: its decisions, from which the traces are read
- config: its settings; reasons: rules, reasons and notes by name; report: what it did, as JSON and Markdown
- rules: those that judge a traversal by itself; selection: those that compare traversals
- text: what is compared, as words and n-grams; decontamination, duplicates and split compare it
"""

from typing import TYPE_CHECKING

from ddxgraph.common import lazy

if TYPE_CHECKING:
    from ddxgraph.training.gate.config import GateConfig as GateConfig
    from ddxgraph.training.gate.config import read_config as read_config
    from ddxgraph.training.gate.decontamination import HeldOutSets as HeldOutSets
    from ddxgraph.training.gate.decontamination import load_held_out as load_held_out
    from ddxgraph.training.gate.gated import Accepted as Accepted
    from ddxgraph.training.gate.gated import Gated as Gated
    from ddxgraph.training.gate.gated import Rejected as Rejected
    from ddxgraph.training.gate.reasons import Reason as Reason
    from ddxgraph.training.gate.report import GateReport as GateReport
    from ddxgraph.training.gate.screen import RunSource as RunSource
    from ddxgraph.training.gate.screen import gate as gate
else:
    __getattr__, __dir__, __all__ = lazy.face(
        __name__,
        {
            "Accepted": "ddxgraph.training.gate.gated",
            "GateConfig": "ddxgraph.training.gate.config",
            "GateReport": "ddxgraph.training.gate.report",
            "Gated": "ddxgraph.training.gate.gated",
            "HeldOutSets": "ddxgraph.training.gate.decontamination",
            "Reason": "ddxgraph.training.gate.reasons",
            "Rejected": "ddxgraph.training.gate.gated",
            "RunSource": "ddxgraph.training.gate.screen",
            "gate": "ddxgraph.training.gate.screen",
            "load_held_out": "ddxgraph.training.gate.decontamination",
            "read_config": "ddxgraph.training.gate.config",
        },
        extras=dict.fromkeys(
            ("Accepted", "Gated", "HeldOutSets", "Rejected", "RunSource", "gate", "load_held_out"),
            "journeys",
        ),
    )
