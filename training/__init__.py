"""From traversals to training data: journeys, the gate in front of them, and the sets that are trained on.

- styles: ways to tell a journey, and the compiler
- source: a run folder as the gate reads it; gate: which traversals may become training data
- review: experts' reviews, which override the gold answer
- sets: training data on disk
- rewrite: monologues rewritten by a model, and the check that they still tell the journey
- sft: fine-tuning of LoRA adapters; loop: rounds of generation, training and evaluation
"""
