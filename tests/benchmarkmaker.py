"""Small benchmarks of our own making: rows, raw files, and what the public scraper would write of JAMA."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ddxgraph.eval.benchmarks.benchmark import Benchmark, Split
from ddxgraph.eval.benchmarks.medqa import medqa_rows
from ddxgraph.eval.benchmarks.rawfile import RawFile, print_published, sha256_of

SHARED = Path(__file__).parents[2] / "shared" / "data"
"""Where the true raw files lie beside the checkout, if they do."""

HOST = "https://jamanetwork.com/journals"
JAMA_TEST = tuple(
    f"{HOST}/{path}"
    for path in (
        "jamaotolaryngology/fullarticle/2811315",
        "jamadermatology/fullarticle/2798922",
    )
)
"""Addresses of test items."""
JAMA_OTHER = tuple(f"{HOST}/jama/fullarticle/{number}" for number in (2811509, 9000001, 9000002, 9000003))
"""Addresses of other items."""


def medqa_row(number: int, **fields: Any) -> dict[str, Any]:
    """A row in MedQA's format."""
    options = {"A": f"Gout {number}", "B": f"Lupus {number}", "C": f"Sarcoidosis {number}", "D": "Influenza"}
    letter = "ABCD"[number % 4]
    return {
        "question": f"A {20 + number}-year-old patient has joint pain on {number} days. What is the diagnosis?",
        "answer": options[letter],
        "options": options,
        "meta_info": "step1" if number % 3 else "step2&3",
        "answer_idx": letter,
        "metamap_phrases": ["joint pain"],
        **fields,
    }


def as_lines(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Rows as JSON lines."""
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def mini(folder: Path, rows: Sequence[Mapping[str, Any]], *urls: str) -> Benchmark:
    """A benchmark of one split, `mini/test.jsonl`, that consists of these rows; its digests lie in the folder."""
    content = as_lines(rows)
    folder.mkdir(parents=True, exist_ok=True)
    digests = folder / "mini.digests"
    digests.write_text(print_published(medqa_rows(content), keys=False))
    raw = RawFile(
        path="mini/test.jsonl",
        rows=len(rows),
        sha256=sha256_of(content),
        read=medqa_rows,
        prefix="mini-test-",
        digests=str(digests),
        also=("official_test.jsonl",),
        urls=urls,
    )
    return Benchmark(
        name="mini",
        label="Mini",
        title="Mini",
        splits={"test": Split(len(rows), raw)},
        held_out=True,
        licence="ours",
        home="here",
        obtain="make it",
    )


def jama_record(url: str, **fields: Any) -> dict[str, Any]:
    """What the scraper writes of an article."""
    number = url.rstrip("/").rpartition("/")[2]
    return {
        "link": url,
        "question": f"A patient of article {number} has a rash. What would you do next?",
        "opa": f"Biopsy {number}",
        "opb": "Observe",
        "opc": "Give steroids",
        "opd": "Operate",
        "diagnosis": "Pemphigus",
        "answer_idx": "C",
        "answer": "Give steroids",
        "explanation": "Because.",
        "field": "Dermatology",
        **fields,
    }
