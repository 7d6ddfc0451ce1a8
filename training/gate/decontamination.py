"""Decontamination: which questions and which reasoning share too many word n-grams with a test set."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ddxgraph.batch.manifest import Selection
from ddxgraph.common.errors import BenchmarkError, GateError
from ddxgraph.eval.benchmarks.benchmark import TEST
from ddxgraph.eval.benchmarks.items import load
from ddxgraph.eval.benchmarks.rawfile import data_folder
from ddxgraph.eval.benchmarks.registry import held_out_benchmarks
from ddxgraph.nodes.case import Case
from ddxgraph.training.gate.config import Decontamination
from ddxgraph.training.gate.text import Hashes, WordHasher, ngrams, question_of, stem_of


@dataclass(frozen=True)
class HeldOut:
    """A test set that no training data may touch."""

    name: str
    title: str
    questions: Sequence[Case]
    sha256: str
    """Of the file that it was read from, hex; empty if there is none."""
    absent: int = 0
    """Questions of the set that are not on this machine."""

    @property
    def digest(self) -> str:
        """SHA-256 (hex) over the digests of its questions, in order."""
        return hashlib.sha256("".join(case.digest for case in self.questions).encode()).hexdigest()


class MissingSet(NamedTuple):
    """A test set that is not on this machine."""

    name: str
    title: str
    obtain: str
    """How to get it."""


class HeldOutSets(NamedTuple):
    """All test sets."""

    present: Sequence[HeldOut]
    missing: Sequence[MissingSet] = ()


def load_held_out(allow_missing: Collection[str] = (), *, folder: Path | None = None) -> HeldOutSets:
    """Load the test splits of all benchmarks that are held out, from the data folder.

    Args:
        allow_missing: names of the benchmarks that may be missing.
        folder: where the raw files are; the user's data folder by default.

    Raises:
        GateError: a benchmark is missing that may not be.
        BenchmarkError: a file is damaged.
    """
    place = folder or data_folder()
    present: list[HeldOut] = []
    missing: list[MissingSet] = []
    benchmarks = held_out_benchmarks()
    for benchmark in benchmarks:
        name = benchmark.name
        try:
            items = load(Selection(benchmark=name, split=TEST), folder=place)
        except BenchmarkError as error:
            if (place / benchmark.split(TEST).file.path).exists():
                raise
            if name not in allow_missing:
                names = (known.name for known in benchmarks)
                allowed = ", ".join(
                    f'"{known}"' for known in names if known == name or known in allow_missing
                )
                raise GateError(
                    f"training data must be kept clear of {name} {TEST}, but {error}; to continue without it, "
                    f"with a warning in the report, set allow_missing = [{allowed}] under [decontamination]"
                ) from None
            missing.append(MissingSet(name, benchmark.title, benchmark.obtain))
        else:
            cases = tuple(entry.case for entry in items)
            present.append(HeldOut(name, benchmark.title, cases, items.selection.sha256, items.absent))
    return HeldOutSets(present, missing)


class Hit(NamedTuple):
    """A test question that a question is too close to."""

    name: str
    """The test set."""
    question: str
    """Id of the question."""
    measure: float
    """Common n-grams as a share of the shorter one's distinct ones, in 0..1."""


class Quote(NamedTuple):
    """A test question that a text quotes."""

    name: str
    """The test set."""
    question: str
    """Id of the question."""
    run: int
    """Largest number of its n-grams that the text holds in a row."""
    share: float
    """Share of its distinct n-grams that the text holds, in 0..1."""


class _Nearest(NamedTuple):
    owner: int
    measure: float


class _Quoted(NamedTuple):
    owner: int
    run: int
    share: float


class Shared(NamedTuple):
    """N-grams of a text that other texts hold too, once for each of those."""

    places: NDArray[np.int64]
    """Their places in the text, ascending."""
    entries: NDArray[np.int64]
    """Their places in the index, which has one entry for each distinct n-gram of each other text."""


