import pytest
from laboratory import made_up

from ddxgraph.lab.labcase import Draw, lab_cases
from ddxgraph.lab.level import LEVELS
from ddxgraph.lab.wording import options, question, read_vignette, vignette


@pytest.mark.parametrize("number", LEVELS)
def test_a_vignette_reads_back_as_what_it_was_made_of(number):
    for _, case in zip(range(200), lab_cases(Draw(made_up(), LEVELS[number])), strict=False):
        told = read_vignette(case.case.vignette)
        assert told.findings == dict(case.findings)
        assert told.cards == dict(case.cards)
        assert case.case.options == options(case.cards)


def test_a_vignette_is_plain_english():
    cards = {"Influenza": ("fever", "cough"), "Asthma": ("wheezing",)}
    told = vignette(
        cards, {"fever": True, "cough": True, "chills": True, "wheezing": False, "stridor": False}
    )
    assert told == (
        "A patient has fever, cough and chills. The patient does not have wheezing or stridor.\n"
        "\n"
        "Reference cards, with what each condition typically shows:\n"
        "Influenza: fever and cough.\n"
        "Asthma: wheezing."
    )
    assert vignette(cards, {"fever": False}).startswith("A patient does not have fever.\n")
    assert vignette(cards, {"fever": True}).startswith("A patient has fever.\n")


def test_the_question_states_the_generative_model():
    assert question(LEVELS[2]) == (
        "Which condition is most likely? Of patients with a condition, 80% show a given finding of its card and "
        "10% a given other finding."
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "A patient has fever.",
        "A patient has fever.\n\nOther cards:\nInfluenza: fever.",
        "No.\n\n{head}\nA: b.",
    ],
)
def test_another_text_is_refused(text):
    head = "Reference cards, with what each condition typically shows:"
    with pytest.raises(ValueError, match="no laboratory case"):
        read_vignette(text.format(head=head))
