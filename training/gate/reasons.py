"""What the gate decides of a traversal: the rules in the order in which they apply, and their reasons."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:  # it needs the extra `journeys`; reasons and notes are read without it
    from ddxgraph.training.gate.duplicates import Signature


class _Worded(StrEnum):
    """A name with a few words for a reader."""

    words: str

    def __new__(cls, name: str, words: str) -> Self:
        member = str.__new__(cls, name)
        member._value_, member.words = name, words
        return member


class Rule(_Worded):
    """A rule of the gate, with what it requires. Each has a section of its name in the configuration."""

    ANSWERED = "answered", "the graph gave an answer"
    CORRECT = "correct", "the answer is correct by the strict rule, or an expert approved it"
    PROVENANCE = "provenance", "no answer key made a move, and the model saw every prompt whole"
    ENDED = "ended", "ended by its own conclusion, every reply readable"
    LENGTH = "length", "the length is within limits"
    EVIDENCE = "evidence", "the answer is supported by its own evidence"
    FINDINGS = "findings", "findings are quoted from the case"
    REPETITION = "repetition", "the reasoning does not repeat itself"
    DECONTAMINATION = "decontamination", "neither the question nor the reasoning is from a test set"
    EXACT_DUPLICATES = "exact_duplicates", "no two traversals of a case take the same course"
    NEAR_DUPLICATES = "near_duplicates", "no two traversals reason in nearly the same words"
    PER_CASE = "per_case", "no case has too many traversals"
    BALANCE = "balance", "answer letters and backtracks are in proportion"


class Reason(_Worded):
    """Why a traversal is rejected, with a sentence about it. Each reason belongs to one rule."""

    OTHER_STRATEGY = "other_strategy", "another strategy than the graph made it"
    NOT_ANSWERED = "not_answered", "it has no answer"

    WRONG_ANSWER = "wrong_answer", "the answer is not the gold one"
    UNSCORED = "unscored", "whether the answer is correct is unknown"
    EXPERT_REJECTED = "expert_rejected", "an expert rejected it"
    EXPERT_CORRECTED = "expert_corrected", "an expert gives another answer"
    NOT_REVIEWED = "not_reviewed", "no expert has accepted it"

    ANSWER_KEY = "answer_key", "an answer key made a move"
    EXPERT_EDITED = "expert_edited", "an expert edited it"
    NOT_EDITED = "not_edited", "no expert edited it"
    CUT_PROMPT = "cut_prompt", "the server cut a prompt of it without a word"

    NOT_CONCLUDED = "not_concluded", "it was ended by a budget, not by its own conclusion"
    FAILED_STEPS = "failed_steps", "it has replies that could not be read"

    TOO_SHORT = "too_short", "it is too short"
    TOO_LONG = "too_long", "it is too long"
    TOO_FEW_BACKTRACKS = "too_few_backtracks", "it has too few backtracks"
    TOO_MANY_BACKTRACKS = "too_many_backtracks", "it has too many backtracks"

    ANSWER_NOT_CONSIDERED = "answer_not_considered", "the answer is not among its hypotheses"
    ANSWER_REFUTED = "answer_refuted", "it refuted what it answers"
    NO_EVIDENCE = "no_evidence", "no finding was weighed for or against the answer"
    ANSWER_NOT_LEADING = "answer_not_leading", "its evidence favours another hypothesis"
    EVIDENCE_AGAINST = "evidence_against", "its evidence speaks against the answer"

    NO_FINDINGS = "no_findings", "no finding is quoted from the case"
    FINDINGS_NOT_QUOTED = "findings_not_quoted", "too many of its findings are not in the case"

    REPETITIVE = "repetitive", "it repeats itself"

    TEST_QUESTION = "test_question", "its case is a test question"
    TEST_QUESTION_IN_REASONING = "test_question_in_reasoning", "its reasoning quotes a test question"

    SAME_ID = "same_id", "its id is taken"
    SAME_COURSE = "same_course", "the same course was accepted already"
    SIMILAR_REASONING = "similar_reasoning", "nearly the same reasoning was accepted already"
    CASE_IS_FULL = "case_is_full", "its case has enough journeys"
    LETTER_SHARE = "letter_share", "its answer letter is too frequent"
    BACKTRACKING_SHARE = "backtracking_share", "its kind, straight or backtracking, is too frequent"


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
