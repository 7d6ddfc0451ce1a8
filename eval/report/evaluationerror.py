"""The error of an evaluation, apart from it so that it is known without the extra `eval`."""


class EvaluationError(ValueError):
    """Runs cannot be evaluated together or reported as asked; the message says why and how to mend it."""
