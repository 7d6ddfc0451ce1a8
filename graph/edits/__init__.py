"""An expert's edits of a paused journey: what may change, what follows from it, and how the model is told."""
