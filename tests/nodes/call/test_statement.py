"""The strict rule by which a text states its answer, on texts as models write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddxgraph.nodes.call.statement import STATEMENT_CHARS, STATEMENT_RULE, stated

OPTIONS = {
    "A": "Influenza",
    "B": "Community-acquired pneumonia",
    "C": "β-Blocker overdose",
    "D": "HLA-B*27 (associated) spondylitis",
    "E": "X-linked Crohn's disease, caf\u00e9-au-lait",
}


def test_the_rule_has_the_version_that_these_strings_pin():
    """Whoever changes what is accepted changes the strings below, and raises the version."""
    assert STATEMENT_RULE == "2"


@pytest.mark.parametrize(
    "line",
    [
        "Answer: B",
        "Answer:B",
        "Answer : B",
        "answer: B",
        "ANSWER: B",
        "Answer\N{FULLWIDTH COLON}B",
        "Answer\N{FULLWIDTH COLON} B",
        "  Answer:   B  ",
        "Answer: B\r",
        "Answer:\tB",
        "**Answer: B**",
        "**Answer:** B",
        "**Answer**: B",
        "__Answer: B__",
        "*Answer: B*",
        "***Answer: B***",
        "`Answer: B`",
        "Answer: **B**",
        "Answer: `B`",
        "**Answer: B",
        "Answer: B.",
        "Answer: (B)",
        "Answer: (B).",
        "Answer: B)",
        "Answer: B).",
        "Answer: B:",
        "Answer: **(B)**",
        "Answer: B. Community-acquired pneumonia",
        "Answer: B) Community-acquired pneumonia",
        "Answer: B)Community-acquired pneumonia",
        "Answer: (B) Community-acquired pneumonia.",
        "Answer: B: community-acquired   pneumonia",
        "Answer: B Community-acquired pneumonia",
        "Answer: B - Community-acquired pneumonia",
        "Answer: B \N{EM DASH} Community-acquired pneumonia",
        "Answer: B (Community-acquired pneumonia)",
        "Answer: B(Community-acquired pneumonia)",
        "Answer: **B.** Community-acquired pneumonia",
        "**Answer: B. COMMUNITY-ACQUIRED PNEUMONIA**",
    ],
)
@pytest.mark.parametrize("before", ["", "Crackles speak for it.\n\n", "Answer: A\nNo, rather:\n"])
@pytest.mark.parametrize("after", ["", "\n", " \n\n\t\n"])
def test_a_last_line_of_the_form_states_its_letter(line, before, after):
    text = before + line + after
    found = stated(text, OPTIONS)
    assert found is not None
    assert (found.answer, text[found.place]) == ("B", "B")
    assert found.words == line.strip()


@pytest.mark.parametrize(
    ("line", "letter"),
    [
        ("Answer: C. β-blocker overdose", "C"),
        ("Answer: D. HLA-B*27 (associated) spondylitis", "D"),
        ("Answer: **D. HLA-B*27 (associated) spondylitis**", "D"),
        ("Answer: A. influenza", "A"),
        ("Answer: E. X\u2011linked Crohn\u2019s disease, cafe\u0301\u2010au\u2011lait", "E"),
        ("Answer: E. X\u2013linked Crohn\u02bcs disease,\u202fcaf\u00e9-au-lait", "E"),
        ("Answer:\u202fE.\u00a0X-linked Crohn's disease, caf\u00e9\u2212au-lait.", "E"),
        ("Answer: E \u2212 X-linked Crohn\u2032s\u3000disease\uff0c caf\u00e9-au-lait", "E"),
        ("Answer: E. X\u00ad-linked Crohn's dis\u00adease, caf\u00e9-au-lait\u200b", "E"),
        ("\ufeffAnswer: \u200eE\u200b", "E"),
        ("**Answer: E**\n\u200b\n", "E"),
        ("Answer: C. \u03b2\u2011blocker overdose", "C"),
        ("Answer: A. In\ufb02uenza", "A"),
    ],
)
def test_an_options_own_text_may_follow_whatever_signs_it_holds(line, letter):
    assert stated(line, OPTIONS).answer == letter


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n \n",
        "B",
        "(B)",
        "Community-acquired pneumonia",
        "Answer:",
        "Answer: ",
        "Answer: **",
        "Answer: X",
        "Answer: F",
        "Answer: b",
        "Answer: \N{FULLWIDTH LATIN CAPITAL LETTER B}",
        "Answer: \N{GREEK CAPITAL LETTER BETA}",
        "Answer: A, B",
        "Answer: A/B",
        "Answer: AB",
        "Answer: A or B",
        "Answer: A and B",
        "Answer: B or C?",
        "Answer: not B",
        "Answer: B?",
        "Answer: B!",
        "Answer: (B",
        "Answer: [B]",
        "Answer: <B>",
        "Answer: \\boxed{B}",
        "Answer: Option B",
        "Answer: B, because he has crackles",
        "Answer: B is right",
        "Answer: B. Influenza",
        "Answer: E. X linked Crohn's disease, caf\u00e9-au-lait",
        "Answer: E. Xlinked Crohn's disease, caf\u00e9-au-lait",
        "Answer: E. X-linked Crohns disease, caf\u00e9-au-lait",
        "Answer: E. X-linked Crohn's disease, cafe-au-lait",
        "Answer: B. pneumonia",
        "Answer: Bacterial pneumonia",
        "Answer: BCommunity-acquired pneumonia",
        "Answer: Community-acquired pneumonia",
        "Answer: A. Influenza B. Community-acquired pneumonia",
        "Answer - B",
        "Answer B",
        "Answer = B",
        "Answers: B",
        "The answer is B",
        "The answer is: B",
        "Final answer: B",
        "My Answer: B",
        "So, Answer: B",
        "- Answer: B",
        "# Answer: B",
        "> Answer: B",
        '{"answer": "B"}',
        "Answer:\nB",
        "Answer: B\nThis is not medical advice.",
        "Answer: B\n\nI hope this helps!",
        "Answer: B\n```",
        "Answer: B\n**",
        "Answer: B<|im_end|>",
        "Answer: A\nHm. Let me think again about B",
        "<think>Answer: B</think>",
        "<think>\nCrackles.\nAnswer: B\n</think>\n\n",
        "<think>\nCrackles.\nAnswer: B",
        "Answer: B\n<think>or A?</think>",
        "Answer: B\n</think>\n",
    ],
)
def test_anything_else_states_nothing(text):
    assert stated(text, OPTIONS) is None


@pytest.mark.parametrize(
    "text",
    [
        "<think>\nInfluenza?\nAnswer: A\n</think>\n\nAnswer: B",
        "<think></think>Answer: B",
        "Influenza? Answer: A\n</think>\nAnswer: B",
        "<think>A</think>Well.\n<think>B!</think>\nCrackles.\nAnswer: B",
    ],
    ids=["a block", "an empty one", "opened by the chat template", "two blocks"],
)
def test_what_follows_the_reasoning_counts(text):
    found = stated(text, OPTIONS)
    assert (found.answer, found.place) == ("B", text.rindex("B"))


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Answer: Croup", "Croup"),
        ("He barks.\n\nAnswer:  Viral croup, moderate. \n", "Viral croup, moderate."),
        ("**Answer: Croup**", "Croup"),
        ("**Answer:** Croup", "Croup"),
        ("Answer: *Staphylococcus aureus* sepsis", "Staphylococcus aureus sepsis"),
        ("**Answer:** *Staphylococcus aureus* sepsis", "Staphylococcus aureus sepsis"),
        ("Answer: HLA-B*27 testing", "HLA-B*27 testing"),
        ("Answer\N{FULLWIDTH COLON}肺炎", "肺炎"),
        ("answer: B", "B"),
        ("Answer: Answer: Croup", "Answer: Croup"),
        (f"Answer: {'x' * STATEMENT_CHARS}", "x" * STATEMENT_CHARS),
    ],
)
def test_without_options_the_rest_of_the_line_is_the_answer(text, answer):
    found = stated(text, {})
    assert (found.answer, found.place) == (answer, -1)
    assert found.words == text.strip().splitlines()[-1].strip()


@pytest.mark.parametrize(
    "text",
    [
        "Croup",
        "Answer:",
        "Answer: ** **",
        "Answer: Croup\nGood luck",
        f"Answer: {'x' * (STATEMENT_CHARS + 1)}",
    ],
)
def test_without_options_what_is_no_short_statement_states_nothing(text):
    assert stated(text, {}) is None


PIECES = (
    "Answer",
    ":",
    "\N{FULLWIDTH COLON}",
    " ",
    "B",
    "A",
    "(",
    ")",
    ".",
    "*",
    "_",
    "\n",
    "\r",
    "</think>",
    "<think>",
)


@given(
    before=st.lists(st.sampled_from(PIECES), max_size=4),
    middle=st.lists(st.sampled_from(PIECES), max_size=4),
    after=st.lists(st.sampled_from(PIECES), max_size=3),
    free=st.booleans(),
)
def test_whatever_a_text_holds_its_answer_stands_in_its_last_line(before, middle, after, free):
    text = "".join([*before, "Answer:", *middle, "B", *after])
    found = stated(text, {} if free else OPTIONS)
    if found is None:
        return
    assert text.rstrip().endswith(found.words)
    assert "\n" not in found.words
    assert "answer" in found.words.lower()
    if not free:
        assert found.answer == text[found.place]
        assert found.place >= len(text.rstrip()) - len(found.words)
