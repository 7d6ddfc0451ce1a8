"""The laboratory benchmark: cases generated from DDXPlus, the same on every machine, one subset for each
level."""

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
"""The data that its cases are made from; a second name to fetch them by."""
CASES_A_LEVEL: Final = {"train": 2000, "dev": 100, "test": 250}
"""In each split. The generator is endless: see `ddxgraph.lab.labcase`."""

_SEED: Final = 0
_CONDITIONS: Final = 49


def ddxlab_rows(split: SplitName, content: bytes) -> Iterator[Row]:
    """The cases of a split, level by level; each level is a subset (`level-1`).

    Args:
        split: the split.
        content: of `release_conditions.json`.

    Raises:
        BenchmarkError: it is another file.
    """
    return iter(_rows(split, content))


@lru_cache(maxsize=len(SPLITS))
def _rows(split: SplitName, content: bytes) -> tuple[Row, ...]:
    """Cached, since a split is read once for each level, and drawing it takes seconds."""
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


def _split(name: SplitName) -> Split:
    raw = RawFile(
        path=f"{SOURCE}/{CONDITIONS_FILE}",
        rows=_CONDITIONS,
        sha256="8173e95870b81d0295f0febd27ec6c700c69e96ecddc39a18efdfbe5f23708bb",
        read=partial(ddxlab_rows, name),
        prefix=f"{NAME}-{name}-",
    )
    return Split(CASES_A_LEVEL[name] * len(LEVELS), raw)


BENCHMARK: Final = Benchmark(
    name=NAME,
    label=NAME,
    title="laboratory cases in four levels, generated from DDXPlus (arXiv 2205.09148); no medicine",
    splits={name: _split(name) for name in SPLITS},
    held_out=False,
    licence="CC BY 4.0 (DDXPlus)",
    home="https://github.com/mila-iqia/ddxplus",
    obtain="get DDXPlus' English release, and with its folder or archive run "
    f"`ddxgraph data fetch {SOURCE} --from PATH`",
    also=SOURCE,
)
