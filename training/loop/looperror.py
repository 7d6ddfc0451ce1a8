"""What keeps the improvement loop from going on."""


class LoopError(ValueError):
    """A loop cannot be started as asked; the message says why and how to mend it."""


class LoopUnfinished(RuntimeError):  # noqa: N818 - reads as what happened
    """A stage could not be brought to its end for no fault of the model; mended, the same command goes on."""
