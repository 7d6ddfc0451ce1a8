"""The error of the gate, apart from it so that it is known without the extra `journeys`."""


class GateError(ValueError):
    """Traversals cannot be gated as asked; the message says why and how to mend it."""
