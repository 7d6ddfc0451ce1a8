"""`ddxgraph solve`: one case through the graph."""

import asyncio
import sys
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from ddxgraph.cli import options
from ddxgraph.cli.signals import stopped_as_ctrl_c
from ddxgraph.cli.terminal import STDERR, STDOUT, Exit, say, show_json, spoken
from ddxgraph.common.errors import BadInput, CheckpointError

if TYPE_CHECKING:
    from ddxgraph.eval.cases import CaseEntry
    from ddxgraph.graph.plan import Plan
    from ddxgraph.graph.trace import Trace
    from ddxgraph.graph.traversal import Traversal
    from ddxgraph.nodes.case import Case
    from ddxgraph.view.terminal.live import LiveJourney


@spoken
def solve(  # noqa: PLR0917 - one parameter an option
    case: Annotated[
        str | None, typer.Argument(help="A case file (JSON), or - to read one from standard input.")
    ] = None,
    text: Annotated[str | None, typer.Option(help="The case as text, instead of a file.")] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(help="An answer option of --text, as LETTER=TEXT. Repeat it for each option."),
    ] = None,
    max_tokens: options.MaxTokens = options.MAX_TOKENS,
    max_calls: options.MaxCalls = options.MAX_CALLS,
    max_backtracks: options.MaxBacktracks = options.MAX_BACKTRACKS,
    temperature: options.Temperature = 0.0,
    seed: options.Seed = 0,
    out: Annotated[
        Path | None, typer.Option(help="Append the trace to this JSONL file. By default it is not saved.")
    ] = None,
    checkpoints: options.Checkpoints = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the trace as JSON on stdout.")] = False,
    quiet: options.Quiet = False,
    base_url: options.BaseUrl = None,
    model: options.ModelName = None,
) -> None:
    """Take one case through the graph.

    On a terminal, the path, the differential and the call in flight are shown live below the steps; in a pipe,
    the steps alone. If --out already holds the trace, it is shown from there and not computed again.

    Ctrl-C (or a batch system's stop) saves the steps so far in --out.

    Exit code: 0 answered, 1 not answered, 2 bad input, 130 interrupted.
    """
    from ddxgraph.batch.tracefile import check_appendable, find_trace
    from ddxgraph.graph.budget import Budget
    from ddxgraph.graph.plan import plan
    from ddxgraph.nodes.settings import Sampling
    from ddxgraph.view.terminal.live import LiveJourney

    entry = _entry(case, text, option or [])
    if out:
        check_appendable(out)
    settled = plan(
        options.connected(base_url, model, concurrency=1, quiet=quiet),
        budget=Budget(max_tokens=max_tokens, max_calls=max_calls, max_backtracks=max_backtracks),
        sampling=Sampling(temperature=temperature, seed=seed),
    )
    known = find_trace(out, settled.trace_id(entry.case)) if out else None
    if known is not None and known.finished:
        say(f"already in {out}: shown from there; another --seed computes it anew")
        if checkpoints:  # a crash may have come between saving the trace and taking out its steps
            with suppress(CheckpointError):
                asyncio.run(_forget(checkpoints, known))
        _finish(entry, known, as_json)
    view = None if quiet else LiveJourney(STDERR, entry.case, settled.strategy.budget)
    with stopped_as_ctrl_c():  # a batch system's stop keeps the steps too
        trace = asyncio.run(_walk(settled, entry.case, view, out, checkpoints))
    _finish(entry, trace, as_json)


async def _walk(
    settled: "Plan", case: "Case", view: "LiveJourney | None", out: Path | None, checkpoints: str | None
) -> "Trace":
    """Traverse the graph on an event loop, so that Ctrl-C cancels the call in flight."""
    from ddxgraph.batch.checkpoints import name_of, open_checkpoints
    from ddxgraph.batch.tracefile import append_trace
    from ddxgraph.graph.topology import compile_plan
    from ddxgraph.graph.traversal import Traversal

    kept = name_of(checkpoints) if checkpoints else ""
    async with AsyncExitStack() as held:
        saver = await held.enter_async_context(open_checkpoints(checkpoints)) if checkpoints else None
        thread = settled.trace_id(case) if saver else None
        walk = Traversal(compile_plan(settled, checkpointer=saver), case, thread=thread)
        shown = held.enter_context(view) if view else None
        try:
            async for step in walk:
                if shown:
                    shown.step(step)
        except asyncio.CancelledError:
            if saver:
                say(f"the steps so far are in {kept}; the same command goes on from there")
            else:
                _keep(walk, out)
            raise
        trace = walk.trace()
        if out:
            append_trace(out, trace)
        if saver and thread and trace.finished:
            await saver.adelete_thread(thread)
        elif saver:
            say(f"the steps before that are in {kept}; the same command goes on from there")
        return trace


async def _forget(checkpoints: str, trace: "Trace") -> None:
    """Delete the checkpoints of a trace that is saved as a whole."""
    from ddxgraph.batch.checkpoints import open_checkpoints

    async with open_checkpoints(checkpoints) as saver:
        await saver.adelete_thread(trace.id)


def _keep(walk: "Traversal", out: Path | None) -> None:
    """Save the steps of an interrupted traversal."""
    from ddxgraph.batch.tracefile import append_trace

    if out is None:
        return
    try:
        append_trace(out, walk.trace())
    except ValueError:
        return
    say(f"the steps so far are in {out}; the same command starts the case again")


def _finish(entry: "CaseEntry", trace: "Trace", as_json: bool) -> NoReturn:
    from ddxgraph.graph.cutprompts import cut_in_words
    from ddxgraph.view.terminal.journey import print_result

    if told := cut_in_words(trace):
        say(told)
    if as_json:
        show_json(trace.to_json())
    else:
        print_result(STDOUT, trace)
        if entry.gold and trace.answer is not None and trace.case.options:
            verdict = "correct" if entry.gold.answer == trace.answer else "not correct"
            STDOUT.print(f"[dim]The case file's own answer is {entry.gold.answer}: {verdict}.[/dim]")
    raise typer.Exit(Exit.DONE if trace.outcome == "answered" else Exit.NOT_DONE)


def _entry(case: str | None, text: str | None, given: list[str]) -> "CaseEntry":
    from ddxgraph.eval.cases import case_entry, parse_cases, read_cases

    if (case is None) == (text is None):
        raise BadInput("give either a case file (or - for standard input) or --text")
    if text is not None:
        return case_entry({"vignette": text, "options": _options(given)}, "--text")
    if given:
        raise BadInput("--option goes with --text; a case file holds its own options")
    entries = list(parse_cases(sys.stdin.read(), "standard input") if case == "-" else read_cases(str(case)))
    if len(entries) > 1:
        raise BadInput(f"{case} holds {len(entries)} cases; solve takes one, run takes many")
    return entries[0]


def _options(pairs: list[str]) -> dict[str, str]:
    texts: dict[str, str] = {}
    for pair in pairs:
        letter, equals, text = pair.partition("=")
        letter = letter.strip()
        if not equals:
            raise BadInput(f"--option {pair!r}: write it as LETTER=TEXT, such as --option 'A=Influenza'")
        if letter in texts:
            raise BadInput(f"--option {letter} is given twice")
        texts[letter] = text
    return texts
