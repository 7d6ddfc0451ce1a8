import unicodedata

import pytest
from pydantic import ValidationError

from ddxgraph.nodes.case import MAX_OPTIONS, MAX_VIGNETTE_CHARS, Case

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def options(count: int) -> dict[str, str]:
    return {letter: f"Diagnosis {letter}" for letter in ALPHABET[:count]}


@pytest.mark.parametrize("vignette", ["", "   ", "\n\t\n", "\x00\x07"])
def test_a_case_without_text_is_refused(vignette):
    with pytest.raises(ValidationError, match="the vignette is empty"):
        Case(vignette=vignette)


@pytest.mark.parametrize("vignette", [None, 12, ["Fever."], {"text": "Fever."}])
def test_a_vignette_is_text(vignette):
    with pytest.raises(ValidationError, match="vignette"):
        Case(vignette=vignette)


@pytest.mark.parametrize("field", ["answer", "gold", "answer_idx", "Vignette"])
def test_an_unknown_field_is_refused_and_named(field):
    with pytest.raises(ValidationError, match=field):
        Case.model_validate({"vignette": "Fever.", field: "A"})


@pytest.mark.parametrize("count", [2, 10, MAX_OPTIONS])
def test_two_to_26_options_are_taken(count):
    case = Case(vignette="Fever.", options=options(count))
    assert case.letters == tuple(ALPHABET[:count])


def test_a_case_without_options_is_free_form():
    assert Case(vignette="Fever.").letters == ()
    assert Case.model_validate({"vignette": "Fever.", "options": None}).letters == ()


def test_one_option_is_no_choice():
    with pytest.raises(ValidationError, match="one option is no choice"):
        Case(vignette="Fever.", options={"A": "Influenza"})


def test_27_options_are_too_many():
    with pytest.raises(ValidationError, match="27 options: at most 26"):
        Case(vignette="Fever.", options={**options(26), "AA": "Diagnosis AA"})


@pytest.mark.parametrize("letter", ["a", "AB", "1", "", " A", "A\n", "Ä", "\uff21", "\u0391", "-"])
def test_an_option_letter_is_one_capital_of_the_alphabet(letter):
    with pytest.raises(ValidationError) as refused:
        Case(vignette="Fever.", options={"B": "Influenza", letter: "Pneumonia"})
    assert repr(letter) in str(refused.value)
    assert "single capital letters, A to Z" in str(refused.value)


def test_an_option_letter_that_is_a_number_is_refused():
    with pytest.raises(ValidationError, match="option letter 1"):
        Case.model_validate({"vignette": "Fever.", "options": {1: "Influenza", 2: "Pneumonia"}})


@pytest.mark.parametrize("text", ["", "  ", "\x00", "\n"])
def test_an_empty_option_is_refused_and_named(text):
    with pytest.raises(ValidationError, match="option B is empty"):
        Case(vignette="Fever.", options={"A": "Influenza", "B": text})


def test_an_option_text_is_text():
    with pytest.raises(ValidationError, match=r"options\.B"):
        Case.model_validate({"vignette": "Fever.", "options": {"A": "Influenza", "B": 4}})


def test_a_list_of_options_is_refused_with_an_example():
    with pytest.raises(ValidationError, match="options must map letters to texts"):
        Case.model_validate({"vignette": "Fever.", "options": ["Influenza", "Pneumonia"]})


def test_options_stand_in_the_order_of_their_letters():
    case = Case(vignette="Fever.", options={"C": "Croup", "A": "Asthma", "B": "Bronchitis"})
    assert list(case.options.items()) == [("A", "Asthma"), ("B", "Bronchitis"), ("C", "Croup")]


def test_the_longest_vignette_is_taken_and_a_longer_one_refused_with_the_limit():
    assert len(Case(vignette="x" * MAX_VIGNETTE_CHARS).vignette) == MAX_VIGNETTE_CHARS
    with pytest.raises(ValidationError) as refused:
        Case(vignette="x" * 200_000)
    assert "100000" in str(refused.value).replace(",", "")
    assert len(str(refused.value)) < 1_000, "an error must not repeat the whole case"


