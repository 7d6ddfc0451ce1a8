"""A candidate: what the gate keeps of a traversal that it has read."""

from collections.abc import Iterable
from dataclasses import dataclass

from ddxgraph.training.gate.duplicates import Signature
from ddxgraph.training.gate.reasons import Note, Rejection


@dataclass(slots=True)
class Candidate:
    """A traversal without its text: some 2 kB."""

    source: int
    """Number of the run folder."""
    offset: int
    """Where its line begins, in bytes."""
    id: str
    case: str
    sample: int
    digest: str
    """Of the case's content."""
    question: bytes
    """Digest of the case's words; the same where only the order of the options differs."""
    letter: str
    """Of the option answered; empty for a free-form answer."""
    backtracks: int
    notes: tuple[Note, ...] = ()
    course: bytes = b""
    signature: Signature | None = None
    test_set: str = ""
    """Whose question it holds; empty where it holds none."""
    rejection: Rejection | None = None

    @property
    def order(self) -> tuple[str, int, str, bytes]:
        """Its place in the output, whatever order the folders and their lines come in."""
        return self.case, self.sample, self.id, self.course


def remaining(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Those that no rule has rejected, in their order."""
    return [one for one in candidates if one.rejection is None]
