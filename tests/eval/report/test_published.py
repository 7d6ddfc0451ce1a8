"""The published table: it adds up, but for what is named here."""

import csv
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from ddxgraph.eval.report.published import (
    CASES,
    Figure,
    PublishedRow,
    discrepancies,
    integer_counts,
    published,
    weighted_mean,
)

ROOT = Path(__file__).parents[3]
SHARED = ROOT.parent / "shared" / "data" / "paper" / "table1.csv"
MEANS_OFF = {
    "InternLM2.5-Vanilla CoT 7B": ("42.47", "42.74"),
    "LLama3.1-Vanilla CoT 70B": ("73.59", "73.32"),
}
"""Label to the mean as printed and as its row gives it."""
NO_COUNT = {
    ("GPT-4o-Vanilla CoT", "medbullets"): ("81.68", 251),
    ("LLama3.1 8B", "jama"): ("46.67", 301),
    ("LLama3.1 8B", "medbullets"): ("49.43", 152),
    ("InternLM2.5-Vanilla CoT 20B", "medbullets"): ("46.01", 141),
}
"""Label and benchmark to the accuracy as printed and the whole number of cases below it."""


def row(label):
    return next(row for row in published() if row.label == label)


def test_every_mean_is_its_rows_own_but_for_two():
    for each in published():
        gap = abs(Fraction(each.mean) - weighted_mean(each))
        if each.label in MEANS_OFF:
            assert gap > Fraction(1, 4), each.label
        else:
            assert gap <= Fraction(1, 100), each.label
    found = discrepancies().means
    assert {item.label: (str(item.printed), str(item.recomputed)) for item in found} == MEANS_OFF


def test_every_accuracy_is_a_whole_number_of_cases_but_for_four():
    found = discrepancies().counts
    assert {(item.label, item.benchmark): (str(item.printed), item.below) for item in found} == NO_COUNT
    for item in found:
        low, high = (Decimal(100 * count) / item.cases for count in (item.below, item.below + 1))
        assert low + Decimal("0.005") < item.printed < high - Decimal("0.005")


def test_a_discrepancy_is_said_in_a_sentence():
    found = discrepancies()
    assert str(found.means[0]) == (
        "InternLM2.5-Vanilla CoT 7B: the mean is printed as 42.47; "
        "its three figures, weighted by cases, give 42.74"
    )
    assert str(found.counts[-1]) == (
        "InternLM2.5-Vanilla CoT 20B, medbullets: 46.01 is no whole number of 308 cases "
        "(141 are 45.78, 142 are 46.10)"
    )


def test_a_row_without_a_flaw_gives_no_discrepancy():
    right = PublishedRow(
        group="",
        model="made up",
        size="",
        mean=Decimal("50.02"),  # (323 + 154 + 637) of 2227
        figures={
            "jama": Figure(Decimal("50.00"), None),
            "medbullets": Figure(Decimal("50.00"), None),
            "medqa": Figure(Decimal("50.03"), None),
        },
    )
    assert weighted_mean(right) == Fraction("50.00") + Fraction(3, 100) * 1273 / 2227
    assert discrepancies([right]) == ([], [])


@pytest.mark.parametrize(
    ("accuracy", "cases", "counts"),
    [
        ("33.33", 3, [1]),
        ("66.67", 3, [2]),  # rounded
        ("66.66", 3, [2]),  # cut off
        ("66.68", 3, []),
        ("66.65", 3, []),
        ("100.00", 646, [646]),
        ("0.00", 646, [0]),
        ("0.15", 646, [1]),
        ("50.00", 100_000, [*range(49_995, 50_010)]),
    ],
)
def test_an_accuracy_is_a_count_if_it_rounds_or_cuts_off_to_it(accuracy, cases, counts):
    assert integer_counts(Decimal(accuracy), cases) == counts


def test_rows_say_what_they_are():
    long = row("LLama3.1-LongMonolog 70B")
    assert (long.family, long.strategy, long.parameters) == ("LLama3.1", "longmonolog", 70)
    assert long.figures["jama"] == (Decimal("59.44"), 1153)
    named = {(row("GPT-4o").strategy, row("GPT-4o").parameters, row("GPT-4o").figures["jama"].tokens)}
    assert named == {("vanilla", None, None)}
    assert (row("Qwen2.5-CoT SFT 72B").family, row("Qwen2.5-CoT SFT 72B").strategy) == ("Qwen2.5", "cot sft")
    assert row("GPT-4o-Vanilla CoT").strategy == "cot"
    assert len({each.label for each in published()}) == len(published())
    assert {benchmark for each in published() for benchmark in each.figures} == set(CASES)


def test_the_table_holds_the_rows_that_were_transcribed():
    if not SHARED.exists():
        pytest.skip("the transcription of the paper's Table 1 is not beside this checkout")
    own = (ROOT / "eval" / "report" / "table1.csv").read_text(encoding="utf-8")
    with SHARED.open(encoding="utf-8", newline="") as lines:
        transcribed = list(csv.DictReader(lines))
    assert transcribed == list(csv.DictReader(own.splitlines()))[: len(transcribed)]
