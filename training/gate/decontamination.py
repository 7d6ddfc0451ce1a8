"""What is too close to a question of a test set: shared word n-grams, over question and reasoning."""

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
    """Of the file that it was read from, hex; empty where there is none."""
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
    """The test splits of all benchmarks that are held out, from the data folder.

    Args:
        allow_missing: names of those that may be absent.
        folder: where the raw files lie; the user's data folder by default.

    Raises:
        GateError: one is absent that may not be.
        BenchmarkError: one is damaged.
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
                    f"training data must be kept clear of {name} {TEST}, but {error}; to go on without it, which "
                    f"the report will say, set allow_missing = [{allowed}] under [decontamination]"
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
    """Share of the shorter one's distinct n-grams, in 0..1."""


class Quote(NamedTuple):
    """A test question that a text quotes."""

    name: str
    """The test set."""
    question: str
    """Id of the question."""
    run: int
    """Most of its n-grams that stand in the text in a row."""
    share: float
    """Its distinct n-grams that stand in the text, over all that it has; in 0..1."""


class _Found(NamedTuple):
    owner: int
    measure: float


class _Quoted(NamedTuple):
    owner: int
    run: int
    share: float


class Shared(NamedTuple):
    """N-grams of a text that stand in other texts too; each as often as others hold it."""

    places: NDArray[np.int64]
    """Where in the text, ascending."""
    entries: NDArray[np.int64]
    """Where in the index, which has one entry for each distinct n-gram of each of the others."""


class NgramIndex:
    """Which of many texts hold an n-gram: sorted arrays, 16 bytes an n-gram."""

    def __init__(self, texts: Sequence[Hashes]) -> None:
        """
        Args:
            texts: the n-grams of each text.
        """
        distinct = [np.unique(text) for text in texts]
        self.sizes: NDArray[np.int64] = np.array([len(text) for text in distinct], np.int64)
        """Distinct n-grams of each text."""
        held = np.concatenate([*distinct, np.empty(0, np.uint64)])
        owners = np.repeat(np.arange(len(texts)), self.sizes)
        order = np.argsort(held, kind="stable")
        self._held, self._owners = held[order], owners[order]

    def shared(self, ngrams: Hashes) -> Shared:
        """The n-grams of a text that stand in others.

        Args:
            ngrams: of the text, in order.
        """
        found = np.searchsorted(self._held, ngrams, "left")
        known = (
            np.flatnonzero(self._held[np.minimum(found, len(self._held) - 1)] == ngrams)
            if len(self._held)
            else ()
        )
        if not len(known):
            nothing = np.empty(0, np.int64)
            return Shared(nothing, nothing)
        first = found[known]
        counts = np.searchsorted(self._held, ngrams[known], "right") - first
        places = np.repeat(known, counts)
        within = np.arange(len(places)) - np.repeat(np.cumsum(counts) - counts, counts)
        return Shared(places, np.repeat(first, counts) + within)

    def besides(self, shared: Shared, known: Hashes) -> Shared:
        """Those of the shared n-grams that are none of some known ones."""
        counts = ~np.isin(self._held[shared.entries], known)
        return Shared(shared.places[counts], shared.entries[counts])

    def most_contained(self, ngrams: Hashes, *, least: int = 1) -> _Found | None:
        """The text that shares most with a text, as a share of the shorter's distinct n-grams.

        Args:
            ngrams: of the text.
            least: fewest distinct n-grams that both must have, for a share to mean something.
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
        return _Found(best, float(shares[best]))

    def quoted(self, shared: Shared, *, run: int, share: float, least: int) -> _Quoted | None:
        """The text that another one quotes: in a row, or as much of it in pieces.

        Args:
            shared: the n-grams of the other that count.
            run: fewest consecutive n-grams; of a text that has fewer, all of it counts as one run.
            share: fewest distinct n-grams, as a share of those that the text has.
            least: fewest distinct n-grams that the text must have, for a share to mean something.

        Returns:
            Of those that are quoted the one with the longest run; of equal ones that with the largest share.
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
        """Of each text the most of its n-grams that stand in a row, shape (texts,)."""
        owners = self._owners[shared.entries]
        order = np.lexsort((shared.places, owners))
        places, owners = shared.places[order], owners[order]
        starts = np.flatnonzero(np.r_[True, (np.diff(places) != 1) | (np.diff(owners) != 0)])
        runs = np.zeros(len(self.sizes), np.int64)
        np.maximum.at(runs, owners[starts], np.diff(np.r_[starts, len(places)]))
        return runs

    def _counted(self, entries: NDArray[np.int64]) -> NDArray[np.int64]:
        """How many entries each text has among these, shape (texts,)."""
        return np.bincount(self._owners[entries], minlength=len(self.sizes))


class Decontaminator:
    """Compares questions and reasoning with the test sets."""

    def __init__(self, sets: Sequence[HeldOut], config: Decontamination, hasher: WordHasher) -> None:
        self._config, self._hasher = config, hasher
        self._names = [(one.name, case.id) for one in sets for case in one.questions]
        questions = [case for one in sets for case in one.questions]
        self._stems = NgramIndex([self._ngrams(stem_of(case)) for case in questions])
        self._wholes = NgramIndex([self._ngrams(question_of(case)) for case in questions])
        self._asked: dict[str, Hit | None] = {}

    def question(self, case: Case) -> Hit | None:
        """The test question that a case is, up to rewording.

        Compared are vignette and question alone, where both have as many n-grams as an n-gram has words, so
        that neither options nor their order matter, and the whole with its options.
        """
        digest = case.digest
        if digest not in self._asked:
            self._asked[digest] = self._compared(case)
        return self._asked[digest]

    def reasoning(self, hashed: Hashes, case: Case) -> Quote | None:
        """The test question that a text quotes. What the case itself says too is no quote of another question.

        A question is quoted where `run` of its n-grams stand in a row, or where its n-grams that stand anywhere
        reach the share `containment` of those that it has. The share counts for questions alone that have as
        many n-grams as an n-gram has words: of a shorter one, a closing sentence would be most of it.

        Args:
            hashed: the words of the text, shape (words,).
            case: the case that the text is about.
        """
        rule = self._config
        shared = self._stems.shared(ngrams(hashed, rule.words))
        if not len(shared.places):
            return None
        own = np.concatenate([self._ngrams(stem_of(case)), self._ngrams(question_of(case))])
        found = self._stems.quoted(
            self._stems.besides(shared, own), run=rule.run, share=rule.containment, least=rule.words
        )
        return Quote(*self._names[found.owner], found.run, found.share) if found else None

    def quote_in(self, text: str, case: Case) -> Quote | None:
        """The test question that a text about a case quotes: see `reasoning`."""
        return self.reasoning(self._hasher(text), case)

    def _compared(self, case: Case) -> Hit | None:
        least = self._config.words
        by_stem = self._stems.most_contained(self._ngrams(stem_of(case)), least=least)
        whole = self._wholes.most_contained(self._ngrams(question_of(case)))
        found = max((one for one in (by_stem, whole) if one), key=lambda one: one.measure, default=None)
        if found is None or found.measure < self._config.containment:
            return None
        return Hit(*self._names[found.owner], found.measure)

    def _ngrams(self, text: str) -> Hashes:
        return ngrams(self._hasher(text), self._config.words)
