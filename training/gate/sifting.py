"""The rules that look at one traversal at a time, applied while the run folders are read."""

import hashlib
from collections.abc import Callable, Iterable
from typing import Final

import numpy as np

from ddxgraph.graph.trace import Trace
from ddxgraph.nodes.case import Case
from ddxgraph.training.gate.candidate import Candidate
from ddxgraph.training.gate.config import GateConfig
from ddxgraph.training.gate.decontamination import Decontaminator, HeldOutSets
from ddxgraph.training.gate.duplicates import Sketcher, course_digest, repeated_share
from ddxgraph.training.gate.passages import reasoning_of, remainder_of
from ddxgraph.training.gate.reasons import Reason, Rejection, Rule
from ddxgraph.training.gate.rules import Standing, first_rejection, notes_on
from ddxgraph.training.gate.text import Hashes, WordHasher, joined, ngrams, question_of, stem_of
from ddxgraph.training.review.opinions import Opinions
from ddxgraph.training.source import Placed, TraceSource, Verdicts

Progress = Callable[[int, int], None]
"""Is told how many bytes were read, and how many there are."""

GROUP_WORDS: Final = 13
"""Length of the n-grams by which near-duplicate questions are told."""
_TOLD_EVERY: Final = 1 << 20
"""Bytes between two calls of the progress."""


class Meter:
    """Tells the progress, over all files."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self._total, self._progress = total, progress
        self._before = self._told = self._now = 0

    def reached(self, place: int) -> None:
        """Told the place in the file that is being read."""
        self._now = self._before + place
        if self._progress and self._now - self._told >= _TOLD_EVERY:
            self._told = self._now
            self._progress(min(self._now, self._total), self._total)

    def next_file(self) -> None:
        """Told that a file is done."""
        self._before = self._now
        if self._progress:
            self._progress(min(self._now, self._total), self._total)


class Sifting:
    """Takes each traversal by itself, and keeps what the comparisons need."""

    def __init__(self, config: GateConfig, sets: HeldOutSets, meter: Meter) -> None:
        self._config, self._meter = config, meter
        self._hasher = WordHasher()
        self._sketch = Sketcher(config.near_duplicates.permutations)
        self.decontaminator = Decontaminator(sets.present, config.decontamination, self._hasher)
        """Knows the test sets; finds nothing where the rule is off."""
        self._known: dict[tuple[int, str], Candidate] = {}
        self._digests: dict[str, bytes] = {}
        self.questions: dict[str, Hashes] = {}
        """Case digest to the n-grams of its vignette and question, of cases that are left."""

    @property
    def candidates(self) -> Iterable[Candidate]:
        """All traversals, each once a folder."""
        return self._known.values()

    def take(self, number: int, source: TraceSource, verdicts: Verdicts, opinions: Opinions) -> None:
        """Read a folder."""
        for placed in source.read(self._meter.reached):
            trace = placed.trace
            standing = Standing(verdicts.get(trace.id), opinions.on(trace))
            self._known[number, trace.id] = self._candidate(number, placed, standing)
        self._meter.next_file()

    def _candidate(self, number: int, placed: Placed, standing: Standing) -> Candidate:
        offset, trace = placed
        case = trace.case
        digest = case.digest
        found = Candidate(
            source=number,
            offset=offset,
            id=trace.id,
            case=case.id,
            sample=trace.sample,
            digest=digest,
            question=self._question(case, digest),
            letter=trace.answer or "" if case.options else "",
            backtracks=trace.backtracks,
            notes=notes_on(trace, self._config, standing),
            rejection=first_rejection(trace, self._config, standing),
        )
        if found.rejection is None:
            self._compare_words(trace, found)
        if found.rejection is None:
            found.course = course_digest(trace)
            if digest not in self.questions:
                self.questions[digest] = ngrams(self._hasher(stem_of(case)), GROUP_WORDS)
        return found

    def _question(self, case: Case, digest: str) -> bytes:
        if digest not in self._digests:
            words = self._hasher(question_of(case)).tobytes()
            self._digests[digest] = hashlib.blake2b(words, digest_size=16).digest()
        return self._digests[digest]

    def _compare_words(self, trace: Trace, found: Candidate) -> None:
        """Repetition and decontamination; the signature for what is nearly the same."""
        config = self._config
        hashed = self._hasher(joined(reasoning_of(trace)))
        if config.repetition.enabled:
            share = repeated_share(ngrams(hashed, config.repetition.words))
            if share > config.repetition.max_repeated_share:
                words = f"{share:.0%} of its {config.repetition.words}-word sequences stood there before"
                found.rejection = Rejection(Rule.REPETITION, Reason.REPETITIVE, words)
                return
        if config.decontamination.enabled:
            self._decontaminate(trace, hashed, found)
        if found.rejection is None and config.near_duplicates.enabled:
            found.signature = self._sketch(ngrams(hashed, config.near_duplicates.words))

    def _decontaminate(self, trace: Trace, reasoning: Hashes, found: Candidate) -> None:
        rule = self._config.decontamination
        hit = self.decontaminator.question(trace.case)
        if hit is not None:
            words = f"{hit.measure:.0%} of the shorter one's {rule.words}-grams are those of {hit.question}"
            found.rejection = Rejection(Rule.DECONTAMINATION, Reason.TEST_QUESTION, words)
            found.test_set = hit.name
            return
        written = np.concatenate([reasoning, self._hasher(joined(remainder_of(trace)))])
        quote = self.decontaminator.reasoning(written, trace.case)
        if quote is not None:
            row = f"{quote.run + rule.words - 1} words in a row of {quote.question}"
            words = f"{row}, {quote.share:.0%} of its {rule.words}-grams in all"
            found.rejection = Rejection(Rule.DECONTAMINATION, Reason.TEST_QUESTION_IN_REASONING, words)
            found.test_set = quote.name
