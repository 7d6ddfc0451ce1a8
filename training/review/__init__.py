"""Experts' reviews of traversals, which override the gold answer in the gate.

- review: what a review is, which of several hold and decide, and how far reviewers agree
- file: the file of reviews in a run's folder
- queue: which traversals of a run are reviewed, and in what order
"""

from typing import TYPE_CHECKING

from ddxgraph.common import lazy

if TYPE_CHECKING:
    from ddxgraph.training.review.file import all_reviews as all_reviews
    from ddxgraph.training.review.file import append_review as append_review
    from ddxgraph.training.review.file import read_reviews as read_reviews
    from ddxgraph.training.review.file import reviews_of as reviews_of
    from ddxgraph.training.review.review import Objection as Objection
    from ddxgraph.training.review.review import PairAgreement as PairAgreement
    from ddxgraph.training.review.review import Review as Review
    from ddxgraph.training.review.review import ReviewerCount as ReviewerCount
    from ddxgraph.training.review.review import agreements as agreements
    from ddxgraph.training.review.review import cohens_kappa as cohens_kappa
    from ddxgraph.training.review.review import counts as counts
else:
    __getattr__, __dir__, __all__ = lazy.face(
        __name__,
        {
            "Objection": "ddxgraph.training.review.review",
            "PairAgreement": "ddxgraph.training.review.review",
            "Review": "ddxgraph.training.review.review",
            "ReviewerCount": "ddxgraph.training.review.review",
            "agreements": "ddxgraph.training.review.review",
            "all_reviews": "ddxgraph.training.review.file",
            "append_review": "ddxgraph.training.review.file",
            "cohens_kappa": "ddxgraph.training.review.review",
            "counts": "ddxgraph.training.review.review",
            "read_reviews": "ddxgraph.training.review.file",
            "reviews_of": "ddxgraph.training.review.file",
        },
    )
