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
            line.startswith('  s6 -. "back to evidence on A and B (the model: recheck evidence)"')
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
