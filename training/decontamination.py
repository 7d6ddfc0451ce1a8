"""What is too close to a question of a test set: shared word n-grams, over question and reasoning."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ddxgraph.eval.benchmark import BenchmarkError, Selection, data_folder, find, load
from ddxgraph.nodes.case import Case
from ddxgraph.training.gateconfig import Decontamination
from ddxgraph.training.gateerror import GateError
from ddxgraph.training.words import Hashes, WordHasher, ngrams, question_of, stem_of

TEST_SETS: Final = ("medqa", "medbullets", "jama")
TEST: Final = "test"


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
    """The test splits of all three benchmarks, from the data folder.

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
    for name in TEST_SETS:
        benchmark = find(name)
        try:
            items = load(Selection(benchmark=name, split=TEST), folder=place)
        except BenchmarkError as error:
            if (place / benchmark.split(TEST).file.path).exists():
                raise
            if name not in allow_missing:
                allowed = ", ".join(f'"{one}"' for one in TEST_SETS if one == name or one in allow_missing)
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
    """A test question that something is too close to."""

    name: str
    """The test set."""
    question: str
    """Id of the question."""
    measure: float
    """Share of the shorter one's n-grams; for reasoning the length of the run, in n-grams."""


class _Found(NamedTuple):
    owner: int
    measure: float


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

    def places(self, ngrams: Hashes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Where the n-grams of a text stand in others.

        Returns:
            Indices into `ngrams`, ascending, and the text that holds each; an index as often as texts hold it.
        """
        found = np.searchsorted(self._held, ngrams, "left")
        known = (
            np.flatnonzero(self._held[np.minimum(found, len(self._held) - 1)] == ngrams)
            if len(self._held)
            else ()
        )
        if not len(known):
            nothing = np.empty(0, np.int64)
            return nothing, nothing
        first = found[known]
        counts = np.searchsorted(self._held, ngrams[known], "right") - first
        places = np.repeat(known, counts)
        within = np.arange(len(places)) - np.repeat(np.cumsum(counts) - counts, counts)
        return places, self._owners[np.repeat(first, counts) + within]

    def most_contained(self, ngrams: Hashes, *, least: int = 1) -> _Found | None:
        """The text that shares most with a text, as a share of the shorter's distinct n-grams.

        Args:
            ngrams: of the text.
            least: fewest distinct n-grams that both must have, for a share to mean something.
        """
        distinct = np.unique(ngrams)
        _, owners = self.places(distinct)
        if not len(owners) or len(distinct) < least:
            return None
        shared = np.bincount(owners, minlength=len(self.sizes))
        shares = np.where(
            self.sizes >= least, shared / np.minimum(np.maximum(self.sizes, 1), len(distinct)), 0
        )
        best = int(np.argmax(shares))
        return _Found(best, float(shares[best]))

    def longest_run(self, ngrams: Hashes, besides: Hashes, run: int) -> _Found | None:
        """The longest run of consecutive n-grams that stand in one text too.

        Args:
            ngrams: of the text, in order.
            besides: n-grams that do not count.
            run: fewest n-grams of a run; of a text that has fewer, all of it counts as one.
        """
        places, owners = self.places(ngrams)
        if not len(places):
            return None
        counts = ~np.isin(ngrams[places], besides)
        places, owners = places[counts], owners[counts]
        order = np.lexsort((places, owners))
        places, owners = places[order], owners[order]
        if not len(places):
            return None
        starts = np.flatnonzero(np.r_[True, (np.diff(places) != 1) | (np.diff(owners) != 0)])
        lengths = np.diff(np.r_[starts, len(places)])
        enough = lengths >= np.minimum(run, self.sizes[owners[starts]])
        if not enough.any():
            return None
        best = int(np.argmax(np.where(enough, lengths, 0)))
        return _Found(int(owners[starts[best]]), float(lengths[best]))


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

    def reasoning(self, hashed: Hashes, case: Case) -> Hit | None:
        """The test question that a text quotes. What the case itself says too is no quote of another question.

        Args:
            hashed: the words of the text, shape (words,).
            case: the case that the text is about.
        """
        told = ngrams(hashed, self._config.words)
        places, _ = self._stems.places(told)
        if not len(places):
            return None
        own = np.concatenate([self._ngrams(stem_of(case)), self._ngrams(question_of(case))])
        return self._hit(self._stems.longest_run(told, own, self._config.run))

    def _compared(self, case: Case) -> Hit | None:
        least = self._config.words
        by_stem = self._stems.most_contained(self._ngrams(stem_of(case)), least=least)
        whole = self._wholes.most_contained(self._ngrams(question_of(case)))
        found = max((one for one in (by_stem, whole) if one), key=lambda one: one.measure, default=None)
        return self._hit(found) if found and found.measure >= self._config.containment else None

    def _ngrams(self, text: str) -> Hashes:
        return ngrams(self._hasher(text), self._config.words)

    def _hit(self, found: _Found | None) -> Hit | None:
        return Hit(*self._names[found.owner], found.measure) if found else None
