"""How far reviewers agree: counts a reviewer, and Cohen's kappa for every two who saw the same traces. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

from ddxgraph.training.review.review import Objection, Review


class ReviewerCount(NamedTuple):
    """What a reviewer said; of each trace the last word."""

    reviewer: str
    reviewed: int
    accepted: int
    reasons: Mapping[str, int]
    """Reason to rejections, in the order of the reasons."""
    answers: int
    """Answers given in place of the gold answer."""
    blind: int
    """Reviews made without having been shown the gold answer."""

    @property
    def rejected(self) -> int:
        """Traces rejected."""
        return self.reviewed - self.accepted


class PairAgreement(NamedTuple):
    """How two reviewers agree on whether a trace is accepted."""

    first: str
    second: str
    traces: int
    """Traces that both reviewed; at least one."""
    agreed: int
    kappa: float | None
    """Cohen's kappa; None where both said the same of every trace, and nothing but that."""

    @property
    def percent(self) -> float:
        """Traces of which they say the same, in percent."""
        return 100 * self.agreed / self.traces


def counts(reviews: Iterable[Sequence[Review]]) -> list[ReviewerCount]:
    """Counts a reviewer, by name.

    Args:
        reviews: of each trace, the reviews that hold: see `all_reviews`.
    """
    given: dict[str, list[Review]] = {}
    for of_trace in reviews:
        for review in of_trace:
            given.setdefault(review.reviewer, []).append(review)
    return [_count(name, given[name]) for name in sorted(given)]


def _count(name: str, reviews: Sequence[Review]) -> ReviewerCount:
    reasons = Counter(review.reason for review in reviews if review.reason)
    return ReviewerCount(
        reviewer=name,
        reviewed=len(reviews),
        accepted=sum(review.verdict == "accept" for review in reviews),
        reasons={reason.value: reasons[reason] for reason in Objection if reasons[reason]},
        answers=sum(review.answer is not None for review in reviews),
        blind=sum(review.blind for review in reviews),
    )


def agreements(reviews: Iterable[Sequence[Review]]) -> list[PairAgreement]:
    """Agreement of every two reviewers who have a trace in common, by their names."""
    said: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for of_trace in reviews:
        verdicts = {review.reviewer: review.verdict for review in of_trace}
        for first, second in combinations(sorted(verdicts), 2):
            said.setdefault((first, second), []).append((verdicts[first], verdicts[second]))
    return [
        PairAgreement(*names, len(pairs), sum(one == other for one, other in pairs), cohens_kappa(pairs))
        for names, pairs in sorted(said.items())
    ]


def cohens_kappa(pairs: Sequence[tuple[str, str]]) -> float | None:
    """Agreement of two raters beyond what their own rates let expect: (p_o - p_e) / (1 - p_e).

    Source: Cohen, Educ Psychol Meas 1960;20:37-46.

    Args:
        pairs: what the one and the other said, a pair an item.

    Returns:
        At most 1; 0 at chance; None where p_e is 1 or there is no item: chance alone would agree always.
    """
    total = len(pairs)
    first, second = Counter(one for one, _ in pairs), Counter(other for _, other in pairs)
    expected = sum(first[said] * second[said] for said in first)  # times total squared: exact
    observed = sum(one == other for one, other in pairs)
    if expected == total * total:
        return None
    return (observed * total - expected) / (total * total - expected)
