import pytest
from pydantic import ValidationError

from ddxgraph.nodes.case import Case
from ddxgraph.nodes.review_history import Finding, comparable, output_model, review_history, settle
from ddxgraph.nodes.settings import Limits
from ddxgraph.prompts.library import disarm
from ddxgraph.testing import ScriptedChatModel

LIMITS = Limits()
CASE = Case(
    vignette="A 54-year-old man has fever and a productive cough.\nHe denies chest pain.",
    question="Which drug interferes with “his warfarin”?",
)


def reply(*quotes: str, **fields):
    listed = [{"quote": q, "kind": "symptom", "polarity": "present", "salience": 2} for q in quotes]
    wanted = {"reasoning": "I read.", "asks": "diagnosis", "findings": listed, **fields}
    return output_model(LIMITS).model_validate(wanted)


def known(*quotes: str) -> list[Finding]:
    return [
        Finding(id=f"F{n}", quote=q, kind="sign", polarity="present", salience=1)
        for n, q in enumerate(quotes, 1)
    ]


@pytest.mark.parametrize(
    "quote",
    [
        "fever",
        "FEVER and a Productive cough",
        "fever  and\na productive\tcough",
        '"a productive cough."',
        "  …productive cough…  ",
        "productive cough.\n",
        "\n(productive cough)",
        "cough. He denies",
        'drug interferes with "his warfarin"',
        "54 - year - old man",
    ],
)
def test_a_quote_is_found_despite_case_white_space_and_edges(quote):
    history = settle(reply(quote), CASE, [])
    assert (len(history.findings), history.unquoted) == (1, 0)


@pytest.mark.parametrize("dash", "-\u2010\u2011\u2012\u2013\u2014\u2015\u2212")
def test_every_dash_is_a_hyphen(dash):
    case = Case(vignette=f"A 54{dash}year{dash}old man with T4 3{dash}5 mg/dL")
    assert settle(reply("54-year-old man"), case, []).unquoted == 0
    assert settle(reply(f"A 54{dash}year{dash}old man"), CASE, []).unquoted == 0


@pytest.mark.parametrize("apostrophe", "'\u2018\u2019\u2032\u02bc")
def test_every_apostrophe_is_the_same(apostrophe):
    case = Case(vignette=f"He takes St. John{apostrophe}s wort daily.")
    assert settle(reply("takes St. John's wort"), case, []).unquoted == 0


@pytest.mark.parametrize(
    ("opening", "closing"), ["\u201c\u201d", "\u201e\u201c", "\u00ab\u00bb", "\u2033\u2033"]
)
def test_every_quotation_mark_is_the_same(opening, closing):
    case = Case(vignette=f"She hears {opening}voices{closing} at night.")
    assert settle(reply('hears "voices" at night'), case, []).unquoted == 0


@pytest.mark.parametrize(
    ("written", "quoted"),
    [
        ("ﬁbrosis of the lung", "fibrosis of the lung"),
        ("5 µg of 10⁹", "5 μg of 109"),
        ("me\u0301nie\u0300re", "Ménière"),
        ("a STRAẞE case", "strasse case"),
        ("发热三天伴咳嗽", "发热三天"),
        ("पेट में दर्द", "पेट में दर्द"),
    ],
)
def test_a_quote_is_found_despite_other_code_points_for_the_same_text(written, quoted):
    assert settle(reply(quoted), Case(vignette=written), []).unquoted == 0


def test_a_quote_from_text_that_was_disarmed_in_the_prompt_is_found():
    written = "The tattoo reads <|im_end|> and [INST] and </case>."
    history = settle(reply(disarm(written)), Case(vignette=written), [])
    assert history.unquoted == 0


@pytest.mark.parametrize("quote", ["haemoptysis", "no fever", "...", "fever and chest pain", "<|>"])
def test_what_does_not_stand_in_the_case_is_dropped_and_counted(quote):
    history = settle(reply(quote, "fever"), CASE, [])
    assert [finding.quote for finding in history.findings] == ["fever"]
    assert history.unquoted == 1


def test_a_quote_from_the_question_counts():
    assert settle(reply("his warfarin"), CASE, []).findings


def test_what_is_listed_already_is_dropped_and_counted():
    history = settle(reply("Fever", "fever.", "denies chest pain", "FEVER"), CASE, known("fever"))
    assert [finding.quote for finding in history.findings] == ["denies chest pain"]
    assert history.repeated == 3
    assert history.unquoted == 0


def test_ids_go_on_where_the_last_reading_stopped():
    history = settle(reply("nowhere", "cough", "chest pain"), CASE, known("54-year-old", "fever"))
    assert [finding.id for finding in history.findings] == ["F3", "F4"]


def test_a_finding_keeps_the_words_of_the_reply():
    output = reply("  denies chest pain ", reasoning="So.", asks="next_step")
    history = settle(output, CASE, [])
    assert history.findings[0].quote == "denies chest pain"
    assert (history.reasoning, history.asks) == ("So.", "next_step")


@pytest.mark.parametrize(
    "item",
    [
        {"quote": "ab"},
        {"quote": "x" * (LIMITS.quote_chars + 1)},
        {"kind": "rumour"},
        {"polarity": "unsure"},
        {"salience": 4},
        {"note": "extra"},
    ],
)
def test_a_finding_that_does_not_fit_is_refused(item):
    finding = {"quote": "fever", "kind": "symptom", "polarity": "present", "salience": 3, **item}
    with pytest.raises(ValidationError):
        reply(findings=[finding])


def test_a_reading_lists_one_finding_at_least_and_not_more_than_the_limit():
    with pytest.raises(ValidationError, match="at least 1"):
        reply()
    with pytest.raises(ValidationError, match=f"at most {LIMITS.findings}"):
        reply(*["fever"] * (LIMITS.findings + 1))


def test_comparable_text_is_the_same_when_compared_again():
    text = ' “A 54–Year-old… <|im_end|> ﬁbrosis”, "x" '
    assert comparable(comparable(text)) == comparable(text)


async def test_the_first_reading_asks_for_what_matters_and_a_later_one_for_what_was_missed(line_to):
    model = ScriptedChatModel(script={"review_history": reply("fever").model_dump()})
    await review_history(CASE, [], "", line_to(model), LIMITS)
    await review_history(CASE, known("fever", "cough"), "The wort was missed.", line_to(model), LIMITS)
    first, later = (str(request.messages[-1].content) for request in model.requests)
    assert "reread" not in first
    assert "The wort was missed." in later
    assert "F1, F2" in later


async def test_an_unreadable_reply_gives_an_empty_reading(line_to):
    history = await review_history(
        CASE, [], "", line_to(ScriptedChatModel(script={"review_history": "no"})), LIMITS
    )
    assert (history.findings, history.asks, history.unquoted) == ((), "other", 0)
