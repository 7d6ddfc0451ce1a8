"""Styles: ways to tell a journey as training data.

- registry: the styles by name, and what else must be known of each; a style is added here
- compile: one traversal into the training samples of a style
- journey: a traversal parsed once for all styles; events: what happens in the journey that it tells
- longstep, longmonolog, shortcut, graph: the texts of the styles; shortcut holds `cot` too
- tree_rule: which tries of a node a text keeps
- voice, phrases: sentences that tell events, and their wordings (`phrases.toml`)
- quoting: how a model's words stand in a text
- recover: reads a text back into its journey
"""

from typing import TYPE_CHECKING

from ddxgraph.common import lazy

if TYPE_CHECKING:
    from ddxgraph.training.styles.compile import Message as Message
    from ddxgraph.training.styles.compile import Sample as Sample
    from ddxgraph.training.styles.compile import compile_journey as compile_journey
    from ddxgraph.training.styles.compile import compile_samples as compile_samples
    from ddxgraph.training.styles.journey import ParsedTrace as ParsedTrace
    from ddxgraph.training.styles.journey import parse as parse
    from ddxgraph.training.styles.registry import Style as Style
    from ddxgraph.training.styles.registry import registered as registered
    from ddxgraph.training.styles.registry import style_names as style_names
    from ddxgraph.training.styles.registry import style_of as style_of
else:
    __getattr__, __dir__, __all__ = lazy.face(
        __name__,
        {
            "Message": "ddxgraph.training.styles.compile",
            "ParsedTrace": "ddxgraph.training.styles.journey",
            "Sample": "ddxgraph.training.styles.compile",
            "Style": "ddxgraph.training.styles.registry",
            "compile_journey": "ddxgraph.training.styles.compile",
            "compile_samples": "ddxgraph.training.styles.compile",
            "parse": "ddxgraph.training.styles.journey",
            "registered": "ddxgraph.training.styles.registry",
            "style_names": "ddxgraph.training.styles.registry",
            "style_of": "ddxgraph.training.styles.registry",
        },
    )
