"""The benchmarks: what each consists of, and their cases out of the user's data folder, checked row by row.

No text of a benchmark ships. Raw files lie in the data folder as they were published, and are known here by their
SHA-256 and by a short digest of each row.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from ddxgraph.batch.manifest import Selection
from ddxgraph.common.errors import BenchmarkError
from ddxgraph.eval.benchmarks import jama
from ddxgraph.eval.benchmarks.ddxlab import NAME as DDXLAB
from ddxgraph.eval.benchmarks.ddxlab import SOURCE, ddxlab_file, size
from ddxgraph.eval.benchmarks.rawfile import (
    Problem,
    RawFile,
    Row,
    differences,
    excluded_names,
    medbullets_rows,
    medqa_rows,
    problems_of,
    refusal,
    sha256_of,
)
from ddxgraph.eval.cases import CaseEntry, case_entry
from ddxgraph.eval.casesample import sample
from ddxgraph.eval.optionorder import shuffled, withheld
from ddxgraph.lab.labcase import SPLITS
from ddxgraph.nodes.cachefolder import CACHE_VARIABLE, cache_folder

__all__ = ["BENCHMARKS", "Benchmark", "BenchmarkError", "Items", "Selection", "Split", "data_folder", "load"]

DATA: Final = "data"
"""Name of the data folder within the cache folder."""

_HANJIE: Final = "https://raw.githubusercontent.com/HanjieChen/ChallengeClinicalQA/main/medbullets"
_OPHIUCHUS: Final = "https://raw.githubusercontent.com/SPIRAL-MED/Ophiuchus/main/resources"
_MEDQA_HOME: Final = "https://github.com/jind11/MedQA"

_MEDQA_COPIES: Final = (
    "https://raw.githubusercontent.com/disi-unibo-nlp/medgenie/c1bc78073e8306b705ffbac65fdbfd33d3c4a763"
    "/data/medqa/{split}/{name}",
    "https://raw.githubusercontent.com/ngthanhtin/textual_grounding/74d9d14182fe5274fdada4e11a219b2e9b7f5d56"
    "/data/medqa/questions/US/4_options/{name}",
)
"""Public copies of MedQA's four-option dev and test files, each at a commit at which they are byte-identical."""


@dataclass(frozen=True)
class Split:
    """A split of a benchmark."""

    size: int
    """Cases, as published: what every score of the split is over."""
    file: RawFile
    five_options: RawFile | None = None
    """The same cases with five options, where the source has them."""
    excluded: RawFile | None = None
    """Names the rows of the file that are no part of the split."""
    imported: bool = False
    """From a file of the user's own, so that the file's hash is that of the import."""
    note: str = ""


@dataclass(frozen=True)
class Benchmark:
    """A benchmark: its splits and where it is had."""

    name: str
    title: str
    splits: Mapping[str, Split]
    licence: str
    home: str
    obtain: str
    """What a user does who has not got it."""
    companions: Sequence[RawFile] = ()
    """Files that are no split and help to make one."""
    also: str = ""
    """Another name that it is found by."""

    def split(self, name: str) -> Split:
        """A split by its name.

        Raises:
            BenchmarkError: there is none of that name; those that there are are named.
        """
        if name not in self.splits:
            raise BenchmarkError(f"{self.name} has no split {name!r}; it has {', '.join(self.splits)}")
        return self.splits[name]

    def files(self, split: str | None = None) -> list[RawFile]:
        """The raw files of a split, or of all, that can be fetched."""
        chosen = [self.split(split)] if split else list(self.splits.values())
        found = [
            raw for one in chosen if not one.imported for raw in (one.file, one.five_options, one.excluded)
        ]
        return list({raw.path: raw for raw in (*filter(None, found), *self.companions)}.values())


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


def _medqa(split: str, rows: int, sha256: str) -> RawFile:
    official = f"phrases_no_exclude_{split}.jsonl"
    return RawFile(
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
        urls=tuple(copy.format(split=split, name=official) for copy in _MEDQA_COPIES),
    )


def _medbullets(options: int, sha256: str) -> RawFile:
    name = f"medbullets_op{options}.json"
    return RawFile(
        path=f"medbullets/{name}",
        rows=308,
        sha256=sha256,
        read=medbullets_rows,
        prefix="medbullets-",
        digests=f"medbullets-op{options}.digests",
        urls=(f"{_HANJIE}/{name}",),
    )


def _jama(split: str, rows: int) -> RawFile:
    return RawFile(f"{jama.FOLDER}/{split}.jsonl", rows, "", jama.jama_rows, jama.PREFIX)


_MEDQA_TRAIN: Final = RawFile(
    path="medqa/train_partial.jsonl",
    rows=3503,
    sha256="3b65dcdcbe7c49eadb7d3cd97ec0a8e1741b1f9bcc7643215be5b5ce9b4b8d05",
    read=medqa_rows,
    prefix="medqa-train-",
    digests="medqa-train.digests",
    optional=True,
)
_MEDQA_EXCLUDED: Final = RawFile(
    path="medqa/train_partial_exclude.json",
    rows=22,
    sha256="46114954cd920a22dd6d23e63fc67089e2a425b6897134c995e2352fb5f14e84",
    optional=True,
)
_JAMA_URLS: Final = RawFile(
    path=f"{jama.FOLDER}/{jama.URLS_FILE}",
    rows=jama.TEST_SIZE,
    sha256="86104b122288c39d80335f6c2c1910e0ea3f93c76c4de750466d6dd7ce57ec19",
    urls=(f"{_OPHIUCHUS}/{jama.URLS_FILE}",),
    optional=True,
)

