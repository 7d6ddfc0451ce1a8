"""Sets of journeys: runs through the gate, compiled in a style, written as files to train on."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Protocol, TextIO

from ddxgraph.common.errors import BadInput, CompileError
from ddxgraph.graph.trace import Trace, code_version
from ddxgraph.training.gate.config import SIDES, GateConfig, Side
from ddxgraph.training.gate.decontamination import HeldOutSets
from ddxgraph.training.gate.gated import Accepted, Gated, Rejected
from ddxgraph.training.gate.report import JSON, MARKDOWN, GateReport
from ddxgraph.training.gate.screen import gate
from ddxgraph.training.review.review import Reviews
from ddxgraph.training.rewrite.check import CHECK, Fault, FaultKind
from ddxgraph.training.rewrite.rewriter import Rewriter, Rewritten, retold, summary_of, withdrawn
from ddxgraph.training.sets.card import card
from ddxgraph.training.sets.folder import (
    State,
    check_place,
    draft_folder,
    set_file,
    settle,
    synced_file,
    write_file,
)
from ddxgraph.training.sets.forms import form_of
from ddxgraph.training.sets.manifest import (
    CARD,
    SET,
    Rewriting,
    SetFile,
    SetManifest,
    SetSettings,
    Tally,
    Uncompiled,
    data_file,
)
from ddxgraph.training.sets.samples import Form, Record, WordingBy, record_of
from ddxgraph.training.source import RunSource
from ddxgraph.training.styles.compile import Sample, compile_samples
from ddxgraph.training.styles.registry import check_tries, rewritten_styles, style_of

Progress = Callable[[int, int], None]
"""Gets how much is done and how much there is: first bytes read by the gate, then journeys compiled."""

_TOLD_EVERY: Final = 100


class Retold(Protocol):
    """What a model made of the texts."""

    @property
    def rewriter(self) -> Rewriter:
        """The model with its prompt."""

    @property
    def by_trace(self) -> Mapping[str, Rewritten]:
        """Trace id to its rewriting."""


Retell = Callable[[Iterable[tuple[Trace, Sample]]], Retold]
"""Has the texts of traces rewritten."""


@dataclass(frozen=True)
class JourneySet:
    """A set of journeys in its folder."""

    folder: Path
    manifest: SetManifest
    report: GateReport
    state: State
    """`same`: the set existed already, and nothing was written."""


def make_journeys(
    runs: Iterable[RunSource | Path | str],
    style: str,
    out: Path | str,
    *,
    config: GateConfig | None = None,
    seed: int = 0,
    tries: int | None = None,
    format: str = "messages",  # noqa: A002 - its name on the command line
    judge: str | Literal[True] | None = None,
    reviews: Reviews | None = None,
    held_out: HeldOutSets | None = None,
    retell: Retell | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> JourneySet:
    """Gate runs, compile what is accepted, and write it as a set: data files, card, the gate's report, manifest.

    The same runs, settings and code give the same bytes, in whatever order the runs are named; a set that exists
    already is left as it is. A set is there whole or not at all. If no journey is accepted, the folder holds the
    gate's report and the manifest, and no data file.

    Args:
        runs: the run folders; with their cases for a run that was made of a case file.
        style: name of a registered style.
        out: the set's folder; made if it is missing.
        config: the gate's settings.
        seed: of the wording.
        tries: the tree rule: see `compile_journey`.
        format: name of a registered form: `messages` (TRL's chat format), `sharegpt`.
        judge: whose judgements decide on free-form answers: see `score_run`.
        reviews: trace id to an expert's review: see `gate`.
        held_out: the test sets: see `gate`.
        retell: has the texts rewritten by a model; for `longmonolog` alone.
        overwrite: replace another set in the folder.
        progress: gets how far the work is.

    Returns:
        The set.

    Raises:
        JourneySetError: something else is in the folder, or it cannot be written.
        GateError, TraceFileError, BenchmarkError, CaseFileError: see `gate`.
        BadInput: there is no such style or form, or `tries` or `retell` does not apply to the style.

    Example:
        >>> import asyncio
        >>> from ddxgraph import Case, Gold, RunSource, run
        >>> from ddxgraph.eval.cases import CaseEntry
        >>> from ddxgraph.testing import ScriptedChatModel
        >>> case = Case(vignette="Fever and cough.", options={"A": "Influenza", "B": "Pneumonia"})
        >>> async def pilot() -> list[str]:
        ...     return [trace.id async for trace in run([case], ScriptedChatModel(), out="runs/pilot")]
        >>> _ = asyncio.run(pilot())
        >>> source = RunSource("runs/pilot", [CaseEntry(case, Gold(case=case.id, answer="A"))])
        >>> config = GateConfig(decontamination={"enabled": False}, findings={"enabled": False})
        >>> make_journeys([source], "longstep", "data/longstep", config=config).manifest.samples
        1
    """
    out = Path(out)
    check_tries(style_of(style), tries)
    form_of(format)
    settings = SetSettings(style=style, format=format, seed=seed, tries=tries, gate=config or GateConfig())
    check_place(out, settings, overwrite=overwrite)
    gated = gate(runs, settings.gate, reviews=reviews, judge=judge, held_out=held_out, progress=progress)
    return write_journeys(gated, settings, out, retell=retell, overwrite=overwrite, progress=progress)


def write_journeys(
    gated: Gated,
    settings: SetSettings,
    out: Path,
    *,
    retell: Retell | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> JourneySet:
    """Compile what the gate accepted, and write it as a set: see `make_journeys`.

    Rewritings are made after the gate. So each is checked again for quotes of a test question; the template
    stands for one that holds any.

    Args:
        gated: the gate's decisions.
        settings: of the set.
        out: the set's folder.
        retell: has the texts rewritten by a model.
        overwrite: replace another set in the folder.
        progress: gets how far the work is.

    Returns:
        The set.

    Raises:
        JourneySetError, GateError, TraceFileError, BadInput: see `make_journeys`.
    """
    check_place(out, settings, overwrite=overwrite)
    styles = rewritten_styles()
    if retell and settings.style not in styles:
        known = " or ".join(map(repr, styles))
        raise BadInput(f"only {known} is rewritten, not {settings.style!r}: leave the rewriting out")
    telling = _Telling(gated, settings, retell, progress)
    form = form_of(settings.format)
    with draft_folder(out) as draft:
        with _Writing(draft, form) as writing:
            for side, record in form.export(gated, telling.records):
                writing.add(side, record)
        manifest = _finished(draft, gated.report, settings, writing, telling)
        state = settle(draft, manifest, out, overwrite=overwrite)
    return JourneySet(out, manifest, gated.report, state)


class _Telling:
    """Tells traversals in the style of a set, and keeps what could not be told."""

    def __init__(
        self, gated: Gated, settings: SetSettings, retell: Retell | None, progress: Progress | None
    ) -> None:
        self._gated, self._settings, self._progress = gated, settings, progress
        self._told = 0
        self.uncompiled: list[Uncompiled] = []
        retold = retell(self._samples()) if retell else None
        self._rewriter = retold.rewriter if retold else None
        self._rewritten = dict(retold.by_trace) if retold else {}

    def records(self, traversal: Accepted | Rejected) -> Sequence[Record]:
        """The samples of a traversal, rewritten if they are to be; none if it cannot be told in the style."""
        notes = traversal.notes if isinstance(traversal, Accepted) else ()
        try:
            samples = self._compiled(traversal.trace)
        except CompileError as error:
            samples = ()
            if isinstance(traversal, Accepted):
                self.uncompiled.append(Uncompiled(trace=traversal.trace.id, why=str(error)))
        records = [record_of(*self._final(traversal.trace, sample, notes)) for sample in samples]
        if isinstance(traversal, Accepted):
            self._count()
        return records

    @property
    def rewriting(self) -> Rewriting | None:
        """The rewriting of the whole set, once every sample was asked for; None if there was none."""
        if self._rewriter is None:
            return None
        model, summary = self._rewriter.provenance, summary_of(self._rewritten.values())
        return Rewriting(
            model=model.model,
            adapter=model.adapter,
            adapter_sha256=model.adapter_sha256,
            sampling=model.sampling,
            prompt_hash=model.prompt_set,
            check=CHECK,
            asked=summary.asked,
            accepted=summary.accepted,
            share=summary.share,
            refusals=summary.refusals,
            tries=summary.tries,
        )

    def _compiled(self, trace: Trace) -> tuple[Sample, ...]:
        return compile_samples(trace, self._settings.style, self._settings.seed, tries=self._settings.tries)

    def _samples(self) -> Iterator[tuple[Trace, Sample]]:
        for accepted in self._gated:
            try:
                samples = self._compiled(accepted.trace)
            except CompileError:  # reported once the set is written
                continue
            for sample in samples:
                yield accepted.trace, sample

    def _final(self, trace: Trace, sample: Sample, notes: Any) -> tuple[Sample, Any, WordingBy]:
        """A sample in its final words, with the notes and whose words they are."""
        rewriting = self._rewritten.get(trace.id)
        if rewriting is None:
            return sample, notes, "template"
        quote = self._gated.quote_in(rewriting.text, trace.case) if rewriting.accepted else None
        if quote is not None:
            fault = Fault(kind=FaultKind.TEST_QUESTION, about=quote.question)
            rewriting = withdrawn(rewriting, sample.messages[-1].content, fault)
            self._rewritten[trace.id] = rewriting
        return retold(sample, rewriting), notes, "rewritten" if rewriting.accepted else "template"

    def _count(self) -> None:
        self._told += 1
        total = len(self._gated)
        if self._progress and (self._told % _TOLD_EVERY == 0 or self._told == total):
            self._progress(self._told, total)


class _Writing:
    """The data files of a set while they are written; a file that would be empty is not made."""

    def __init__(self, folder: Path, form: Form) -> None:
        self._folder, self._form = folder, form
        self._open: dict[Side, TextIO] = {}
        self._held = ExitStack()
        self.tallies: dict[Side, Tally] = {side: Tally() for side in SIDES}
        self.prompts: set[str] = set()
        self.first = ""
        """The first line."""

    def __enter__(self) -> "_Writing":
        self._held.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._held.__exit__(*error)

    def add(self, side: Side, record: Record) -> None:
        line = self._form.line(record)
        if side not in self._open:
            self._open[side] = self._held.enter_context(synced_file(self._folder / data_file(side)))
        self._open[side].write(line + "\n")
        self.tallies[side].add(record)
        self.prompts.add(record.meta.prompt_hash)
        self.first = self.first or line

    @property
    def files(self) -> dict[str, SetFile]:
        names = [data_file(side) for side in SIDES if side in self._open]
        return {name: set_file(self._folder / name) for name in names}


def _finished(
    draft: Path, report: GateReport, settings: SetSettings, writing: _Writing, telling: _Telling
) -> SetManifest:
    """Write the other files of a set."""
    files = writing.files
    files[MARKDOWN] = write_file(draft / MARKDOWN, report.to_markdown())
    files[JSON] = write_file(draft / JSON, report.to_json())
    manifest = SetManifest(
        code_version=code_version(),
        settings=settings,
        prompt_hashes=sorted(writing.prompts),
        inputs=report.inputs,
        read=report.read,
        accepted=report.accepted.journeys,
        uncompiled=telling.uncompiled,
        rewriting=telling.rewriting,
        train=writing.tallies["train"].figures(),
        validation=writing.tallies["validation"].figures(),
        files=files,
    )
    if manifest.samples:
        files[CARD] = write_file(draft / CARD, card(manifest, report, writing.first))
        manifest = manifest.model_copy(update={"files": files})
    write_file(draft / SET, manifest.to_json())
    return manifest
