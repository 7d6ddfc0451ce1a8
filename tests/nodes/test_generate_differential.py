import pytest
from pydantic import ValidationError

from ddxgraph.nodes.case import Case
from ddxgraph.nodes.generate_differential import (
    EVEN_PRIOR,
    Hypothesis,
    Refutation,
    generate_differential,
    name_key,
    output_model,
    settle,
)
from ddxgraph.nodes.review_history import Finding
from ddxgraph.nodes.settings import Limits
from ddxgraph.testing import ScriptedChatModel

LIMITS = Limits()
CHOICE = Case(vignette="Fever and cough.", options={"A": "Influenza", "B": "Pneumonia", "C": "Asthma"})
FREE = Case(vignette="Fever and cough.")


def weighed(prior: int = 50, rationale: str = "since"):
    return {"prior": prior, "rationale": rationale}


def named(label: str, prior: int = 30):
    return {"label": label, **weighed(prior)}


def choice_reply(*others, **priors: int):
    options = {letter: weighed(priors.get(letter, 50)) for letter in CHOICE.letters}
    said = {"reasoning": "I think.", "options": options, "others": list(others)}
    return output_model(CHOICE.letters, 5, LIMITS).model_validate(said)


def free_reply(*others):
    return output_model((), LIMITS.hypotheses, LIMITS).model_validate(
        {"reasoning": "I think.", "others": list(others)}
    )


def test_every_option_is_a_hypothesis_with_its_own_letter():
    differential = settle(choice_reply(A=70, B=20, C=1), CHOICE, [])
    assert [(h.id, h.letter, h.label, h.prior) for h in differential.hypotheses] == [
        ("A", "A", "Influenza", 0.7),
        ("B", "B", "Pneumonia", 0.2),
        ("C", "C", "Asthma", 0.01),
    ]
    assert differential.reasoning == "I think."


@pytest.mark.parametrize("known", [[], [Hypothesis(id="B", label="Pneumonia", letter="B", prior=0.9)]])
def test_every_option_is_there_even_where_the_reply_could_not_be_read(known):
    differential = settle(None, CHOICE, known)
    by_id = {h.id: h for h in differential.hypotheses}
    assert sorted(by_id) == ["A", "B", "C"]
    assert by_id["A"].prior == EVEN_PRIOR
    assert by_id["B"].prior == (0.9 if known else EVEN_PRIOR)
    assert differential.reasoning == ""


def test_a_free_form_case_without_a_readable_reply_has_no_hypothesis():
    assert settle(None, FREE, []).hypotheses == ()


def test_free_hypotheses_are_numbered_as_they_come():
    differential = settle(free_reply(named("Croup", 60), named("Asthma", 5)), FREE, [])
    assert [(h.id, h.label, h.letter, h.prior) for h in differential.hypotheses] == [
        ("H1", "Croup", None, 0.6),
        ("H2", "Asthma", None, 0.05),
    ]


def test_numbers_go_on_after_a_backtrack():
    known = settle(free_reply(named("Croup"), named("Asthma")), FREE, []).hypotheses
    again = settle(free_reply(named("Sarcoidosis")), FREE, known)
    assert [h.id for h in again.hypotheses] == ["H1", "H2", "H3"]


@pytest.mark.parametrize("again", ["croup", "CROUP.", " Croup ", "croup!", "(Croup)"])
def test_a_second_mention_is_merged_and_counted(again):
    differential = settle(free_reply(named("Croup", 60), named(again, 10)), FREE, [])
    assert [h.label for h in differential.hypotheses] == ["Croup"]
    assert differential.merged == 1


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Lupus nephritis", "lupus-nephritis"),
        ("Crohn's disease", "Crohn’s Disease"),
        ("STRASSE fever", "Straße fever"),
        ("M\u00e9ni\u00e8re disease", "Me\u0301nie\u0300re disease"),
        ("Type\u00a02 diabetes", "type 2 diabetes"),
    ],
)
def test_names_that_differ_in_writing_only_are_the_same(first, second):
    assert name_key(first) == name_key(second)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Type 1 diabetes", "Type 2 diabetes"),
        ("Hepatitis A", "Hepatitis B"),
        ("肺炎", "肺癌"),
        ("टीबी", "टाबा"),
        ("ไข้", "ไข่"),
        ("HIV+", "HIV-"),
    ],
    ids=["numbers", "letters", "chinese", "devanagari", "thai", "signs"],
)
def test_names_of_different_things_are_different(first, second):
    assert name_key(first) != name_key(second)


def test_a_second_mention_after_a_backtrack_updates_the_prior():
    known = settle(free_reply(named("Croup", 60), named("Asthma", 5)), FREE, []).hypotheses
    again = settle(free_reply(named("croup", 15)), FREE, known)
    assert [(h.id, h.prior) for h in again.hypotheses] == [("H1", 0.15), ("H2", 0.05)]
    assert again.merged == 1


