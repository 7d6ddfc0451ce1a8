"""Options and work of `--rewrite`: a model puts monologues into natural prose, which must pass a check."""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias

import typer

from ddxgraph.cli import options
from ddxgraph.cli.signals import stopped_by_signals
from ddxgraph.cli.terminal import Exit, counting_bar, fail, say
from ddxgraph.common.errors import RewritesUnfinished

if TYPE_CHECKING:
    from ddxgraph.graph.trace import Trace
    from ddxgraph.training.rewrite.rewriter import Draft, Rewriter, RewriteSummary, Rewritten
    from ddxgraph.training.styles.compile import Sample

PANEL: Final = "Rewriting by a model"

Rewrite: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--rewrite",
        help="Have a model put each monologue into natural prose. A rewriting that does not tell the same "
        "journey is refused, and the template's text is used.",
        rich_help_panel=PANEL,
    ),
]
Rewrites: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="Folder that keeps rewritings (rewrites.jsonl), so that each is asked for once. By default the "
        "folder of the first run.",
        rich_help_panel=PANEL,
    ),
]
RewriteAttempts: TypeAlias = Annotated[
    int, typer.Option(min=1, help="Most attempts at each rewriting.", rich_help_panel=PANEL)
]
RewriteTemperature: TypeAlias = Annotated[
    float,
    typer.Option(
        min=0, max=2, help="Sampling temperature of the rewriting model; 0 is greedy.", rich_help_panel=PANEL
    ),
]
RewriteSeed: TypeAlias = Annotated[
    int, typer.Option(help="Sampling seed of the rewriting model.", rich_help_panel=PANEL)
]


@dataclass(frozen=True)
class Rewriting:
    """How monologues are rewritten."""

    folder: Path
    """Keeps the rewritings."""
    base_url: str | None = None
    model: str | None = None
    temperature: float = 0.7
    seed: int = 0
    attempts: int = 2
    concurrency: int = 8
    patience_s: float = 600.0
    """Seconds to wait for an engine that is away."""
    timeout_s: float = 600.0
    """Seconds to wait for one reply."""
    quiet: bool = False


@dataclass(frozen=True)
class Pass:
    """The result of a pass over all monologues."""

    rewriter: "Rewriter"
    by_trace: "dict[str, Rewritten]"
    """Trace id to its rewriting, in the order of the samples."""
    summary: "RewriteSummary"


def rewritten(compiled: "Iterable[tuple[Trace, Sample]]", how: Rewriting) -> Pass:
    """Have every monologue rewritten that has not been yet. Ends the command if some could not be.

    Args:
        compiled: each trace with its `longmonolog` sample; traces are not kept.
        how: the settings.
    """
    from ddxgraph.nodes.call.patience import Patience
    from ddxgraph.nodes.settings import Sampling
    from ddxgraph.training.rewrite.rewriter import Rewriter, draft_of, summary_of

    chat = options.connected(
        how.base_url, how.model, concurrency=how.concurrency, quiet=how.quiet, timeout_s=how.timeout_s
    )
    chosen = Rewriter(
        chat,
        sampling=Sampling(temperature=how.temperature, seed=how.seed),
        patience=Patience(away_s=how.patience_s),
        attempts=how.attempts,
    )
    drafts = [draft_of(trace, sample) for trace, sample in compiled]
    done = asyncio.run(_work(drafts, chosen, how))
    by_trace = {draft.trace: done[draft.trace] for draft in drafts}
    summary = summary_of(by_trace.values())
    if not how.quiet:
        say(in_words(summary))
    return Pass(chosen, by_trace, summary)


def in_words(summary: "RewriteSummary") -> str:
    """The summary in a sentence."""
    if summary.share is None:
        return "no monologue to rewrite"
    why = ", ".join(f"{kind.replace('_', ' ')} {count}" for kind, count in summary.refusals.items())
    refused = f"; refused for {why}" if why else ""
    return (
        f"{summary.accepted} of {summary.asked} rewritings accepted ({summary.share:.1%}){refused}; "
        f"{summary.tries} tries, {summary.usage.prompt_tokens} tokens read, "
        f"{summary.usage.completion_tokens} written"
    )


async def _work(drafts: "Sequence[Draft]", chosen: "Rewriter", how: Rewriting) -> "dict[str, Rewritten]":
    from ddxgraph.training.rewrite.rewriter import rewrite
    from ddxgraph.training.rewrite.store import RewriteLog

    by_trace: dict[str, Rewritten] = {}
    async with AsyncExitStack() as held:
        log = held.enter_context(RewriteLog(how.folder))
        bar = held.enter_context(counting_bar(how.quiet))
        task = bar.add_task("rewriting", total=len(drafts))
        stop = held.enter_context(stopped_by_signals(None if how.quiet else say))
        settled = await held.enter_async_context(
            aclosing(rewrite(drafts, chosen, log, concurrency=how.concurrency, stop=stop))
        )
        try:
            async for rewriting in settled:
                by_trace[rewriting.trace] = rewriting
                bar.advance(task)
        except RewritesUnfinished as error:
            fail(f"{error}; mend that, and the same command goes on", Exit.NOT_DONE)
        except asyncio.CancelledError:
            if not stop.is_set():
                raise
    if len(by_trace) < len({draft.trace for draft in drafts}):
        fail("stopped; the same command goes on from there", Exit.INTERRUPTED)
    return by_trace
