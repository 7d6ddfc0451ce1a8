"""Why a traversal is not taken: the rules of the gate, in the order of their application, and their reasons."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple


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
    """Why a traversal is not taken; each belongs to one rule."""

    OTHER_STRATEGY = "other_strategy"
    """It is no traversal of the graph."""
    NOT_ANSWERED = "not_answered"

    WRONG_ANSWER = "wrong_answer"
    UNSCORED = "unscored"
    """It is unknown whether the answer is correct, such as where a judge has not settled it."""
    EXPERT_REJECTED = "expert_rejected"
    EXPERT_CORRECTED = "expert_corrected"
    """The answer that the expert gave is another one."""
    NOT_REVIEWED = "not_reviewed"

    ANSWER_KEY = "answer_key"
    """A move was made by an answer key (trigger `gold` or `label`)."""

    NOT_CONCLUDED = "not_concluded"
    """A budget ended it, or something else that is no conclusion."""
    FAILED_STEPS = "failed_steps"

    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    TOO_FEW_BACKTRACKS = "too_few_backtracks"
    TOO_MANY_BACKTRACKS = "too_many_backtracks"

    ANSWER_NOT_CONSIDERED = "answer_not_considered"
    """The answer is none of the hypotheses."""
    ANSWER_REFUTED = "answer_refuted"
    NO_EVIDENCE = "no_evidence"
    """Nothing was weighed for or against the answer."""
    ANSWER_NOT_LEADING = "answer_not_leading"
    EVIDENCE_AGAINST = "evidence_against"

    NO_FINDINGS = "no_findings"
    FINDINGS_NOT_QUOTED = "findings_not_quoted"

    REPETITIVE = "repetitive"

    TEST_QUESTION = "test_question"
    """The case is, up to rewording, a question of a test set."""
    TEST_QUESTION_IN_REASONING = "test_question_in_reasoning"

    SAME_ID = "same_id"
    """Another trace has its id, and another course."""
    SAME_COURSE = "same_course"
    SIMILAR_REASONING = "similar_reasoning"
    CASE_IS_FULL = "case_is_full"
    LETTER_SHARE = "letter_share"
    BACKTRACKING_SHARE = "backtracking_share"


MEANING: Final[Mapping[Reason, str]] = {
    Reason.OTHER_STRATEGY: "it is by another strategy than the graph",
    Reason.NOT_ANSWERED: "it has no answer",
    Reason.WRONG_ANSWER: "the answer is not the gold one",
    Reason.UNSCORED: "it is not known whether the answer is correct",
    Reason.EXPERT_REJECTED: "an expert rejected it",
    Reason.EXPERT_CORRECTED: "an expert gives another answer",
    Reason.NOT_REVIEWED: "no expert has accepted it",
    Reason.ANSWER_KEY: "an answer key made a move",
    Reason.NOT_CONCLUDED: "a budget ended it, not its own conclusion",
    Reason.FAILED_STEPS: "replies in it could not be read",
    Reason.TOO_SHORT: "it is too short",
    Reason.TOO_LONG: "it is too long",
    Reason.TOO_FEW_BACKTRACKS: "it goes back too seldom",
    Reason.TOO_MANY_BACKTRACKS: "it goes back too often",
    Reason.ANSWER_NOT_CONSIDERED: "the answer is none of its hypotheses",
    Reason.ANSWER_REFUTED: "it has refuted what it answers",
    Reason.NO_EVIDENCE: "nothing was weighed on the answer",
    Reason.ANSWER_NOT_LEADING: "its evidence favours another hypothesis",
    Reason.EVIDENCE_AGAINST: "its evidence speaks against the answer",
    Reason.NO_FINDINGS: "no finding is quoted from the case",
    Reason.FINDINGS_NOT_QUOTED: "too many findings do not stand in the case",
    Reason.REPETITIVE: "it says the same again and again",
    Reason.TEST_QUESTION: "its case is a test question",
    Reason.TEST_QUESTION_IN_REASONING: "its reasoning quotes a test question",
    Reason.SAME_ID: "its id has been taken",
    Reason.SAME_COURSE: "the same course has been taken",
    Reason.SIMILAR_REASONING: "nearly the same reasoning has been taken",
    Reason.CASE_IS_FULL: "enough of its case have been taken",
    Reason.LETTER_SHARE: "too many have its answer letter",
    Reason.BACKTRACKING_SHARE: "too many are of its kind, straight or going back",
}
"""Reason to what it says of a traversal."""


class Rejection(NamedTuple):
    """A traversal that is not taken."""

    rule: Rule
    reason: Reason
    detail: str
    """A few words for a reader."""


class Note(StrEnum):
    """What must be known of a traversal that is taken."""

    ANSWER_KEY = "answer_key"
    """A move was made by an answer key, which the configuration allows."""
    EXPERT_APPROVED = "expert_approved"
    """An expert's word stands for the gold answer."""
    NOT_SCORED = "not_scored"
    """Nobody compared the answer with anything: the rule `correct` was off."""
