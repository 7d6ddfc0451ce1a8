import pytest
from laboratory import made_up

from ddxgraph.lab.labcase import Draw, lab_cases
from ddxgraph.lab.level import LEVELS
from ddxgraph.lab.wording import options, question, read_question, read_vignette, vignette


@pytest.mark.parametrize("number", LEVELS)
def test_a_vignette_reads_back_as_what_it_was_made_of(number):
    for _, case in zip(range(200), lab_cases(Draw(made_up(), LEVELS[number])), strict=False):
        told = read_vignette(case.case.vignette)
        assert told.findings == dict(case.findings)
        assert told.cards == dict(case.cards)
        assert case.case.options == options(case.cards)
        assert read_question(case.case.question) == LEVELS[number].noise


def test_a_vignette_is_plain_english():
    cards = {"Influenza": ("fever", "cough"), "Asthma": ("wheezing",)}
    assert vignette(cards, {"fever": True, "wheezing": False, "stridor": True}) == (
        "Findings of the patient: fever present, wheezing absent, stridor present.\n"
        "\n"
        "Reference cards, with what each condition typically shows:\n"
        "Influenza: fever, cough.\n"
        "Asthma: wheezing."
    )
    assert vignette(cards, {"fever": False}).startswith("Findings of the patient: fever absent.\n")


def test_the_question_states_the_generative_model():
    level = LEVELS[2].model_copy(update={"missing": 0.2, "misleading": 0.07})
    assert question(level) == (
        "Which condition is most likely? A finding on its card is present in 80% of its patients, any other "
        "in 7%."
    )
    assert read_question(question(level)) == (0.2, 0.07)


@pytest.mark.parametrize("text", ["", "Which condition is most likely?", "Which drug? 80% and 20%."])
def test_another_question_is_refused(text):
    with pytest.raises(ValueError, match="no laboratory case"):
        read_question(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Findings of the patient: fever present.",
        "Findings of the patient: fever present.\n\nOther cards:\nInfluenza: fever.",
        "No.\n\n{head}\nA: b.",
    ],
)
def test_another_text_is_refused(text):
    head = "Reference cards, with what each condition typically shows:"
    with pytest.raises(ValueError, match="no laboratory case"):
        read_vignette(text.format(head=head))
