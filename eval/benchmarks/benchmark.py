"""What a benchmark is: its splits and their raw files, where to get it, and whether training must avoid it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from ddxgraph.common.errors import BadInput, BenchmarkError
from ddxgraph.eval.benchmarks.rawfile import Problem, RawFile

TEST: Final = "test"
"""The split that training data must not touch, where a benchmark is held out."""


class Exclusion(NamedTuple):
    """A published list of rows that do not belong to a split."""

    file: RawFile
    names: Callable[[bytes], frozenset[str]]
    """Reads the rows' names out of the file."""


@dataclass(frozen=True)
class Split:
    """A split of a benchmark."""

    size: int
    """Published number of cases: the denominator of every score of the split. 0: as many as were imported."""
    file: RawFile
    five_options: RawFile | None = None
    """The same cases with five options, if the source has them."""
    excluded: Exclusion | None = None
    note: str = ""

    @property
    def imported(self) -> bool:
        """Whether users import the file, so that its hash is not known in advance."""
        return not self.file.sha256


class Import(Protocol):
    """The record of an import. It is kept beside the imported files, which are checked against it."""

    @property
    def source(self) -> str:
        """Name of the imported file."""

    @property
    def present(self) -> int:
        """Test items that were found and can be used."""

    @property
    def missing(self) -> int:
        """Test items that were not found."""

    def cases(self, split: str) -> int:
        """Cases of a split that were imported."""

    def problems(self, split: str, raw: RawFile, content: bytes) -> list[Problem]:
        """How a split's file differs from what was imported.

        Args:
            split: the split.
            raw: its file.
            content: of the file.

        Returns:
            The differences; none if it is as it was imported.
        """

    def lines(self) -> Iterator[str]:
        """The import in words, a line at a time."""

    def to_json(self) -> str:
        """The import as JSON, without the digests of its rows."""


class Importer(NamedTuple):
    """How users bring in a benchmark whose text is not public."""

    bring: Callable[[Path, Path, Path | None], Import]
    """Imports a file into the data folder; the third path is the list of test items, None for the fetched one."""
    last: Callable[[Path], Import | None]
    """The last import into a data folder; None where there was none."""


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """A benchmark. To add one, define `BENCHMARK` in a module of its name here and list it in `registry`."""

    name: str
    label: str
    """The name as the literature spells it."""
    title: str
    """Label, kind and source, in a line."""
    splits: Mapping[str, Split]
    held_out: bool
    """Whether the gate keeps training data clear of its test split."""
    licence: str
    home: str
    obtain: str
    """What to do on a machine that lacks it, such as a command."""
    companions: Sequence[RawFile] = ()
    """Files that are not a split but help to make one."""
    also: str = ""
    """Another name it is found by."""
    importer: Importer | None = None
    """None where the raw files are public."""

    def __post_init__(self) -> None:
        texts = ("name", "label", "title", "licence", "home", "obtain")
        empty = [field for field in texts if not getattr(self, field)]
        if empty or not self.splits:
            raise BadInput(f"the benchmark {self.name!r} lacks its {', '.join(empty) or 'splits'}")
        if self.held_out and TEST not in self.splits:
            raise BadInput(f"the benchmark {self.name!r} is held out and needs a split {TEST!r}")
        if self.importer is None and any(split.imported for split in self.splits.values()):
            raise BadInput(f"the benchmark {self.name!r} has a file without SHA-256 and needs an importer")

    def split(self, name: str) -> Split:
        """A split by its name.

        Raises:
            BenchmarkError: there is no such split; the message lists the known ones.
        """
        if name not in self.splits:
            raise BenchmarkError(f"{self.name} has no split {name!r}; it has {', '.join(self.splits)}")
        return self.splits[name]

    def files(self, split: str | None = None) -> list[RawFile]:
        """The raw files of a split, or of all, that can be fetched."""
        chosen = [self.split(split)] if split else list(self.splits.values())
        raws = [
            raw
            for part in chosen
            if not part.imported
            for raw in (part.file, part.five_options, part.excluded and part.excluded.file)
        ]
        return list({raw.path: raw for raw in (*filter(None, raws), *self.companions)}.values())
