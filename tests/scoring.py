"""Runs to score: real walks on a scripted model, each case's answer as wanted."""

import asyncio
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from journeys import AT_ONCE, OPTIONS, VIGNETTE, prompt_of
from journeys import answer as stated

from ddxgraph import Case, Gold, GraphStrategy, run
from ddxgraph.batch.manifest import Manifest
from ddxgraph.eval.cases import CaseEntry
from ddxgraph.testing import Request, ScriptedChatModel, smallest

Said = str | Exception
"""An answer, or what the engine raises instead; `""` for a reply that is no JSON."""


def case(number: int, *, free: bool = False, **fields: Any) -> Case:
    """A case that is known by its number."""
    known = {
        "id": f"case-{number}",
        "vignette": f"Patient {number}. {VIGNETTE}",
        "question": "Which diagnosis?",
    }
    return Case(**{**known, "options": {} if free else OPTIONS, **fields})


def entries(golds: Sequence[str], *, free: bool = False) -> list[CaseEntry]:
    """So many cases with these gold answers."""
    cases = [case(number, free=free) for number in range(len(golds))]
    return [CaseEntry(one, Gold(case=one.id, answer=gold)) for one, gold in zip(cases, golds, strict=True)]


def patient(request: Request) -> int:
    """The number of the case that a request is about."""
    found = re.search(r"Patient (\d+)\.", prompt_of(request))
    assert found
    return int(found[1])


def model_saying(answers: Callable[[Request], Said]) -> ScriptedChatModel:
    """A model that walks straight, and then answers so."""

    def conclude(request: Request) -> Mapping[str, Any] | str | Exception:
        said = answers(request)
        return stated(said) if isinstance(said, str) and said else said

    def differential(request: Request) -> Any:
        named = smallest(request.schema)
        for other in named.get("others", ()):
            other["label"] = "Influenza"
        return named

    script = {"conclude": conclude, "generate_differential": differential}
    return ScriptedChatModel(script=script, model_name="a-model")


def make_run(
    folder: Path,
    rows: Sequence[CaseEntry],
    answers: Sequence[Said] | Callable[[Request], Said],
    samples: int = 1,
) -> Path:
    """Run cases into a folder; answers go by the case's number. What failed before is tried again."""
    by_case = answers if callable(answers) else lambda request: answers[patient(request)]

    async def work() -> None:
        taken = run(
            [row.case for row in rows],
            model_saying(by_case),
            strategy=GraphStrategy(patience=AT_ONCE),
            samples=samples,
            out=folder,
        )
        async for _ in taken:
            pass

    asyncio.run(work())
    return folder


def lines_of(path: Path) -> list[dict[str, Any]]:
    """The objects of a file of one JSON object a line."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def write_lines(path: Path, records: Sequence[Mapping[str, Any]]) -> None:
    """Write such a file anew."""
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")


def alter_manifest(folder: Path, **changes: Any) -> None:
    """Write a run's manifest anew."""
    path = folder / "run.json"
    known = Manifest.model_validate_json(path.read_bytes())
    path.write_text(known.model_copy(update=changes).model_dump_json(), encoding="utf-8")
