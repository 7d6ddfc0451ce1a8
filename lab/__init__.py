"""The laboratory domain: generated cases that can be solved exactly from their own text.

- knowledge: conditions and findings of DDXPlus (`phrases.toml` names the findings)
- level: the generative model; solver: the exact answer; labcase: draws cases; wording: cases as English, and back
- teacher: a chat model that solves such cases on the graph; replies, slip and tally: what it says, gets
wrong, weighs
"""

from typing import TYPE_CHECKING

from ddxgraph.common import lazy

if TYPE_CHECKING:
    from ddxgraph.lab.knowledge import read_knowledge as read_knowledge
    from ddxgraph.lab.labcase import Draw as Draw
    from ddxgraph.lab.labcase import LabCase as LabCase
    from ddxgraph.lab.labcase import lab_cases as lab_cases
    from ddxgraph.lab.level import LEVELS as LEVELS
    from ddxgraph.lab.level import Level as Level
    from ddxgraph.lab.level import Noise as Noise
    from ddxgraph.lab.solver import posterior as posterior
    from ddxgraph.lab.teacher import Teacher as Teacher
else:
    __getattr__, __dir__, __all__ = lazy.face(
        __name__,
        {
            "Draw": "ddxgraph.lab.labcase",
            "LEVELS": "ddxgraph.lab.level",
            "LabCase": "ddxgraph.lab.labcase",
            "Level": "ddxgraph.lab.level",
            "Noise": "ddxgraph.lab.level",
            "Teacher": "ddxgraph.lab.teacher",
            "lab_cases": "ddxgraph.lab.labcase",
            "posterior": "ddxgraph.lab.solver",
            "read_knowledge": "ddxgraph.lab.knowledge",
        },
    )