@pytest.mark.parametrize("sign", ["\x00", "\x07", "\x08", "\x1b", "\x7f", "\x9b", "\ud800", "\ue000"])
@pytest.mark.parametrize("field", ["vignette", "question", "option"])
def test_control_characters_are_dropped(field, sign):
    said = f"Fever{sign}and cough."
    case = Case(
        vignette=said if field == "vignette" else "Rash.",
        question=said if field == "question" else "",
        options={"A": said, "B": "Influenza"} if field == "option" else {},
    )
    seen = {"vignette": case.vignette, "question": case.question, "option": case.options.get("A")}[field]
    assert seen == "Fever and cough."


@pytest.mark.parametrize(
    "sign",
    ["\u202e", "\u202d", "\u2066", "\u2069", "\U000e0041"],
    ids=["right-to-left override", "left-to-right override", "isolate", "end of isolate", "tag letter"],
)
def test_characters_that_hide_text_from_a_reader_are_dropped(sign):
    assert sign not in Case(vignette=f"Fever{sign} and cough.").vignette


@pytest.mark.parametrize(
    "text",
    [
        "حُمّى وسعال منذ ثلاثة أيام",
        "发热三天伴咳嗽。",
        "तीन दिन से बुखार और खाँसी",
        "ไข้สามวัน",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "\U0001f469\u200d\u2695\ufe0f \U0001f321\ufe0f 39 °C",
        "mean x\u0304, e\u0301tat fe\u0301brile",
        'He says: "it\'s {{ unbearable }}" {x} {% raw %} “there” ‘here’',
        "WBC <4000/mm3 and CRP > 5 & Na+ 128",
        "5 μg, ½ tablet, H₂O, 10⁹/L, ≥ 3",
    ],
    ids=["arabic", "chinese", "devanagari", "thai", "persian", "emoji", "marks", "quotes", "signs", "units"],
)
def test_scripts_marks_quotes_and_braces_survive(text):
    case = Case(vignette=text, question=text, options={"A": text, "B": "Influenza"})
    wanted = unicodedata.normalize("NFC", text)
    assert (case.vignette, case.question, case.options["A"]) == (wanted, wanted, wanted)


def test_lines_stay_and_runs_of_spaces_shrink():
    assert Case(vignette="  Fever.\r\nCough.\rRash.\t\tItch\u00a0\u2028now.  ").vignette == (
        "Fever.\nCough.\nRash. Itch now."
    )


def test_the_digest_depends_on_what_the_model_sees_and_nothing_else():
    case = Case(vignette="Fever.", question="What now?", options=options(3))
    same = Case(
        id="mine",
        source="medqa",
        split="dev",
        vignette=" Fever.\x00",
        question="What now? ",
        options=dict(reversed(options(3).items())),
    )
    assert same.digest == case.digest
    others = [
        case.model_copy(update={"vignette": "Rash."}),
        case.model_copy(update={"question": "What next?"}),
        case.model_copy(update={"options": options(4)}),
        case.model_copy(update={"options": {**options(3), "C": "Other"}}),
        Case(vignette="Fever.What now?", options=options(3)),
    ]
    assert len({other.digest for other in [case, *others]}) == len(others) + 1


def test_an_absent_id_is_derived_from_the_content():
    first, again, other = Case(vignette="Fever."), Case(vignette="Fever.", source="x"), Case(vignette="Rash.")
    assert first.id == again.id == f"case-{first.digest[:8]}"
    assert other.id != first.id
    assert Case(id="mine", vignette="Fever.").id == "mine"


def test_a_case_comes_back_whole_from_its_json():
    case = Case(vignette="发热", question="¿?", options=options(2), source="s", split="dev")
    assert Case.model_validate_json(case.model_dump_json()) == case


@pytest.mark.parametrize("field", ["id", "source", "split"])
def test_a_name_that_cannot_be_written_as_text_is_refused_or_cleaned(field):
    try:
        case = Case.model_validate({"vignette": "Fever.", field: "medqa \ud83d"})
    except ValidationError:
        return
    assert Case.model_validate_json(case.model_dump_json()) == case


def test_a_case_cannot_be_changed():
    case = Case(vignette="Fever.", options=options(2))
    with pytest.raises(ValidationError, match="frozen"):
        case.vignette = "Rash."
