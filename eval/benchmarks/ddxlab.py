"""The laboratory benchmark: cases generated from DDXPlus, the same on every machine, a subset a level."""

from collections.abc import Iterator
from functools import lru_cache, partial
from itertools import islice
from typing import Final

from ddxgraph.common.errors import BenchmarkError
from ddxgraph.eval.benchmarks.benchmark import Benchmark, Split
from ddxgraph.eval.benchmarks.rawfile import RawFile, Row
from ddxgraph.lab.knowledge import CONDITIONS_FILE, KnowledgeError, read_knowledge
from ddxgraph.lab.labcase import SPLITS, Draw, LabCase, SplitName, lab_cases
from ddxgraph.lab.level import LEVELS

NAME: Final = "ddxlab"
SOURCE: Final = "ddxplus"
"""The data that its cases are made of, by which they can be fetched too."""
CASES_A_LEVEL: Final = {"train": 2000, "dev": 100, "test": 250}
"""Of each split. The generator goes on without end: see `ddxgraph.lab.labcase`."""

_SEED: Final = 0
_CONDITIONS: Final = 49


def ddxlab_file(split: SplitName) -> RawFile:
    """The file that a split's cases are made of; it is the same for all."""
    return RawFile(
        path=f"{SOURCE}/{CONDITIONS_FILE}",
        rows=_CONDITIONS,
        sha256="8173e95870b81d0295f0febd27ec6c700c69e96ecddc39a18efdfbe5f23708bb",
        read=partial(ddxlab_rows, split),
        prefix=f"{NAME}-{split}-",
    )


def size(split: SplitName) -> int:
    """Cases of a split."""
    return CASES_A_LEVEL[split] * len(LEVELS)


def ddxlab_rows(split: SplitName, content: bytes) -> Iterator[Row]:
    """The cases of a split, level by level, each level a subset of its own (`level-1`).

    Args:
        split: which.
        content: of `release_conditions.json`.

    Raises:
        BenchmarkError: it is another file.
    """
    return iter(_rows(split, content))


@lru_cache(maxsize=len(SPLITS))
def _rows(split: SplitName, content: bytes) -> tuple[Row, ...]:
    """Kept, since a split is asked for level by level, and drawing one takes seconds."""
    try:
        knowledge = read_knowledge(content)
    except KnowledgeError as error:
        raise BenchmarkError(str(error)) from None
    drawn = (
        case
        for level in LEVELS.values()
        for case in islice(lab_cases(Draw(knowledge, level, split, _SEED)), CASES_A_LEVEL[split])
    )
    return tuple(_row(number, case, split) for number, case in enumerate(drawn))


def _row(number: int, drawn: LabCase, split: SplitName) -> Row:
    case = drawn.case
    return Row(
        number=number,
        key=case.id.removeprefix(f"{NAME}-{split}-"),
        question=case.vignette,
        options=case.options,
        letter=drawn.gold,
        answer=case.options[drawn.gold],
        group=f"level-{drawn.level.number}",
        asked=case.question,
    )


BENCHMARK: Final = Benchmark(
    name=NAME,
    label=NAME,
    title="laboratory cases in four levels, generated from DDXPlus (arXiv 2205.09148); no medicine",
    splits={split: Split(size(split), ddxlab_file(split)) for split in SPLITS},
    held_out=False,
    licence="CC BY 4.0 (DDXPlus)",
    home="https://github.com/mila-iqia/ddxplus",
    obtain="get DDXPlus' English release, and with its folder or archive run "
    f"`ddxgraph data fetch {SOURCE} --from PATH`",
    also=SOURCE,
)
