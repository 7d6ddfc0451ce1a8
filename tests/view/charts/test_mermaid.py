"""A journey as a Mermaid flowchart that no text of it can break."""

import re

import pytest
from journeys import CASE, STRAIGHT, reflection

from ddxgraph import build_graph, solve
from ddxgraph.testing import ScriptedChatModel

LINE = re.compile(
    r'  (s\d+\["[^"<>`\[\]{}|#&;\n]*(#\d+;[^"<>`\[\]{}|#&;\n]*)*<br/>[^"<>`\[\]{}|\n]*"\]'
    r'|s\d+ (-->|==>) s\d+|s\d+ -\. "[^"<>`\[\]{}|\n]*" \.-> s\d+|classDef abandoned .*|class s[\d,s]+ abandoned)'
)
TURNING = {
    **STRAIGHT,
    "reflect": [reflection("recheck_evidence", refuted=["C"], targets=["A", "B"]), reflection()],
}


def chart(script=TURNING, case=CASE) -> list[str]:
    return solve(build_graph(ScriptedChatModel(script=script)), case).to_mermaid().splitlines()


def test_stops_ways_and_moves_back_are_there():
    lines = chart()
    assert lines[0] == "flowchart LR"
    assert '  s0["1 History<br/>2 findings"]' in lines
    assert "  s0 --> s1" in lines
    assert (
        sum(
            line.startswith('  s6 -. "back to evidence on A and B (the model#58; recheck evidence)"')
            for line in lines
        )
        == 2
    )
    assert lines[-1] == "  class s4 abandoned"


@pytest.mark.parametrize(
    "label",
    [
        '"]; click s0 "x',
        "<script>",
        "a\nend\nb",
        "`code`",
        "#35;",
        "]-->[",
        "{{x}}",
        "%%{init: {}}%%",
        "|a|",
        "&lt;",
    ],
)
def test_no_text_ends_its_quotes(label):
    case = CASE.model_copy(update={"options": {**CASE.options, "A": label}})
    lines = chart(case=case)
    for line in lines[1:]:
        assert LINE.fullmatch(line), line
    assert len(lines) == len(chart())


@pytest.mark.parametrize(
    ("label", "written"),
    [
        (
            'Lifestyle:"x"',
            "Lifestyle#58;#34;x#34;",
        ),  # `style`, a colon and a number: Mermaid takes its end off
        ("$$x$$", "#36;#8203;#36;x#36;#8203;#36;"),  # a formula
        ("fa:fa-user", "fa#58;#8203;fa-user"),  # an icon
        ("a\u202eb\x00c", "a#65533;b#65533;c"),
        ("é病 5,0", "é病 5,0"),
    ],
)
def test_what_mermaid_would_make_something_of_is_broken_up(label, written):
    case = CASE.model_copy(update={"options": {**CASE.options, "A": label}})
    (line,) = [line for line in chart(case=case) if line.startswith('  s3["')]
    assert f" A {written}<br/>" in line


def test_a_given_up_check_says_so_in_words_too():
    (line,) = [line for line in chart() if line.startswith('  s4["')]
    assert line.endswith(', refuted"]')
