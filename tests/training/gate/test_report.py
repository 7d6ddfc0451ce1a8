"""The gate's report: why so many became so few, at a glance; the same bytes every time."""

import json

import pytest
from gated import LETTERS, Walk, case, entries, entry, held_out, make_run

from ddxgraph.common.errors import GateError
from ddxgraph.training.gate.config import GateConfig, PerCase
from ddxgraph.training.gate.decontamination import HeldOutSets, MissingSet
from ddxgraph.training.gate.report import GateReport
from ddxgraph.training.gate.screen import RunSource, gate

HOSTILE = "a|b*c`d<script>_e_"


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> GateReport:
    rows = [*entries(5), entry(case(5, id=HOSTILE), "B")]
    walk = Walk(answers=lambda number, sample: "A" if sample == 2 else LETTERS[number % 4])
    run = make_run(tmp_path_factory.mktemp("runs") / "pilot", rows, walk, samples=3)
    sets = HeldOutSets(
        (*held_out(case(3, id="test-9")).present, *held_out(case(98), name="medbullets").present),
        (MissingSet("jama", "JAMA Clinical Challenge", "ask `them`"),),
    )
    config = GateConfig(per_case=PerCase(at_most=1))
    return gate([RunSource(run, rows)], config, held_out=sets).report


def test_the_top_says_how_many_came_out_and_why_the_others_did_not(report):
    top = report.to_markdown().split("\n> ")[0].splitlines()
    assert top[0] == "# Gate report"
    assert top[2].startswith(f"**18 traversals went in, {report.accepted.journeys} came out (")
    reasons = [line for line in top if line.startswith("| ") and "%" in line]
    counts = [int(line.split("|")[1]) for line in reasons]
    assert counts == sorted(counts, reverse=True)
    assert sum(counts) == 18 - report.accepted.journeys
    assert "| 4 | 22.2% | wrong_answer | the answer is not the gold one |" in reasons
    assert "| 2 | 11.1% | test_question | its case is a test question |" in reasons


def test_a_set_that_was_not_compared_is_told_near_the_top(report):
    text = report.to_markdown()
    assert text.index("**NOT COMPARED WITH JAMA.**") < text.index("## Input")
    assert r"To get it: ask \`them\`" in text


def test_the_rules_are_all_there_with_their_examples(report):
    text = report.to_markdown()
    for rule in report.rules:
        assert f"| {rule.rule} | {rule.title} | {rule.before} | {rule.after} |" in text
        assert len(rule.examples) <= 2 * len(rule.reasons)
        for example in rule.examples:
            assert f"| {example.reason} | {example.trace} | " in text


def test_thresholds_are_stated_and_changed_settings_are_marked(report):
    text = report.to_markdown()
    assert "at least 0.3 of the shorter one's distinct word 13-grams" in text
    assert "8 consecutive 13-grams of it (20 words in a row)" in text
    assert "| per_case.at_most | **1** |" in text
    assert "| near_duplicates.threshold | 0.8 |" in text


def test_what_others_wrote_is_no_markup(report):
    text = report.to_markdown()
    assert HOSTILE not in text
    assert r"a\|b\*c\`d&lt;script&gt;\_e\_" in text


def test_every_table_has_its_columns(report):
    rows = [line for line in report.to_markdown().splitlines() if line.startswith("|")]
    assert len(rows) > 60
    assert all(line.endswith("|") for line in rows)
    width = 0
    previous = ""
    for line in report.to_markdown().splitlines():
        cells = line.replace(r"\|", "").count("|")
        if line.startswith("|"):
            if not previous.startswith("|"):
                width = cells
            assert cells == width, line
        previous = line


def test_the_json_holds_all_of_it(report):
    told = json.loads(report.to_json())
    assert GateReport.model_validate(told) == report
    assert told["rules"][1]["reasons"] == {"wrong_answer": 4}
    assert told["config"]["decontamination"]["containment"] == 0.3


def test_it_is_written_as_two_files(report, tmp_path):
    report.write(tmp_path / "new")
    assert (tmp_path / "new" / "gate.md").read_text() == report.to_markdown()
    assert (tmp_path / "new" / "gate.json").read_text() == report.to_json()
    (tmp_path / "file").touch()
    with pytest.raises(GateError, match="cannot write the report"):
        report.write(tmp_path / "file")


def test_no_validation_is_explained(report):
    assert report.validation.journeys == 0
    assert "No case fell to validation" in report.to_markdown()
