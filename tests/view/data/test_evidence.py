"""The evidence of a journey as a matrix: what counts, what is kept, and what no step can break."""

import math
from itertools import pairwise

import pytest
from journeys import CASE, FREE, STRAIGHT, reflection
from walks import plain_walk, walked, whimsical

from ddxgraph import Step
from ddxgraph.graph.credence import NATS_PER_STEP
from ddxgraph.graph.routing import Move
from ddxgraph.nodes.check_evidence import WHOLE_CASE, EvidenceCheck, Weight
from ddxgraph.nodes.generate_differential import Differential, Hypothesis, Refutation
from ddxgraph.nodes.reflect import Reflection
from ddxgraph.nodes.review_history import Finding, History
from ddxgraph.view.data.evidence import Refuted, evidence_in, evidence_of


def steps(*outputs):
    stops = {
        "history": "review_history",
        "differential": "generate_differential",
        "evidence": "check_evidence",
        "reflection": "reflect",
    }
    return [
        Step(
            index=place,
            node=stops[output.kind],
            branch=getattr(output, "hypothesis", None),
            output=output,
            move=Move(to="end"),
        )
        for place, output in enumerate(outputs)
    ]


def finding(key: str) -> Finding:
    return Finding(id=key, quote=f"quote of {key}", kind="sign", polarity="present", salience=1)


def checked(hypothesis: str, **strengths: int) -> EvidenceCheck:
    weights = tuple(
        Weight(finding=key, strength=strength, reason=f"{key} {strength}")
        for key, strength in strengths.items()
    )
    return EvidenceCheck(hypothesis=hypothesis, weights=weights)


def differential(*keys: str, revived: tuple[str, ...] = ()) -> Differential:
    named = tuple(Hypothesis(id=key, label=f"label of {key}") for key in keys)
    return Differential(hypotheses=named, revived=revived)


def refuting(*keys: str) -> Reflection:
    return Reflection(refuted=tuple(Refutation(hypothesis=key, because=f"not {key}") for key in keys))


def test_a_later_weight_wins_and_the_earlier_ones_are_kept_in_order():
    known = evidence_in(
        steps(
            History(findings=(finding("F1"), finding("F2"))),
            differential("A"),
            checked("A", F1=2, F2=1),
            checked("A", F1=-1),
            checked("A", F1=-2),
        )
    )
    given = known.weights["F1", "A"]
    assert [(one.step, one.weight.strength) for one in given] == [(2, 2), (3, -1), (4, -2)]
    assert known.total("A") == -2 + 1


def test_a_finding_weighed_twice_in_one_check_counts_once():
    twice = EvidenceCheck(
        hypothesis="A", weights=(Weight(finding="F1", strength=2), Weight(finding="F1", strength=-1))
    )
    known = evidence_in(steps(differential("A"), twice))
    assert known.total("A") == -1
    assert len(known.weights["F1", "A"]) == 2


def test_what_is_refuted_stays_so_until_it_is_taken_up_again():
    told = steps(
        differential("A", "B"), refuting("A", "B"), differential("A", "B", revived=("A", "B")), refuting("B")
    )
    assert evidence_in(told[:2]).refuted == {"A": Refuted(1, "not A"), "B": Refuted(1, "not B")}
    assert evidence_in(told[:3]).refuted == {}
    assert evidence_in(told).refuted == {"B": Refuted(3, "not B")}


def test_a_walk_that_takes_all_up_again_ends_with_what_was_refuted_last():
    script = STRAIGHT | {"reflect": [reflection(refuted="ABCD"), reflection(refuted="A")]}
    trace = walked(script, CASE).trace
    known = evidence_of(trace)
    assert list(known.refuted) == ["A"]
    assert known.refuted["A"].step == trace.steps[-2].index


def test_the_last_differential_names_the_hypotheses():
    later = Differential(hypotheses=(Hypothesis(id="A", label="renamed"), Hypothesis(id="H1", label="new")))
    known = evidence_in(steps(differential("A"), later))
    assert [known.label(key) for key in ("A", "H1")] == ["renamed", "new"]


def test_ids_that_were_never_listed_are_shown_as_they_stand():
    known = evidence_in(steps(checked("Z", F9=1, **{WHOLE_CASE: -1}), refuting("Y")))
    assert known.rows == ["F9", WHOLE_CASE]
    assert known.columns == ["Z"]
    assert known.label("Z") == "Z"
    assert known.label("nowhere") == "nowhere"
    assert known.quote("F9") == "F9"
    assert known.quote(WHOLE_CASE) == "the case as a whole"
    assert known.total("Z") == 0
    assert known.total("nowhere") == 0
    assert list(known.refuted) == ["Y"]


def test_findings_of_every_reading_have_a_row_each_in_their_order():
    known = evidence_in(
        steps(History(findings=(finding("F1"),)), checked("A", F7=1), History(findings=(finding("F2"),)))
    )
    assert known.rows == ["F1", "F2", "F7"]


def test_without_a_step_there_is_no_evidence():
    known = evidence_in([])
    assert (known.rows, known.columns, known.refuted) == ([], [], {})


def test_a_walk_of_a_clinician_adds_up():
    known = evidence_of(plain_walk().trace)
    assert {key: known.total(key) for key in known.columns} == {
        "A": 0 + 1 - 2,
        "B": -2 - 1,
        "C": 1 + 1 + 2 + 1 + 2,
        "D": 0 - 2,
        "H1": -1,
    }
    assert {key: one.step for key, one in known.refuted.items()} == {"B": 6, "D": 13, "A": 15, "H1": 15}
    assert [one.weight.strength for one in known.weights["F1", "A"]] == [1, 0, 0]


@pytest.mark.parametrize("seed", range(12))
def test_totals_are_what_the_credence_was_computed_from(seed):
    trace = whimsical(seed, [CASE, FREE][seed % 2]).trace
    known, shares = evidence_of(trace), trace.trajectory()[-1]
    standing = [key for key in shares if key not in known.refuted]
    for one, other in pairwise(standing):
        priors = [known.hypotheses[key].prior for key in (one, other)]
        logits = [
            math.log(prior) + NATS_PER_STEP * known.total(key)
            for prior, key in zip(priors, (one, other), strict=True)
        ]
        assert math.log(shares[one] / shares[other]) == pytest.approx(logits[0] - logits[1], abs=1e-9)
    assert set(shares) == set(known.hypotheses)
