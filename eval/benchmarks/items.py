"""The cases of a benchmark, out of the user's data folder, each checked to be the published one.

No text of a benchmark ships. Raw files lie in the data folder as they were published, and are known by their
SHA-256 and by a short digest of each row.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ddxgraph.batch.manifest import Selection
from ddxgraph.common.errors import BenchmarkError
from ddxgraph.common.files import CACHE_VARIABLE
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
    """Cases of a benchmark with their gold answers. Can be read again and again; `len` counts them."""

    selection: Selection
    """Completed: `size` and `sha256` are those of what was read."""
    entries: Sequence[CaseEntry]
    absent: int = 0
    """Cases of the split that are not on this machine (an incomplete import of JAMA); 0 otherwise."""

    def __iter__(self) -> Iterator[CaseEntry]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def denominator(self) -> int:
        """Cases that a score of this selection is over.

        Of a whole split, its published size, those that are absent included. Of a subset or a sample, the cases
        in it, which are drawn from what is there: `absent` says how many could not be drawn.
        """
        return len(self.entries) + (self.absent if _is_whole(self.selection) else 0)


def absent_from(selection: Selection | None, count: int) -> int:
    """Cases that a score of a selection is over and that are not among those at hand; see `Items.denominator`.

    Args:
        selection: completed; None where the cases are no benchmark's.
        count: cases at hand.
    """
    return max(0, selection.size - count) if selection and _is_whole(selection) else 0


def _is_whole(selection: Selection) -> bool:
    """Whether it is a whole split, and not a part that is drawn from what is there."""
    return selection.subset is None and selection.limit is None


def load(selection: Selection, *, folder: Path | None = None) -> Items:
    """The cases of a selection, from the data folder, each checked to be the published one.

    Case ids: `medqa-dev-17` (row of the file, from 0), `medbullets-217175` (end of the link; the same with four
    and five options), `jama-2811315` (article number), `ddxlab-test-2-0-17` (level,
    seed, place). They stay the same when options are shuffled or withheld.

    Args:
        selection: which. Its `size` and `sha256` are not heeded, but filled in from what is read.
        folder: where the raw files lie; `data_folder()` by default.

    Raises:
        BenchmarkError: there is no such benchmark, split, subset or five-option file; the file is not there; or
            it is not the published one, in which case the rows that differ are named.
    """
    return items_of(find(selection.benchmark), selection, folder or data_folder())


def items_of(benchmark: Benchmark, selection: Selection, place: Path) -> Items:
    """The cases of a selection of any benchmark, also of one that is not in the registry: see `load`.

    Raises:
        BenchmarkError: see `load`.
    """
    split = benchmark.split(selection.split)
    raw = _file_of(benchmark, split, selection)
    content = _published_content(benchmark, selection.split, raw, place)
    rows = _included(benchmark, selection.split, raw, content, place)
    size = split.size or len(rows)
    chosen = _group(rows, selection)
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
    """What is wrong with a raw file in a data folder, row by row; empty where it is the published one.

    Raises:
        BenchmarkError: the file is not there, cannot be read, or was put there by other means than an import.
    """
    return _problems(benchmark, split, raw, _content(benchmark, split, raw, folder), folder)


def _file_of(benchmark: Benchmark, split: Split, selection: Selection) -> RawFile:
    if not selection.five_options:
        return split.file
    if split.five_options is None:
        having = [one.name for one in BENCHMARKS.values() if any(s.five_options for s in one.splits.values())]
        raise BenchmarkError(
            f"{benchmark.name} {selection.split} has no file with five options; of the benchmarks, "
            f"{', '.join(having)} has one"
        )
    return split.five_options


def _content(benchmark: Benchmark, split: str, raw: RawFile, folder: Path) -> bytes:
    path = folder / raw.path
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise BenchmarkError(
            f"{benchmark.name} {split} is not on this machine (no {path}): {_obtain(benchmark, raw)}"
        ) from None
    except OSError as error:
        raise BenchmarkError(
            f"cannot read {path}: {error.strerror or error}; {CACHE_VARIABLE} names the folder above {DATA}"
        ) from None


def _obtain(benchmark: Benchmark, raw: RawFile) -> str:
    if benchmark.companions or not raw.optional:
        return benchmark.obtain
    return f"it has no public home; with {raw.name}, run `ddxgraph data fetch {benchmark.name} --from FOLDER`"


def _published_content(benchmark: Benchmark, split: str, raw: RawFile, folder: Path) -> bytes:
    content = _content(benchmark, split, raw, folder)
    found = _problems(benchmark, split, raw, content, folder)
    if found:
        again = "import it" if benchmark.splits[split].imported else "fetch it"
        raise BenchmarkError(
            f"{folder / raw.path} is not as it was {'imported' if again == 'import it' else 'published'}: "
            f"{refusal(found)}; `ddxgraph data verify {benchmark.name}` names every row; {again} again: "
            f"{benchmark.obtain}"
        )
    return content


def _problems(benchmark: Benchmark, split: str, raw: RawFile, content: bytes, folder: Path) -> list[Problem]:
    if raw.sha256 or benchmark.importer is None:
        return problems_of(raw, content)
    record = benchmark.importer.last(folder)
    if record is None:
        raise BenchmarkError(f"{folder / raw.path} was not imported by ddxgraph: {benchmark.obtain}")
    return record.problems(split, raw, content)


def _included(benchmark: Benchmark, name: str, raw: RawFile, content: bytes, folder: Path) -> list[Row]:
    assert raw.read is not None  # noqa: S101 - every split's file has a reader
    rows, split = list(raw.read(content)), benchmark.split(name)
    if split.excluded is None:
        return rows
    out = split.excluded.names(_published_content(benchmark, name, split.excluded.file, folder))
    return [row for row in rows if row.name not in out]


def _group(rows: Sequence[Row], selection: Selection) -> Sequence[Row]:
    if selection.subset is None:
        return rows
    wanted = selection.subset.casefold()
    found = [row for row in rows if row.group.casefold() == wanted]
    if not found:
        known = sorted({row.group for row in rows if row.group})
        raise BenchmarkError(
            f"{selection.benchmark} {selection.split} has no subset {selection.subset!r}; "
            + (f"it has {', '.join(map(repr, known))}" if known else "it has none at all")
        )
    return found


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