def test_options_take_their_new_priors_after_a_backtrack():
    known = settle(choice_reply(A=70), CHOICE, []).hypotheses
    again = settle(choice_reply(A=5), CHOICE, known)
    assert again.hypotheses[0].prior == 0.05


def test_an_option_named_again_among_the_others_stays_one_hypothesis_with_the_options_prior():
    differential = settle(choice_reply(named("influenza", 99), A=10), CHOICE, [])
    assert [h.id for h in differential.hypotheses] == ["A", "B", "C"]
    assert differential.hypotheses[0].prior == 0.1
    assert differential.merged == 1


def test_options_of_the_same_name_stay_apart():
    twins = Case(vignette="Fever.", options={"A": "Aspirin", "B": "aspirin"})
    assert [h.id for h in settle(None, twins, []).hypotheses] == ["A", "B"]


def test_what_was_refuted_stands_again_only_where_nothing_else_is_left():
    known = settle(choice_reply(), CHOICE, []).hypotheses
    assert settle(choice_reply(), CHOICE, known, ["A", "B"]).revived == ()
    assert settle(choice_reply(), CHOICE, known, ["A", "B", "C"]).revived == ("A", "B", "C")
    assert settle(None, CHOICE, known, ["A", "B", "C"]).revived == ("A", "B", "C")
    assert settle(choice_reply(named("Croup")), CHOICE, known, ["A", "B", "C"]).revived == ()
    assert settle(choice_reply(), CHOICE, [], []).revived == ()


@pytest.mark.parametrize(
    "options",
    [
        {"A": weighed(), "B": weighed()},
        {"A": weighed(), "B": weighed(), "C": weighed(), "D": weighed()},
        {"A": weighed(0), "B": weighed(), "C": weighed()},
        {"A": weighed(100), "B": weighed(), "C": weighed()},
        {"A": {"prior": 0.5, "rationale": "since"}, "B": weighed(), "C": weighed()},
    ],
    ids=["option left out", "unknown option", "no chance", "certainty", "fraction"],
)
def test_a_reply_that_does_not_weigh_every_option_is_refused(options):
    form = output_model(CHOICE.letters, 0, LIMITS)
    with pytest.raises(ValidationError, match="options"):
        form.model_validate({"reasoning": "", "options": options})


def test_26_options_have_a_field_each():
    letters = tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    said = {"reasoning": "", "options": {letter: weighed() for letter in letters}}
    output_model(letters, 0, LIMITS).model_validate(said)


async def test_a_backtrack_tells_what_was_refuted_and_may_always_name_one_more(line_to):
    model = ScriptedChatModel()
    limits = Limits(others=0)
    first = await generate_differential(CHOICE, [], [], [], "", line_to(model), limits)
    refuted = [Refutation(hypothesis="B", because="no consolidation")]
    await generate_differential(
        CHOICE, [], first.hypotheses, refuted, "Asthma explains little.", line_to(model), limits
    )
    opening, backtrack = model.requests
    assert "others" not in opening.schema["properties"]
    assert backtrack.schema["properties"]["others"]["maxItems"] == 1
    said = str(backtrack.messages[-1].content)
    assert "Pneumonia: no consolidation" in said
    assert "Asthma explains little." in said


async def test_the_ids_of_what_was_just_read_are_told(line_to):
    model = ScriptedChatModel()
    read = [
        Finding(id="F3", quote="no <data> fever", kind="pertinent_negative", polarity="absent", salience=2),
        Finding(id="F4", quote="cough", kind="symptom", polarity="present", salience=1),
    ]
    first = await generate_differential(CHOICE, read, [], [], "", line_to(model), LIMITS)
    await generate_differential(CHOICE, read[1:], first.hypotheses, [], "", line_to(model), LIMITS)
    await generate_differential(CHOICE, [], first.hypotheses, [], "", line_to(model), LIMITS)
    opening, reread, widened = (str(request.messages[-1].content) for request in model.requests)
    assert "Noted: <data>F3 no < data> fever; F4 cough</data>" in opening
    assert "Noted: <data>F4 cough</data>" in reread
    assert "Noted" not in widened


async def test_a_free_form_case_asks_for_one_hypothesis_at_least(line_to):
    model = ScriptedChatModel()
    await generate_differential(FREE, [], [], [], "", line_to(model), LIMITS)
    others = model.requests[0].schema["properties"]["others"]
    assert (others["minItems"], others["maxItems"]) == (1, LIMITS.hypotheses)
    assert "options" not in model.requests[0].schema["properties"]


async def test_an_unreadable_reply_gives_the_options_at_even_priors(line_to):
    model = ScriptedChatModel(script={"generate_differential": "no"})
    differential = await generate_differential(CHOICE, [], [], [], "", line_to(model), LIMITS)
    assert [(h.id, h.prior) for h in differential.hypotheses] == [
        (letter, EVEN_PRIOR) for letter in CHOICE.letters
    ]
