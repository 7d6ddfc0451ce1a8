"""How often the gate takes a question for one that it is not: MedQA against a held-out file.

For each question the held-out question is found that contains most of its word 13-grams (or is contained in it),
by the gate's own measure. Prints how many are flagged at several thresholds, and each flagged pair with its
containment; whether a pair is the same question is for a reader to say. Then each question is taken for reasoning
on some other case, and those are told in which the gate's rule on reasoning, with its own settings, finds a
quoted question: by a run of n-grams, by all of a question that has fewer, or by their share alone. Not fetched:
give the files.

    python benchmarks/decontamination.py dev.jsonl train.jsonl [--first 1000] [--least 0.1] [--json] [--text]
"""

import argparse
import json
import time
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from medqa import cases

from ddxgraph import Case
from ddxgraph.training.gate.config import Decontamination
from ddxgraph.training.gate.decontamination import Decontaminator, HeldOut
from ddxgraph.training.gate.text import WordHasher, ngrams, stem_of

NO_CASE = Case(vignette="-")
"""Says nothing of its own."""
THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


class Pair(NamedTuple):
    """A question and the held-out question nearest to it."""

    question: str
    held_out: str
    containment: float
    """Shared n-grams over those of the shorter one, in 0..1."""


def pairs(questions: Iterable[Case], held_out: Sequence[Case], least: float) -> list[Pair]:
    """The nearest held-out question of each, from a containment on; the nearest pairs first."""
    rule = Decontamination(containment=least)
    near = Decontaminator([HeldOut("held-out", "held-out", held_out, "")], rule, WordHasher())
    hits = ((case.id, near.question(case)) for case in questions)
    found = [Pair(name, hit.question, round(hit.measure, 3)) for name, hit in hits if hit]
    return sorted(found, key=lambda pair: (-pair.containment, pair.question))


class Quoting(NamedTuple):
    """A question in which, were it reasoning, another one would be found."""

    question: str
    held_out: str
    run: int
    """Most consecutive n-grams."""
    share: float
    """Shared n-grams over those of the held-out question, in 0..1."""


def quoting(questions: Iterable[Case], held_out: Sequence[Case], rule: Decontamination) -> list[Quoting]:
    """The questions that would be refused as reasoning; the longest runs first."""
    near = Decontaminator([HeldOut("held-out", "held-out", held_out, "")], rule, WordHasher())
    hits = ((case.id, near.quote_in(stem_of(case), NO_CASE)) for case in questions)
    found = [Quoting(name, hit.question, hit.run, round(hit.share, 3)) for name, hit in hits if hit]
    return sorted(found, key=lambda one: (-one.run, -one.share, one.question))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("questions", type=Path)
    parser.add_argument("held_out", type=Path)
    parser.add_argument(
        "--first", type=int, default=1000, help="so many questions, from the file's beginning"
    )
    parser.add_argument("--least", type=float, default=THRESHOLDS[0], help="smallest containment to show")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--text", action="store_true", help="show the questions of each pair too")
    args = parser.parse_args()
    asked, held = list(islice(cases(args.questions), args.first)), list(cases(args.held_out))
    start = time.perf_counter()
    found = pairs(asked, held, args.least)
    seconds = time.perf_counter() - start
    rule = Decontamination()
    quotes = quoting(asked, held, rule)
    in_a_row = sum(one.run >= rule.run for one in quotes)
    grams = {case.id: len(set(ngrams(WordHasher()(stem_of(case)), rule.words).tolist())) for case in held}
    whole = sum(one.run < rule.run and grams[one.held_out] < rule.run for one in quotes)
    counts = {
        f"{least:.1f}": sum(pair.containment >= least for pair in found)
        for least in THRESHOLDS
        if least >= args.least
    }
    if args.json:
        told = {
            "questions": len(asked),
            "held_out": len(held),
            "flagged": counts,
            "pairs": [pair._asdict() for pair in found],
            "quoting": [one._asdict() for one in quotes],
        }
        print(json.dumps(told))
        return
    print(f"{len(asked)} questions against {len(held)} held-out ones, {seconds:.1f} s")
    print("containment from  " + "  ".join(counts))
    print("flagged           " + "  ".join(f"{count:3}" for count in counts.values()))
    texts = {case.id: case.vignette for case in [*asked, *held]}
    for pair in found:
        print(f"{pair.containment:.3f}  {pair.question}  {pair.held_out}")
        if args.text:
            print(f"    {texts[pair.question]}\n    {texts[pair.held_out]}")
    print(
        f"as reasoning      {len(quotes)} quote another: {in_a_row} by {rule.run} {rule.words}-grams in a row, "
        f"{whole} by all of a question that has fewer, "
        f"{len(quotes) - in_a_row - whole} by a share of {rule.containment} alone"
    )
    for one in quotes:
        print(f"{one.run:4} in a row, {one.share:.3f}  {one.question}  {one.held_out}")


if __name__ == "__main__":
    main()
