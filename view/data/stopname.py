"""What the stops of a journey are called before a reader."""

from collections.abc import Mapping
from typing import Final

from ddxgraph.graph.trace import Step

STOP_NAMES: Final[Mapping[str, str]] = {
    "review_history": "History",
    "generate_differential": "Differential",
    "check_evidence": "Evidence",
    "reflect": "Reflection",
    "conclude": "Conclusion",
    "generate": "Generation",
    "end": "End",
}
"""Node to name; `end` is where a move leads that ends the journey."""


def step_title(step: Step) -> str:
    """A step's name, with the hypothesis that a check is about."""
    return STOP_NAMES[step.node] + (f" on {step.branch}" if step.branch else "")
