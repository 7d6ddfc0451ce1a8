"""What the gate decides of a traversal: the rules in the order in which they apply, and their reasons."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:  # it needs the extra `journeys`; reasons and notes are read without it
    from ddxgraph.training.gate.duplicates import Signature


class Rule(StrEnum):
    """A rule of the gate. Each has a section of its name in the configuration."""

    ANSWERED = "answered"
    CORRECT = "correct"
    PROVENANCE = "provenance"
    ENDED = "ended"
    LENGTH = "length"
    EVIDENCE = "evidence"
    FINDINGS = "findings"
    REPETITION = "repetition"
    DECONTAMINATION = "decontamination"
    EXACT_DUPLICATES = "exact_duplicates"
    NEAR_DUPLICATES = "near_duplicates"
    PER_CASE = "per_case"
    BALANCE = "balance"


class Reason(StrEnum):
    """Why a traversal is rejected; each reason belongs to one rule."""

    OTHER_STRATEGY = "other_strategy"
    """Not a traversal of the graph."""
    NOT_ANSWERED = "not_answered"

    WRONG_ANSWER = "wrong_answer"
    UNSCORED = "unscored"
    """Whether the answer is correct is unknown, for instance because no judge has decided."""
    EXPERT_REJECTED = "expert_rejected"
    EXPERT_CORRECTED = "expert_corrected"
    """The expert gave another answer."""
    NOT_REVIEWED = "not_reviewed"

    ANSWER_KEY = "answer_key"
    """An answer key made a move (trigger `gold` or `label`)."""

    NOT_CONCLUDED = "not_concluded"
    """It was ended by a budget, or by anything else but its own conclusion."""
    FAILED_STEPS = "failed_steps"

    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    TOO_FEW_BACKTRACKS = "too_few_backtracks"
    TOO_MANY_BACKTRACKS = "too_many_backtracks"

    ANSWER_NOT_CONSIDERED = "answer_not_considered"
    """The answer is not among the hypotheses."""
    ANSWER_REFUTED = "answer_refuted"
    NO_EVIDENCE = "no_evidence"
    """No finding was weighed for or against the answer."""
    ANSWER_NOT_LEADING = "answer_not_leading"
    EVIDENCE_AGAINST = "evidence_against"

    NO_FINDINGS = "no_findings"
    FINDINGS_NOT_QUOTED = "findings_not_quoted"

    REPETITIVE = "repetitive"

    TEST_QUESTION = "test_question"
    """The case is, up to rewording, a question of a test set."""
    TEST_QUESTION_IN_REASONING = "test_question_in_reasoning"

    SAME_ID = "same_id"
    """Another trace with another course has its id."""
    SAME_COURSE = "same_course"
    SIMILAR_REASONING = "similar_reasoning"
    CASE_IS_FULL = "case_is_full"
    LETTER_SHARE = "letter_share"
    BACKTRACKING_SHARE = "backtracking_share"


MEANING: Final[Mapping[Reason, str]] = {
    Reason.OTHER_STRATEGY: "another strategy than the graph made it",
    Reason.NOT_ANSWERED: "it has no answer",
    Reason.WRONG_ANSWER: "the answer is not the gold one",
    Reason.UNSCORED: "whether the answer is correct is unknown",
    Reason.EXPERT_REJECTED: "an expert rejected it",
    Reason.EXPERT_CORRECTED: "an expert gives another answer",
    Reason.NOT_REVIEWED: "no expert has accepted it",
    Reason.ANSWER_KEY: "an answer key made a move",
    Reason.NOT_CONCLUDED: "it was ended by a budget, not by its own conclusion",
    Reason.FAILED_STEPS: "it has replies that could not be read",
    Reason.TOO_SHORT: "it is too short",
    Reason.TOO_LONG: "it is too long",
    Reason.TOO_FEW_BACKTRACKS: "it has too few backtracks",
    Reason.TOO_MANY_BACKTRACKS: "it has too many backtracks",
    Reason.ANSWER_NOT_CONSIDERED: "the answer is not among its hypotheses",
    Reason.ANSWER_REFUTED: "it refuted what it answers",
    Reason.NO_EVIDENCE: "no finding was weighed for or against the answer",
    Reason.ANSWER_NOT_LEADING: "its evidence favours another hypothesis",
    Reason.EVIDENCE_AGAINST: "its evidence speaks against the answer",
    Reason.NO_FINDINGS: "no finding is quoted from the case",
    Reason.FINDINGS_NOT_QUOTED: "too many of its findings are not in the case",
    Reason.REPETITIVE: "it repeats itself",
    Reason.TEST_QUESTION: "its case is a test question",
    Reason.TEST_QUESTION_IN_REASONING: "its reasoning quotes a test question",
    Reason.SAME_ID: "its id is taken",
    Reason.SAME_COURSE: "the same course was accepted already",
    Reason.SIMILAR_REASONING: "nearly the same reasoning was accepted already",
    Reason.CASE_IS_FULL: "its case has enough journeys",
    Reason.LETTER_SHARE: "its answer letter is too frequent",
    Reason.BACKTRACKING_SHARE: "its kind, straight or backtracking, is too frequent",
}
"""Reason to a sentence about the traversal, without its full stop."""


class Rejection(NamedTuple):
    """Why a traversal is rejected."""

    rule: Rule
    reason: Reason
    detail: str
    """In a few words."""


class Note(StrEnum):
    """What must be known about an accepted traversal."""

    ANSWER_KEY = "answer_key"
    """An answer key made a move, as the configuration allows."""
    EXPERT_APPROVED = "expert_approved"
    """An expert's approval takes the place of the gold answer."""
    NOT_SCORED = "not_scored"
    """The answer was not compared with anything: the rule `correct` was off."""


@dataclass(slots=True)
class Candidate:
    """What the gate keeps of a traversal that it has read: about 2 kB, without the text."""

    source: int
    """Number of its run folder."""
    offset: int
    """Where its line begins, in bytes."""
    id: str
    case: str
    sample: int
    digest: str
    """Of the case's content."""
    question: bytes
    """Digest of the case's words; the order of the options does not count."""
    letter: str
    """Of the option answered; empty for a free-form answer."""
    backtracks: int
    notes: tuple[Note, ...] = ()
    course: bytes = b""
    signature: "Signature | None" = None
    test_set: str = ""
    """The test set that it quotes or that its case is from; else empty."""
    rejection: Rejection | None = None

    @property
    def order(self) -> tuple[str, int, str, bytes]:
        """Its place in the output, independent of the order of folders and lines."""
        return self.case, self.sample, self.id, self.course


def remaining(candidates: Iterable[Candidate]) -> list[Candidate]:
    """The candidates that no rule has rejected, in their order."""
    return [candidate for candidate in candidates if candidate.rejection is None]
