import pytest
from pydantic import ValidationError

from ddxgraph.nodes.check_evidence import WHOLE_CASE, Weight, check_evidence, output_model, settle
from ddxgraph.nodes.generate_differential import Hypothesis
from ddxgraph.nodes.review_history import Finding
from ddxgraph.nodes.settings import Limits
from ddxgraph.testing import ScriptedChatModel

LIMITS = Limits()
CROUP = Hypothesis(id="H1", label="Croup", letter=None)


def weight(finding: str, strength: int, reason: str = "since"):
    return {"finding": finding, "reason": reason, "strength": strength}


def reply(*weights, findings=("F1", "F2", "F3")):
    said = {"reasoning": "I weigh.", "weights": list(weights), "missing": "an X-ray"}
    return output_model(findings, LIMITS).model_validate(said)


def findings(count: int) -> list[Finding]:
    return [
        Finding(id=f"F{n}", quote=f"sign {n}", kind="sign", polarity="present", salience=2)
        for n in range(1, count + 1)
    ]


def test_the_first_weight_of_a_finding_counts():
    check = settle(reply(weight("F2", 2), weight("F1", -1), weight("F2", -2)), "H1")
    assert [(w.finding, w.strength) for w in check.weights] == [("F2", 2), ("F1", -1)]
    assert check.repeated == 1
    assert (check.hypothesis, check.reasoning, check.missing) == ("H1", "I weigh.", "an X-ray")


@pytest.mark.parametrize(
    ("strength", "stance"),
    [(-2, "refutes"), (-1, "refutes"), (0, "neutral"), (1, "supports"), (2, "supports")],
)
def test_the_sign_of_a_strength_is_its_stance(strength, stance):
    assert Weight(finding="F1", strength=strength).stance == stance


@pytest.mark.parametrize("strength", [-3, 3, 0.5, "strong", None])
def test_a_strength_off_the_scale_is_refused(strength):
    with pytest.raises(ValidationError, match="strength"):
        reply(weight("F1", strength))


@pytest.mark.parametrize("finding", ["F4", "F0", "f1", "fever", ""])
def test_a_finding_that_is_not_listed_is_refused(finding):
    with pytest.raises(ValidationError, match="finding"):
        reply(weight(finding, 1))


def test_a_check_weighs_one_finding_at_least_and_not_more_than_there_are():
    with pytest.raises(ValidationError, match="at least 1"):
        reply()
    with pytest.raises(ValidationError, match="at most 3"):
        reply(*[weight("F1", 1)] * 4)


def test_a_check_weighs_no_more_findings_than_the_limit():
    many = tuple(f"F{n}" for n in range(1, LIMITS.weights + 5))
    with pytest.raises(ValidationError, match=f"at most {LIMITS.weights}"):
        reply(*[weight("F1", 1)] * (LIMITS.weights + 1), findings=many)


async def test_without_findings_the_case_as_a_whole_is_weighed(line_to):
    model = ScriptedChatModel(
        script={"check_evidence": reply(weight("F0", 1), findings=("F0",)).model_dump()}
    )
    check = await check_evidence(CROUP, [], "diagnosis", line_to(model), LIMITS)
    assert [w.finding for w in check.weights] == [WHOLE_CASE]
    assert "F0 is the case as a whole" in str(model.requests[0].messages[-1].content)


async def test_the_request_names_the_hypothesis_and_the_findings(line_to):
    model = ScriptedChatModel()
    check = await check_evidence(CROUP, findings(3), "diagnosis", line_to(model), LIMITS)
    request = model.requests[0]
    assert request.branch == check.hypothesis == "H1"
    assert "<data>Croup</data>" in str(request.messages[-1].content)
    assert "F1, F2, F3" in str(request.messages[-1].content)


@pytest.mark.parametrize("asks", ["next_step", "treatment", "investigation"])
async def test_a_step_is_asked_about_other_than_a_diagnosis(line_to, asks):
    model = ScriptedChatModel()
    for question in ("diagnosis", asks):
        await check_evidence(CROUP, findings(1), question, line_to(model), LIMITS)
    diagnosis, step = (str(request.messages[-1].content) for request in model.requests)
    assert "indicated" in step
    assert "indicated" not in diagnosis


async def test_an_unreadable_reply_weighs_nothing(line_to):
    model = ScriptedChatModel(script={"check_evidence": "no"})
    check = await check_evidence(CROUP, findings(2), "diagnosis", line_to(model), LIMITS)
    assert (check.hypothesis, check.weights) == ("H1", ())
