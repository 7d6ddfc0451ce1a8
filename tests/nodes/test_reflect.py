import pytest
from pydantic import ValidationError

from ddxgraph.nodes.reflect import MAX_TARGETS, Reflection, output_model, reflect
from ddxgraph.nodes.settings import Limits
from ddxgraph.testing import ScriptedChatModel

LIMITS = Limits()
ACTIVE = ("B", "A", "H1")
STANDING = ["B Pneumonia: 60%", "A Influenza: 30%", "H1 Croup: 10%"]


def reply(**fields):
    return {"critique": "Why no fever?", "refuted": [], "verdict": "conclude", "targets": [], **fields}


def refuting(*hypotheses: str):
    return [{"hypothesis": key, "because": f"not {key}"} for key in hypotheses]


@pytest.mark.parametrize(
    "fields",
    [{"refuted": refuting("C")}, {"refuted": refuting("Pneumonia")}, {"targets": ["C"]}, {"targets": [""]}],
)
def test_only_a_hypothesis_that_stands_can_be_refuted_or_sent_back(fields):
    form = output_model(ACTIVE, LIMITS)
    form.model_validate(reply(refuted=refuting("A"), targets=["H1"]))
    with pytest.raises(ValidationError):
        form.model_validate(reply(**fields))


def test_no_more_are_refuted_or_rechecked_than_there_are():
    refuted, targets = (
        output_model(("A",), LIMITS).model_json_schema()["properties"][k] for k in ("refuted", "targets")
    )
    assert (refuted["maxItems"], targets["maxItems"]) == (1, 1)
    many = output_model(tuple("ABCDEFGH"), LIMITS).model_json_schema()["properties"]
    assert many["refuted"]["maxItems"] == LIMITS.refutations
    assert many["targets"]["maxItems"] == MAX_TARGETS


@pytest.mark.parametrize("verdict", ["give_up", "", None, "Conclude"])
def test_an_unknown_verdict_is_refused(verdict):
    with pytest.raises(ValidationError, match="verdict"):
        output_model(ACTIVE, LIMITS).model_validate(reply(verdict=verdict))


@pytest.mark.parametrize("verdict", ["conclude", "recheck_evidence", "widen_differential", "reread_history"])
async def test_a_reflection_carries_the_reply(line_to, verdict):
    said = reply(verdict=verdict, refuted=refuting("A"), targets=["H1"])
    model = ScriptedChatModel(script={"reflect": said})
    reflection = await reflect(STANDING, ACTIVE, line_to(model), LIMITS)
    assert reflection.model_dump(exclude={"kind"}, mode="json") == said


async def test_repeated_refutations_and_targets_count_once(line_to):
    said = reply(refuted=refuting("A", "B", "A"), targets=["H1", "H1"])
    model = ScriptedChatModel(script={"reflect": said})
    reflection = await reflect(STANDING, ACTIVE, line_to(model), LIMITS)
    assert [r.hypothesis for r in reflection.refuted] == ["A", "B"]
    assert reflection.targets == ("H1",)


async def test_the_request_shows_what_stands_the_leader_first(line_to):
    model = ScriptedChatModel()
    await reflect(STANDING, ACTIVE, line_to(model), LIMITS)
    said = str(model.requests[0].messages[-1].content)
    places = [said.index(line) for line in STANDING]
    assert places == sorted(places)
    assert "B, A, H1" in said


async def test_an_unreadable_reply_concludes_and_refutes_nothing(line_to):
    model = ScriptedChatModel(script={"reflect": "no"})
    assert await reflect(STANDING, ACTIVE, line_to(model), LIMITS) == Reflection()
    assert Reflection().verdict == "conclude"
