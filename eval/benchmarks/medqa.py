"""MedQA-USMLE with four options."""

import json
from collections.abc import Iterator
from typing import Any, Final

from ddxgraph.eval.benchmarks.benchmark import Benchmark, Exclusion, Split
from ddxgraph.eval.benchmarks.rawfile import RawFile, Row

_HOME: Final = "https://github.com/jind11/MedQA"
_COPIES: Final = (
    "https://raw.githubusercontent.com/disi-unibo-nlp/medgenie/c1bc78073e8306b705ffbac65fdbfd33d3c4a763"
    "/data/medqa/{split}/{name}",
    "https://raw.githubusercontent.com/ngthanhtin/textual_grounding/74d9d14182fe5274fdada4e11a219b2e9b7f5d56"
    "/data/medqa/questions/US/4_options/{name}",
)
"""Public copies of the dev and test files, each at a commit at which they are byte-identical."""


def medqa_rows(content: bytes) -> Iterator[Row]:
    """Rows of MedQA's JSON lines: `question`, `options` ({letter: text}), `answer_idx`, `answer`, `meta_info`."""
    for number, line in enumerate(content.splitlines()):
        key = str(number)
        try:
            row = json.loads(line)
            question, letter, answer = (_text(row[name]) for name in ("question", "answer_idx", "answer"))
            options = {place: _text(text) for place, text in row["options"].items()}
            group, name = (_text(row.get(name) or "") for name in ("meta_info", "id"))
            yield Row(number, key, question, options, letter, answer, group, name)
        except (ValueError, RecursionError) as error:
            yield Row(number, key, "", {}, "", broken=f"broken JSON ({error})")
        except (KeyError, TypeError, AttributeError):
            yield Row(
                number, key, "", {}, "", broken="it lacks the fields question, options, answer_idx and answer"
            )


def near_duplicates(content: bytes) -> frozenset[str]:
    """Names of the training rows that nearly are evaluation items."""
    return frozenset(row["train_id"] for row in json.loads(content))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("not text")
    return value


def _evaluation(split: str, rows: int, sha256: str) -> Split:
    official = f"phrases_no_exclude_{split}.jsonl"
    raw = RawFile(
        path=f"medqa/{split}.jsonl",
        rows=rows,
        sha256=sha256,
        read=medqa_rows,
        prefix=f"medqa-{split}-",
        digests=f"medqa-{split}.digests",
        also=(
            f"questions/US/4_options/{official}",
            f"4_options/{official}",
            official,
            f"medqa_{split}.jsonl",
        ),
        urls=tuple(copy.format(split=split, name=official) for copy in _COPIES),
    )
    return Split(rows, raw)


BENCHMARK: Final = Benchmark(
    name="medqa",
    label="MedQA",
    title="MedQA-USMLE, four options (arXiv 2009.13081)",
    splits={
        "dev": _evaluation("dev", 1272, "774bbd90103af43badbe8d5294e336443573fc37b918763920b8fc3b3df581d9"),
        "test": _evaluation("test", 1273, "c3b905ccfa66152dc25afbcb2c10e86c0bdb208824f0658fcdb2c040f60a2beb"),
        "train": Split(
            3482,
            RawFile(
                path="medqa/train_partial.jsonl",
                rows=3503,
                sha256="3b65dcdcbe7c49eadb7d3cd97ec0a8e1741b1f9bcc7643215be5b5ce9b4b8d05",
                read=medqa_rows,
                prefix="medqa-train-",
                digests="medqa-train.digests",
                optional=True,
            ),
            excluded=Exclusion(
                RawFile(
                    path="medqa/train_partial_exclude.json",
                    rows=22,
                    sha256="46114954cd920a22dd6d23e63fc67089e2a425b6897134c995e2352fb5f14e84",
                    optional=True,
                ),
                near_duplicates,
            ),
            note="partial: 3503 of the official split's 10178, less 21 that nearly are evaluation items; "
            "four and five options",
        ),
    },
    held_out=True,
    licence="MIT (the repository's; no separate statement on the data)",
    home=_HOME,
    obtain="run `ddxgraph data fetch medqa`, or with the archive that "
    f"{_HOME} links to, `ddxgraph data fetch medqa --from data_clean.zip`",
)
