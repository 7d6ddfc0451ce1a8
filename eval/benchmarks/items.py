"""The cases of a benchmark, out of the user's data folder, each checked to be the published one.

No text of a benchmark ships. Raw files lie in the data folder as they were published, and are known by their
SHA-256 and by a short digest of each row.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ddxgraph.batch.manifest import Selection
from ddxgraph.common.errors import BenchmarkError
from ddxgraph.common.files import CACHE_VARIABLE, read_input
from ddxgraph.eval.benchmarks.benchmark import Benchmark, Split
from ddxgraph.eval.benchmarks.rawfile import (
    DATA,
    Problem,
    RawFile,
    Row,
    data_folder,
    problems_of,
    refusal,
    sha256_of,
)
from ddxgraph.eval.benchmarks.registry import BENCHMARKS, find
from ddxgraph.eval.cases import CaseEntry, case_entry, sample, shuffled, withheld


@dataclass(frozen=True)
class Items:
    """Cases of a benchmark with their gold answers. Can be iterated repeatedly; `len` counts them."""

    selection: Selection
    """Completed: `size` and `sha256` are those of what was read."""
    entries: Sequence[CaseEntry]
    absent: int = 0
    """Cases of the split that are not on this machine (an incomplete import of JAMA); else 0."""

    def __iter__(self) -> Iterator[CaseEntry]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def denominator(self) -> int:
        """Cases in the denominator of this selection's score.

        For a whole split, its published size, absent cases included. For a subset or a sample, the cases in it;
        these are drawn from what is there.
        """
        return len(self.entries) + (self.absent if _is_whole(self.selection) else 0)


def absent_from(selection: Selection | None, count: int) -> int:
    """Cases in the denominator of a selection's score that are not at hand; see `Items.denominator`.

    Args:
        selection: completed; None for cases of no benchmark.
        count: cases at hand.
    """
    return max(0, selection.size - count) if selection and _is_whole(selection) else 0


def _is_whole(selection: Selection) -> bool:
    """Whether it is a whole split, not a part drawn from what is there."""
    return selection.subset is None and selection.limit is None


def load(selection: Selection, *, folder: Path | None = None) -> Items:
    """The cases of a selection, from the data folder, each checked to be the published one.

    Case ids: `medqa-dev-17` (row of the file, from 0), `medbullets-217175` (end of the link; the same with four
    and five options), `jama-2811315` (article number), `ddxlab-test-2-0-17` (level, seed, place). They stay the
    same when options are shuffled or withheld.

    Args:
        selection: which cases. Its `size` and `sha256` are ignored and filled in from what is read.
        folder: where the raw files lie; `data_folder()` by default.

    Returns:
        The cases.

    Raises:
        BenchmarkError: there is no such benchmark, split, subset or five-option file; the file is missing; or it
            is not the published one, and the message names the rows that differ.
    """
    return items_of(find(selection.benchmark), selection, folder or data_folder())


def items_of(benchmark: Benchmark, selection: Selection, place: Path) -> Items:
    """The cases of a selection of any benchmark, registered or not: see `load`.

    Args:
        benchmark: the benchmark.
        selection: which cases.
        place: where the raw files lie.

    Returns:
        The cases.

    Raises:
        BenchmarkError: see `load`.
    """
    split = benchmark.split(selection.split)
    raw = _file_of(benchmark, split, selection)
    content = _Copy(benchmark, selection.split, raw, place).published()
    assert raw.read is not None  # noqa: S101 - every split's file has a reader
    rows = list(raw.read(content))
    if split.excluded:
        excluded = _Copy(benchmark, selection.split, split.excluded.file, place).published()
        names = split.excluded.names(excluded)
        rows = [row for row in rows if row.name not in names]
    size, chosen = split.size or len(rows), _group(rows, selection)
    entries = [_entry(row, raw.prefix, selection) for row in chosen]
    if selection.shuffle is not None:
        entries = [shuffled(entry, selection.shuffle) for entry in entries]
    if selection.free_form:
        entries = [withheld(entry) for entry in entries]
    if selection.limit is not None:
        entries = sample(entries, selection.limit, selection.limit_seed)
    subset = selection.subset and chosen[0].group  # as the file spells it
    completed = selection.model_copy(update={"subset": subset, "size": size, "sha256": sha256_of(content)})
    return Items(completed, tuple(entries), absent=size - len(rows))


def problems_in(benchmark: Benchmark, split: str, raw: RawFile, folder: Path) -> list[Problem]:
    """The faults of a raw file in a data folder, row by row; empty if it is the published one.

    Args:
        benchmark: the file's.
        split: the file's.
        raw: the file.
        folder: the data folder.

    Returns:
        The faults.

    Raises:
        BenchmarkError: the file is missing, cannot be read, or should have been imported and was not.
    """
    copy = _Copy(benchmark, split, raw, folder)
    return copy.problems(copy.read())


class _Copy(NamedTuple):
    """A raw file in a data folder."""

    benchmark: Benchmark
    split: str
    raw: RawFile
    folder: Path

    @property
    def path(self) -> Path:
        return self.folder / self.raw.path

    def read(self) -> bytes:
        try:
            return read_input(self.path)
        except FileNotFoundError:
            name, obtain = self.benchmark.name, self.benchmark.obtain
            if self.raw.optional and not self.benchmark.companions:
                how = f"run `ddxgraph data fetch {name} --from FOLDER`"
                obtain = f"it has no public home; with {self.raw.name}, {how}"
            raise BenchmarkError(
                f"{name} {self.split} is not on this machine (no {self.path}): {obtain}"
            ) from None
        except OSError as error:
            raise BenchmarkError(
                f"cannot read {self.path}: {error.strerror or error}; {CACHE_VARIABLE} names the folder above "
                f"{DATA}"
            ) from None

    def problems(self, content: bytes) -> list[Problem]:
        if self.raw.sha256 or self.benchmark.importer is None:
            return problems_of(self.raw, content)
        record = self.benchmark.importer.last(self.folder)
        if record is None:
            raise BenchmarkError(f"{self.path} was not imported by ddxgraph: {self.benchmark.obtain}")
        return record.problems(self.split, self.raw, content)

    def published(self) -> bytes:
        content = self.read()
        if problems := self.problems(content):
            imported = self.benchmark.splits[self.split].imported
            was, again = ("imported", "import") if imported else ("published", "fetch")
            raise BenchmarkError(
                f"{self.path} is not as it was {was}: {refusal(problems)}; `ddxgraph data verify "
                f"{self.benchmark.name}` names every row; {again} it again: {self.benchmark.obtain}"
            )
        return content


def _file_of(benchmark: Benchmark, split: Split, selection: Selection) -> RawFile:
    if not selection.five_options:
        return split.file
    if split.five_options is None:
        having = [
            known.name
            for known in BENCHMARKS.values()
            if any(part.five_options for part in known.splits.values())
        ]
        raise BenchmarkError(
            f"{benchmark.name} {selection.split} has no file with five options; of the benchmarks, "
            f"{', '.join(having)} has one"
        )
    return split.five_options


def _group(rows: Sequence[Row], selection: Selection) -> Sequence[Row]:
    if selection.subset is None:
        return rows
    chosen = [row for row in rows if row.group.casefold() == selection.subset.casefold()]
    if not chosen:
        known = sorted({row.group for row in rows if row.group})
        raise BenchmarkError(
            f"{selection.benchmark} {selection.split} has no subset {selection.subset!r}; "
            + (f"it has {', '.join(map(repr, known))}" if known else "it has none at all")
        )
    return chosen


def _entry(row: Row, prefix: str, selection: Selection) -> CaseEntry:
    fields = {
        "id": prefix + row.key,
        "vignette": row.question,
        "question": row.asked,
        "options": row.options,
        "answer": row.letter,
        "source": selection.benchmark,
        "split": selection.split,
    }
    return case_entry(fields, f"{prefix}{row.key}")
