"""Medbullets, with four and with five options."""

from collections.abc import Iterator
from typing import Final

from ddxgraph.eval.benchmarks.benchmark import Benchmark, Split
from ddxgraph.eval.benchmarks.rawfile import RawFile, Row, lettered_row, records_of

_HOME: Final = "https://raw.githubusercontent.com/HanjieChen/ChallengeClinicalQA/main/medbullets"


def medbullets_rows(content: bytes) -> Iterator[Row]:
    """Rows of Medbullets' JSON, which is laid out by column: `{column: {row: value}}`."""
    for number, record in enumerate(records_of(content)):
        key = str(record.get("link", "")).rstrip("/").rpartition("/")[2].rpartition("=")[2]
        yield lettered_row(number, key, record)


def _raw(options: int, sha256: str) -> RawFile:
    name = f"medbullets_op{options}.json"
    return RawFile(
        path=f"medbullets/{name}",
        rows=308,
        sha256=sha256,
        read=medbullets_rows,
        prefix="medbullets-",
        digests=f"medbullets-op{options}.digests",
        urls=(f"{_HOME}/{name}",),
    )


BENCHMARK: Final = Benchmark(
    name="medbullets",
    label="Medbullets",
    title="Medbullets, USMLE step 2 and 3 style (arXiv 2402.18060)",
    splits={
        "test": Split(
            308,
            _raw(4, "1e1581c1b8d2f79735e71b8d07d0210a829087aac18e078dadc2ec2cb42ed68b"),
            _raw(5, "14e209d0dc5c6350290e878b8e7e392c976cc96765b8e2d0d7434a2787ea6998"),
        )
    },
    held_out=True,
    licence="none stated",
    home="https://github.com/HanjieChen/ChallengeClinicalQA",
    obtain="run `ddxgraph data fetch medbullets`",
)