BENCHMARKS: Final[Mapping[str, Benchmark]] = MappingProxyType(
    {
        "medqa": Benchmark(
            name="medqa",
            title="MedQA-USMLE, four options (arXiv 2009.13081)",
            splits={
                "dev": Split(
                    1272,
                    _medqa("dev", 1272, "774bbd90103af43badbe8d5294e336443573fc37b918763920b8fc3b3df581d9"),
                ),
                "test": Split(
                    1273,
                    _medqa("test", 1273, "c3b905ccfa66152dc25afbcb2c10e86c0bdb208824f0658fcdb2c040f60a2beb"),
                ),
                "train": Split(
                    3482,
                    _MEDQA_TRAIN,
                    excluded=_MEDQA_EXCLUDED,
                    note="partial: 3503 of the official split's 10178, less 21 that nearly are evaluation items; "
                    "four and five options",
                ),
            },
            licence="MIT (the repository's; no separate statement on the data)",
            home=_MEDQA_HOME,
            obtain="run `ddxgraph data fetch medqa`, or with the archive that "
            f"{_MEDQA_HOME} links to, `ddxgraph data fetch medqa --from data_clean.zip`",
        ),
        "medbullets": Benchmark(
            name="medbullets",
            title="Medbullets, USMLE step 2 and 3 style (arXiv 2402.18060)",
            splits={
                "test": Split(
                    308,
                    _medbullets(4, "1e1581c1b8d2f79735e71b8d07d0210a829087aac18e078dadc2ec2cb42ed68b"),
                    _medbullets(5, "14e209d0dc5c6350290e878b8e7e392c976cc96765b8e2d0d7434a2787ea6998"),
                )
            },
            licence="none stated",
            home="https://github.com/HanjieChen/ChallengeClinicalQA",
            obtain="run `ddxgraph data fetch medbullets`",
        ),
        "jama": Benchmark(
            name="jama",
            title="JAMA Clinical Challenge (arXiv 2402.18060), the 646 test items of arXiv 2501.06458",
            splits={
                "test": Split(jama.TEST_SIZE, _jama("test", jama.TEST_SIZE), imported=True),
                "train": Split(
                    0,
                    _jama("train", 0),
                    imported=True,
                    note="what the imported file holds beyond the test items and needs no image",
                ),
            },
            licence="copyrighted: with your own access only",
            home="https://jamanetwork.com/collections/44038/clinical-challenge",
            obtain=jama.OBTAIN,
            companions=(_JAMA_URLS,),
        ),
        DDXLAB: Benchmark(
            name=DDXLAB,
            title="laboratory cases in four levels, generated from DDXPlus (arXiv 2205.09148); no medicine",
            splits={name: Split(size(name), ddxlab_file(name)) for name in SPLITS},
            licence="CC BY 4.0 (DDXPlus)",
            home="https://github.com/mila-iqia/ddxplus",
            obtain="get DDXPlus' English release, and with its folder or archive run "
            f"`ddxgraph data fetch {SOURCE} --from PATH`",
            also=SOURCE,
        ),
    }
)


def data_folder() -> Path:
    """Where raw files lie: `data` in the folder that `DDXGRAPH_CACHE` names, else in the user's cache folder."""
    return cache_folder() / DATA


def find(name: str) -> Benchmark:
    """A benchmark by its name.

    Raises:
        BenchmarkError: there is none of that name; those that there are are named.
    """
    found = next((one for one in BENCHMARKS.values() if name and name in {one.name, one.also}), None)
    if found is None:
        raise BenchmarkError(f"no benchmark {name!r}; there are {', '.join(BENCHMARKS)}")
    return found


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
    rows = _included(benchmark, split, raw, content, place)
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
    if raw.sha256:
        return problems_of(raw, content)
    report = jama.read_import(folder)
    stored = next((one for name, one in report.stored.items() if name == split), None) if report else None
    if stored is None:
        raise BenchmarkError(f"{folder / raw.path} was not imported by ddxgraph: {benchmark.obtain}")
    if sha256_of(content) != stored.sha256:
        rows = list(jama.jama_rows(content))
        found = list(differences(raw.prefix, rows, jama.published_of(stored)))
        return found or [
            Problem(None, "", "", "it differs in layout or in other fields from what was imported")
        ]
    return [
        Problem(
            row.number,
            raw.prefix + row.key,
            "",
            f"it is no item of the {split} split by the list of addresses",
        )
        for row in jama.outside(split, content)
    ]


def _included(benchmark: Benchmark, split: Split, raw: RawFile, content: bytes, folder: Path) -> list[Row]:
    assert raw.read is not None  # noqa: S101 - every split's file has a reader
    rows = list(raw.read(content))
    if split.excluded is None:
        return rows
    out = excluded_names(_published_content(benchmark, "train", split.excluded, folder))
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
