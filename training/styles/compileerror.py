"""The error of a traversal that cannot become training text."""


class CompileError(ValueError):
    """A trace cannot be compiled."""
