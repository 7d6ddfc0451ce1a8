"""MedQA's rows as cases, for the scripts beside this file."""

import json
from collections.abc import Iterator
from pathlib import Path

from ddxgraph import Case


def cases(path: Path) -> Iterator[Case]:
    """Cases of a MedQA file (`question`, `options`, `answer_idx`); the gold letter never becomes part of one."""
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines):
            row = json.loads(line)
            yield Case(
                id=f"medqa-{path.stem}-{number}",
                vignette=row["question"],
                options=row["options"],
                source="medqa",
                split=path.stem,
            )
