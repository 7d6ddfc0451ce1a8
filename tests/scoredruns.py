"""Scored runs built by hand: what the report is made of, without a model or a file."""

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

from ddxgraph.batch.manifest import CaseSet, Manifest, Selection
from ddxgraph.eval.cases import Gold
from ddxgraph.eval.scoring.rule import Score, Verdict
from ddxgraph.eval.scoring.run import ScoredRun
from ddxgraph.graph.budget import Budget
from ddxgraph.graph.trace import Provenance, StrategySettings

LETTERS = "ABCD"


def selection(benchmark: str = "medqa", split: str = "dev", **fields: Any) -> Selection:
    """Forty of a split, unless told otherwise."""
    return Selection(**{"benchmark": benchmark, "split": split, "limit": 40, "size": 1272, **fields})


def score(case: str, verdict: Verdict | str, sample: int = 0, **fields: Any) -> Score:
    """A score; the gold answer is A, and a wrong one B, unless told otherwise."""
    verdict = Verdict(verdict)
    gold = fields.pop("gold", "A")
    wrong = next(letter for letter in "BA" if letter != gold)
    answer = {Verdict.CORRECT: gold, Verdict.INCORRECT: wrong}.get(verdict)
    given: dict[str, Any] = {
        "case": case,
        "sample": sample,
        "verdict": verdict,
        "answer": answer,
        "gold": gold,
        "choice": answer and f"option {answer}",
        "loose_first": None if verdict is Verdict.ERROR else verdict is Verdict.CORRECT,
        "loose_last": None if verdict is Verdict.ERROR else verdict is Verdict.CORRECT,
        "distribution": {},
        "completion_tokens": 100,
        "prompt_tokens": 1000,
        "calls": 8,
        "repairs": 0,
        "backtracks": 0,
        "elapsed_s": 2.5,
        "ended": "concluded",
        "failure": "timeout" if verdict is Verdict.ERROR else "",
        "trace": f"{case}-{sample}",
    }
    return Score(**{**given, **fields})


def scored(
    name: str,
    scores: Sequence[Score],
    *,
    cases: int | None = None,
    samples: int = 1,
    chosen: Selection | None = None,
    strategy: str = "graph",
    budget: Budget | None = None,
    model: str = "smollm2",
    absent: int = 0,
    options: bool = True,
    golds: dict[str, str] | None = None,
    **provenance: Any,
) -> ScoredRun:
    """A run of the cases `c0`, `c1`, ... with these scores; what has none is missing."""
    count = cases if cases is not None else len({one.case for one in scores})
    keys = [f"c{number}" for number in range(count)]
    gold = dict.fromkeys(keys, "A") | {one.case: one.gold for one in scores} | (golds or {})
    letters = {letter: f"option {letter}" for letter in LETTERS} if options else {}
    return ScoredRun(
        name=name,
        path=Path("/runs") / name,
        manifest=Manifest(
            cases=CaseSet(count=count, sha256="0" * 64),
            samples=samples,
            selection=chosen,
            strategy=StrategySettings(name=strategy, budget=budget or Budget()),
            provenance=Provenance(
                model=model, **{"sampling": {"temperature": 0.0}, "prompt_set": "abc", **provenance}
            ),
        ),
        golds={key: Gold(case=key, answer=gold[key]) for key in keys},
        options=dict.fromkeys(keys, letters),
        scores=scores,
        missing=count * samples - len(scores),
        absent=absent,
    )


def random_run(
    name: str, *, cases: int = 40, samples: int = 1, skill: float = 0.5, seed: int = 0, **fields: Any
):
    """A run that answers so well, with a distribution and lengths of its own; the same every time."""
    luck = Random(f"{name}{seed}")
    tokens = fields.pop("tokens", 400)
    scores = []
    for number in range(cases):
        gold = LETTERS[Random(number).randrange(4)]
        for sample in range(samples):
            right = luck.random() < skill
            answer = gold if right else luck.choice([letter for letter in LETTERS if letter != gold])
            sure = luck.uniform(0.3, 0.9)
            scores.append(
                score(
                    f"c{number}",
                    "correct" if right else "incorrect",
                    sample,
                    gold=gold,
                    answer=answer,
                    choice=f"option {answer}",
                    distribution={x: sure if x == answer else (1 - sure) / 3 for x in LETTERS},
                    completion_tokens=round(tokens * luck.uniform(0.5, 1.5) * (1 if right else 1.4)),
                    elapsed_s=luck.uniform(1, 9),
                )
            )
    return scored(name, scores, samples=samples, **{"chosen": selection(limit=cases), **fields})
