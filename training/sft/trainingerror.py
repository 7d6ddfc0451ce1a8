"""What goes wrong in fine-tuning."""


class TrainConfigError(ValueError):
    """A training configuration cannot be used; the message names file and key."""


class TrainingDataError(ValueError):
    """A set of journeys cannot be trained on as asked; the message says why and how to mend it."""


class TrainingError(RuntimeError):
    """A training cannot begin, go on or be kept; the message says what was tried and how to mend it."""


class Stopped(BaseException):
    """A training was ended on request, after a checkpoint; the same call goes on from there.

    No `Exception`, so that nothing on the way takes it for a failure.
    """