class NgramIndex:
    """Finds which of many texts hold an n-gram; sorted arrays, 16 bytes for each n-gram.

    Args:
        texts: the n-grams of each text.
    """

    def __init__(self, texts: Sequence[Hashes]) -> None:
        distinct = [np.unique(text) for text in texts]
        self.sizes: NDArray[np.int64] = np.array([len(text) for text in distinct], np.int64)
        """Distinct n-grams of each text."""
        held = np.concatenate([*distinct, np.empty(0, np.uint64)])
        owners = np.repeat(np.arange(len(texts)), self.sizes)
        order = np.argsort(held, kind="stable")
        self._held, self._owners = held[order], owners[order]

    def shared(self, ngrams: Hashes) -> Shared:
        """The n-grams of a text, given in order, that other texts hold too."""
        entries = np.searchsorted(self._held, ngrams, "left")
        known = (
            np.flatnonzero(self._held[np.minimum(entries, len(self._held) - 1)] == ngrams)
            if len(self._held)
            else ()
        )
        if not len(known):
            nothing = np.empty(0, np.int64)
            return Shared(nothing, nothing)
        first = entries[known]
        counts = np.searchsorted(self._held, ngrams[known], "right") - first
        places = np.repeat(known, counts)
        within = np.arange(len(places)) - np.repeat(np.cumsum(counts) - counts, counts)
        return Shared(places, np.repeat(first, counts) + within)

    def besides(self, shared: Shared, known: Hashes) -> Shared:
        """The shared n-grams without some known ones."""
        counts = ~np.isin(self._held[shared.entries], known)
        return Shared(shared.places[counts], shared.entries[counts])

    def most_contained(self, ngrams: Hashes, *, least: int = 1) -> _Nearest | None:
        """The text that has most in common with a given one, as a share of the shorter one's distinct n-grams.

        Args:
            ngrams: of the given text.
            least: minimum number of distinct n-grams of both, so that a share is meaningful.
        """
        distinct = np.unique(ngrams)
        entries = self.shared(distinct).entries
        if not len(entries) or len(distinct) < least:
            return None
        shared = self._counted(entries)
        shares = np.where(
            self.sizes >= least, shared / np.minimum(np.maximum(self.sizes, 1), len(distinct)), 0
        )
        best = int(np.argmax(shares))
        return _Nearest(best, float(shares[best]))

    def quoted(self, shared: Shared, *, run: int, share: float, least: int) -> _Quoted | None:
        """The text that a given one quotes, in a row or in pieces.

        Args:
            shared: the n-grams of the given text that count.
            run: minimum number of consecutive n-grams; a text that has fewer must be quoted whole.
            share: minimum share of the distinct n-grams of the quoted text.
            least: minimum number of its distinct n-grams, so that a share is meaningful.

        Returns:
            The quoted text with the longest run, and of equal ones that with the largest share; None for none.
        """
        if not len(shared.places):
            return None
        runs = self._runs(shared)
        shares = self._counted(np.unique(shared.entries)) / np.maximum(self.sizes, 1)
        in_a_row = (runs > 0) & (runs >= np.minimum(run, self.sizes))
        in_pieces = (shares >= share) & (self.sizes >= least)
        quoted = in_a_row | in_pieces
        if not quoted.any():
            return None
        best = int(np.argmax(np.where(quoted, runs + shares / 2, -1)))
        return _Quoted(best, int(runs[best]), float(shares[best]))

    def _runs(self, shared: Shared) -> NDArray[np.int64]:
        """The largest number of n-grams in a row, for each text; shape (texts,)."""
        owners = self._owners[shared.entries]
        order = np.lexsort((shared.places, owners))
        places, owners = shared.places[order], owners[order]
        starts = np.flatnonzero(np.r_[True, (np.diff(places) != 1) | (np.diff(owners) != 0)])
        runs = np.zeros(len(self.sizes), np.int64)
        np.maximum.at(runs, owners[starts], np.diff(np.r_[starts, len(places)]))
        return runs

    def _counted(self, entries: NDArray[np.int64]) -> NDArray[np.int64]:
        """The number of these entries, for each text; shape (texts,)."""
        return np.bincount(self._owners[entries], minlength=len(self.sizes))


class Decontaminator:
    """Compares questions and reasoning with the test sets.

    Args:
        sets: the test sets.
        config: of the rule.
        hasher: of words.
    """

    def __init__(self, sets: Sequence[HeldOut], config: Decontamination, hasher: WordHasher) -> None:
        self._config, self._hasher = config, hasher
        self._names = [(test_set.name, case.id) for test_set in sets for case in test_set.questions]
        questions = [case for test_set in sets for case in test_set.questions]
        self._stems = NgramIndex([self._ngrams(stem_of(case)) for case in questions])
        self._wholes = NgramIndex([self._ngrams(question_of(case)) for case in questions])
        self._asked: dict[str, Hit | None] = {}

    def question(self, case: Case) -> Hit | None:
        """The test question that a case is, up to rewording; None for none.

        Two texts are compared: vignette and question without the options, if both cases have as many n-grams
        as an n-gram has words, and the whole with the options in any order.
        """
        digest = case.digest
        if digest not in self._asked:
            self._asked[digest] = self._compared(case)
        return self._asked[digest]

    def reasoning(self, hashed: Hashes, case: Case) -> Quote | None:
        """The test question that a text quotes; None for none. What its own case says does not count.

        A question is quoted if the text holds `run` of its n-grams in a row, or the share `containment` of its
        n-grams anywhere. The share applies only to questions that have as many n-grams as an n-gram has words:
        a closing sentence would be most of a shorter one.

        Args:
            hashed: the words of the text, shape (words,).
            case: the case that the text is about.
        """
        rule = self._config
        shared = self._stems.shared(ngrams(hashed, rule.words))
        if not len(shared.places):
            return None
        own = np.concatenate([self._ngrams(stem_of(case)), self._ngrams(question_of(case))])
        foreign = self._stems.besides(shared, own)
        quoted = self._stems.quoted(foreign, run=rule.run, share=rule.containment, least=rule.words)
        return Quote(*self._names[quoted.owner], quoted.run, quoted.share) if quoted else None

    def quote_in(self, text: str, case: Case) -> Quote | None:
        """The test question that a text about a case quotes; see `reasoning`."""
        return self.reasoning(self._hasher(text), case)

    def _compared(self, case: Case) -> Hit | None:
        least = self._config.words
        by_stem = self._stems.most_contained(self._ngrams(stem_of(case)), least=least)
        whole = self._wholes.most_contained(self._ngrams(question_of(case)))
        nearest = max(filter(None, (by_stem, whole)), key=lambda text: text.measure, default=None)
        if nearest is None or nearest.measure < self._config.containment:
            return None
        return Hit(*self._names[nearest.owner], nearest.measure)

    def _ngrams(self, text: str) -> Hashes:
        return ngrams(self._hasher(text), self._config.words)
