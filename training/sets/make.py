"""Sets of journeys: runs through the gate, compiled in a style, written as files to train on."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from ddxgraph.common.errors import BadInput, CompileError
from ddxgraph.graph.trace import Trace, code_version
from ddxgraph.nodes.case import Case
from ddxgraph.training.gate.config import SIDES, GateConfig, Side
from ddxgraph.training.gate.decontamination import HeldOutSets
from ddxgraph.training.gate.gated import Accepted, Gated
from ddxgraph.training.gate.report import JSON, MARKDOWN, GateReport
from ddxgraph.training.gate.screen import gate
from ddxgraph.training.review.review import Reviews
from ddxgraph.training.rewrite.check import CHECK, Fault, FaultKind
from ddxgraph.training.rewrite.rewriter import (
    Rewriter,
    RewriteSummary,
    Rewritten,
    retold,
    summary_of,
    withdrawn,
)
from ddxgraph.training.sets.card import card
from ddxgraph.training.sets.figures import Tally
from ddxgraph.training.sets.folder import (
    HashedFile,
    State,
    check_place,
    draft_folder,
    settle,
    write_file,
)
from ddxgraph.training.sets.manifest import (
    CARD,
    SET,
    Rewriting,
    SetFile,
    SetManifest,
    SetSettings,
    Uncompiled,
    data_file,
)
from ddxgraph.training.sets.samples import Format, line_of, record_of
from ddxgraph.training.source import RunSource
from ddxgraph.training.styles.compile import Sample, compile_samples
from ddxgraph.training.styles.registry import rewritten_styles

Progress = Callable[[int, int], None]
"""Is told how much is done, and how much there is: bytes read by the gate, then journeys compiled."""

_TOLD_EVERY = 100


class Retold(Protocol):
    """What a model made of the monologues."""

    @property
    def rewriter(self) -> Rewriter:
        """The model with its prompt."""

    @property
    def by_trace(self) -> Mapping[str, Rewritten]:
        """Trace id to what came of its monologue."""


Retell = Callable[[Iterable[tuple[Trace, Sample]]], Retold]
"""Has the monologues of traces rewritten."""


@dataclass(frozen=True)
class JourneySet:
    """A set of journeys in its folder."""

    folder: Path
    manifest: SetManifest
    report: GateReport
    state: State
    """`same`: the set was there already, and nothing was written."""


def make_journeys(
    runs: Iterable[RunSource | Path | str],
    style: str,
    out: Path | str,
    *,
    config: GateConfig | None = None,
    seed: int = 0,
    tries: int | None = None,
    format: Format = "messages",  # noqa: A002 - its name on the command line
    judge: str | Literal[True] | None = None,
    reviews: Reviews | None = None,
    held_out: HeldOutSets | None = None,
    retell: Retell | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> JourneySet:
    """Gate runs, compile what is accepted, and write it as a set: data files, card, the gate's report, manifest.

    The same runs, settings and code give the same bytes, in whatever order the runs are named; where such a set
    is there already it is left alone. It is there whole or not at all. Where no journey is accepted the folder
    holds the gate's report and the manifest, and no data file.

    Args:
        runs: the run folders; with their cases where a run was made of a case file.
        style: name of a registered style.
        out: the set's folder; made where it is missing.
        config: the gate's settings.
        seed: of the wording.
        tries: the tree rule: see `compile_journey`.
        format: `messages` (TRL's chat format) or `sharegpt`.
        judge: whose judgements settle free-form answers: see `score_run`.
        reviews: trace id to what an expert said of it: see `gate`.
        held_out: the test sets: see `gate`.
        retell: has the monologues rewritten by a model; for `longmonolog` alone.
        overwrite: replace another set that is there.
        progress: told how far the work is.

    Raises:
        JourneySetError: something else is in the folder, or it cannot be written.
        GateError, TraceFileError, BenchmarkError, CaseFileError: see `gate`.
        BadInput: `tries` or `retell` are of no use to the style.

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
    settings = SetSettings(style=style, format=format, seed=seed, tries=tries, gate=config or GateConfig())
    check_place(out, settings, overwrite=overwrite)
    gated = gate(
        runs,
        settings.gate,
        reviews=reviews,
        judge=judge,
        held_out=held_out,
        progress=progress,
    )
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
    """Compile what the gate let through, and write it as a set: see `make_journeys`.

    A rewriting is written after the gate, so it is asked again of its text whether it quotes a test question: of
    one that does the template stands.

    Raises:
        JourneySetError, GateError, TraceFileError, BadInput: see `make_journeys`.
    """
    check_place(out, settings, overwrite=overwrite)
    styles = rewritten_styles()
    if retell and settings.style not in styles:
        known = " or ".join(map(repr, styles))
        raise BadInput(f"only {known} is rewritten, not {settings.style!r}: leave the rewriting out")
    told = _Clear(retell(_monologues(gated, settings)), gated) if retell else None
    with draft_folder(out) as draft:
        writing = _Writing(draft, settings.format)
        with writing:
            for number, (accepted, samples) in enumerate(_compiled(gated, settings), 1):
                writing.take(accepted, samples, told)
                if progress and (number % _TOLD_EVERY == 0 or number == len(gated)):
                    progress(number, len(gated))
        manifest = _finished(draft, gated.report, settings, writing, told)
        state = settle(draft, manifest, out, overwrite=overwrite)
    return JourneySet(out, manifest, gated.report, state)


def _compiled(
    gated: Gated, settings: SetSettings
) -> Iterator[tuple[Accepted, tuple[Sample, ...] | CompileError]]:
    for accepted in gated:
        try:
            yield (
                accepted,
                compile_samples(accepted.trace, settings.style, settings.seed, tries=settings.tries),
            )
        except CompileError as error:
            yield accepted, error


def _monologues(gated: Gated, settings: SetSettings) -> Iterator[tuple[Trace, Sample]]:
    for accepted, samples in _compiled(gated, settings):
        if not isinstance(samples, CompileError):
            for sample in samples:
                yield accepted.trace, sample


class _Clear:
    """What a model made of the monologues; where a text of its quotes a test question the template stands."""

    def __init__(self, told: Retold, gated: Gated) -> None:
        self._gated, self._by_trace = gated, dict(told.by_trace)
        self.rewriter = told.rewriter

    def of(self, sample: Sample, case: Case) -> Rewritten | None:
        """What came of a sample; None where it was not asked for."""
        known = self._by_trace.get(sample.meta.trace)
        if known is None or not known.accepted:
            return known
        quote = self._gated.quote_in(known.text, case)
        if quote is None:
            return known
        fault = Fault(kind=FaultKind.TEST_QUESTION, about=quote.question)
        refused = withdrawn(known, sample.messages[-1].content, fault)
        self._by_trace[sample.meta.trace] = refused
        return refused

    @property
    def summary(self) -> RewriteSummary:
        """The pass in figures; those of the whole set once every sample was asked for."""
        return summary_of(self._by_trace.values())


class _Writing:
    """The data files of a set while they are written; one that would be empty is not made."""

    def __init__(self, folder: Path, form: Format) -> None:
        self._folder, self._format = folder, form
        self._open: dict[Side, HashedFile] = {}
        self._held = ExitStack()
        self.tallies: dict[Side, Tally] = {side: Tally() for side in SIDES}
        self.prompts: set[str] = set()
        self.uncompiled: list[Uncompiled] = []
        self.first = ""
        """The first line."""

    def __enter__(self) -> None:
        self._held.__enter__()

    def __exit__(self, *error: Any) -> None:
        self._held.__exit__(*error)

    def take(
        self, accepted: Accepted, samples: tuple[Sample, ...] | CompileError, told: _Clear | None
    ) -> None:
        """Write the samples of a traversal."""
        if isinstance(samples, CompileError):
            self.uncompiled.append(Uncompiled(trace=accepted.trace.id, why=str(samples)))
            return
        for sample in samples:
            known = told.of(sample, accepted.trace.case) if told else None
            in_words = retold(sample, known) if known else sample
            wording: Literal["template", "rewritten"] = (
                "rewritten" if known and known.accepted else "template"
            )
            record = record_of(in_words, accepted.notes, wording)
            line = line_of(record, self._format)
            self._file(accepted.split).write(line + "\n")
            self.tallies[accepted.split].add(record)
            self.prompts.add(sample.meta.prompt_hash)
            self.first = self.first or line

    def _file(self, side: Side) -> HashedFile:
        if side not in self._open:
            self._open[side] = self._held.enter_context(HashedFile(self._folder / data_file(side)))
        return self._open[side]

    @property
    def files(self) -> dict[str, SetFile]:
        """What was written."""
        return {data_file(side): self._open[side].known for side in SIDES if side in self._open}


def _finished(
    draft: Path, report: GateReport, settings: SetSettings, writing: _Writing, told: _Clear | None
) -> SetManifest:
    """Write what stands beside the data files."""
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
        uncompiled=writing.uncompiled,
        rewriting=_rewriting(told) if told else None,
        train=writing.tallies["train"].figures(),
        validation=writing.tallies["validation"].figures(),
        files=files,
    )
    if manifest.samples:
        files[CARD] = write_file(draft / CARD, card(manifest, report, writing.first))
        manifest = manifest.model_copy(update={"files": files})
    write_file(draft / SET, manifest.to_json())
    return manifest


def _rewriting(told: _Clear) -> Rewriting:
    known, summary = told.rewriter.provenance, told.summary
    return Rewriting(
        model=known.model,
        adapter=known.adapter,
        adapter_sha256=known.adapter_sha256,
        sampling=known.sampling,
        prompt_hash=known.prompt_set,
        check=CHECK,
        asked=summary.asked,
        accepted=summary.accepted,
        share=summary.share,
        refusals=summary.refusals,
        tries=summary.tries,
    )
