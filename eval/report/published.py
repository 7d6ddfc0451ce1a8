"""Table 1 of arXiv 2501.06458 as published, and the figures in it that do not add up."""

import csv
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

SOURCE: Final = "arXiv 2501.06458, Table 1"
CASES: Final[Mapping[str, int]] = {"jama": 646, "medbullets": 308, "medqa": 1273}
"""Benchmark to its cases, as the head of the table gives them; the weights of its mean."""
TOLERANCE: Final = Fraction(1, 100)
"""Tolerated error of a printed mean, in percentage points: it was computed from figures of two decimals."""

_FILE: Final = Path(__file__).with_name("table1.csv")
_STRATEGIES: Final[Mapping[str, str]] = {
    "Vanilla CoT": "cot",
    "CoT SFT": "cot sft",
    "LongStep": "longstep",
    "LongMonolog": "longmonolog",
}


class Figure(NamedTuple):
    """A model on a benchmark, as printed."""

    accuracy: Decimal
    """Per cent."""
    tokens: int | None
    """Mean output tokens; None for a dash."""


@dataclass(frozen=True, slots=True)
class PublishedRow:
    """A row of the table."""

    group: str
    model: str
    """As printed, such as `Qwen2.5-LongStep`."""
    size: str
    """As printed, such as `72B`; empty if it is not public."""
    mean: Decimal
    """The printed mean accuracy, per cent."""
    figures: Mapping[str, Figure]
    """Benchmark (`jama`, `medbullets`, `medqa`) to figure."""

    @property
    def label(self) -> str:
        """Model and size."""
        return f"{self.model} {self.size}".rstrip()

    @property
    def strategy(self) -> str:
        """`vanilla`, `cot`, `cot sft`, `longstep` or `longmonolog`."""
        return next((name for words, name in _STRATEGIES.items() if self.model.endswith(words)), "vanilla")

    @property
    def family(self) -> str:
        """The model without its strategy, such as `Qwen2.5`."""
        suffix = next((words for words in _STRATEGIES if self.model.endswith(words)), "")
        return self.model.removesuffix(suffix).rstrip("-")

    @property
    def parameters(self) -> int | None:
        """Parameters in billions; None if they are not public."""
        return int(self.size.removesuffix("B")) if self.size else None


class MeanDiscrepancy(NamedTuple):
    """A printed mean that does not follow from its own row."""

    label: str
    printed: Decimal
    recomputed: Decimal
    """To two decimals."""

    def __str__(self) -> str:
        return (
            f"{self.label}: the mean is printed as {self.printed}; "
            f"its three figures, weighted by cases, give {self.recomputed}"
        )


class CountDiscrepancy(NamedTuple):
    """A printed accuracy that no whole number of correct cases gives, rounded or truncated to two decimals."""

    label: str
    benchmark: str
    printed: Decimal
    cases: int
    below: int
    """Correct cases that give just less than the printed accuracy; one more gives more."""

    def __str__(self) -> str:
        return (
            f"{self.label}, {self.benchmark}: {self.printed} is no whole number of {self.cases} cases "
            f"({self.below} are {_two_decimals(_per_cent(self.below, self.cases))}, "
            f"{self.below + 1} are {_two_decimals(_per_cent(self.below + 1, self.cases))})"
        )


class Discrepancies(NamedTuple):
    """Figures in the table that do not add up; `str` of an entry is a sentence for the report."""

    means: Sequence[MeanDiscrepancy]
    counts: Sequence[CountDiscrepancy]


@cache
def published() -> tuple[PublishedRow, ...]:
    """The rows of the table, in its order."""
    with _FILE.open(encoding="utf-8", newline="") as lines:
        return tuple(_row(record) for record in csv.DictReader(lines))


def weighted_mean(row: PublishedRow, benchmarks: Collection[str] | None = None) -> Fraction:
    """The mean accuracy of a row's own figures, in per cent, weighted by the benchmarks' cases; of all three if
    None."""
    names = [name for name in row.figures if benchmarks is None or name in benchmarks]
    total = sum((Fraction(row.figures[name].accuracy) * CASES[name] for name in names), start=Fraction(0))
    return total / sum(CASES[name] for name in names)


def discrepancies(rows: Sequence[PublishedRow] | None = None) -> Discrepancies:
    """The printed means that are off by more than `TOLERANCE`, and the accuracies that no count gives.

    An accuracy may have been averaged over several runs, or computed over fewer cases than the head of the table
    says; a discrepancy raises a question and does not prove an error. `rows` are the published ones if None.
    """
    rows = published() if rows is None else rows
    means = [
        MeanDiscrepancy(row.label, row.mean, _two_decimals(weighted_mean(row)))
        for row in rows
        if abs(Fraction(row.mean) - weighted_mean(row)) > TOLERANCE
    ]
    return Discrepancies(means, [odd for row in rows for odd in _odd_counts(row)])


def integer_counts(accuracy: Decimal, cases: int) -> list[int]:
    """The numbers of correct cases that print as this accuracy, in per cent, rounded or truncated to two
    decimals.

    Usually one; none if no count fits.
    """
    printed, step = Fraction(accuracy), Fraction(1, 100)
    least = math.ceil((printed - step / 2) * cases / 100)
    beyond = math.ceil((printed + step) * cases / 100)
    return list(range(max(0, least), min(cases + 1, beyond)))


def _odd_counts(row: PublishedRow) -> Iterator[CountDiscrepancy]:
    for benchmark, figure in row.figures.items():
        cases = CASES[benchmark]
        if not integer_counts(figure.accuracy, cases):
            below = int(Fraction(figure.accuracy) * cases / 100)
            yield CountDiscrepancy(row.label, benchmark, figure.accuracy, cases, below)


def _per_cent(count: int, cases: int) -> Fraction:
    return Fraction(100 * count, cases)


def _two_decimals(value: Fraction) -> Decimal:
    return (Decimal(round(value * 100)) / 100).quantize(Decimal("0.01"))


def _row(record: Mapping[str, str]) -> PublishedRow:
    return PublishedRow(
        group=record["group"],
        model=record["model"],
        size=record["param_size"],
        mean=Decimal(record["mean_acc"]),
        figures={
            name: Figure(
                Decimal(record[f"{name}_acc"]),
                int(record[f"{name}_tokens"]) if record[f"{name}_tokens"] else None,
            )
            for name in CASES
        },
    )
