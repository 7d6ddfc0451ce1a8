"""`ddxgraph doctor`: whether the graph can run on the endpoint in force, and on what machine this is."""

import asyncio
import json
from collections.abc import Sequence
from contextlib import aclosing
from typing import Annotated, Any, Final, Self

import typer
from langchain_core.language_models import BaseChatModel
from rich.status import Status as Spinner
from rich.text import Text

from ddxgraph.cli import options
from ddxgraph.cli.speech import STDERR, STDOUT, Exit, say, spoken
from ddxgraph.graph.conversation import REPLY_ROOM
from ddxgraph.graph.plan import plan
from ddxgraph.nodes.case import Case
from ddxgraph.nodes.usage import estimate_tokens
from ddxgraph.serving.doctor import finding as endpoint
from ddxgraph.serving.doctor import machine as here
from ddxgraph.serving.doctor.doctor import examine, reach
from ddxgraph.serving.doctor.finding import Finding, Status, Window, cannot_run, verdict

ORDINARY: Final = Case(vignette="x" * 1_000, question="x" * 100, options=dict.fromkeys("ABCD", "x" * 40))
"""As long as most cases of MedQA."""
EASE_TOKENS: Final = 8_192
"""Holds a straight journey through an ordinary case whose replies take up to two fifths of `Limits`."""
_STATUS_CELLS: Final = max(map(len, Status))
_NAME_CELLS: Final = max(map(len, (*endpoint.NAMES, *here.NAMES)))
_LEAST_CELLS: Final = 20
_STYLES: Final = {
    Status.OK: "green",
    Status.WARN: "yellow",
    Status.MISSING: "bold red",
    Status.SKIPPED: "dim",
}


@spoken
def doctor(
    timeout: Annotated[float, typer.Option(min=1, help="Seconds to wait for one reply.")] = 120.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON on stdout.")] = False,
    quiet: options.Quiet = False,
    base_url: options.BaseUrl = None,
    model: options.ModelName = None,
) -> None:
    """Look whether the graph can run on the endpoint in force, and on what machine this is.

    Each finding is ok, warn (the graph runs, at a cost that is named), missing (it cannot run) or skipped. What
    is amiss comes with its mend. A few short requests are made, as the graph makes them; nothing is changed.

    The endpoint:

    - reachable: a server answers there, or the embedded engine starts.
    - models: the model in force, and what else is served; adapters are named with the model that they adapt.
    - context length: the window holds the instructions, a case of ordinary length and a reply.
    - LoRA: adapters can be loaded while the server runs.
    - JSON schema: a reply has a form that no model would write by itself.
    - compact JSON: the engine keeps line breaks and runs of blanks out of it.
    - choice: the reply is one of three words, though the prompt forbids them.
    - log-probabilities: the probability of each option can be read from an answer's token.
    - prefix cache: a prompt that is sent twice is reported as cached the second time.
    - speed: completion tokens a second for one request, and for eight at once.

    The machine: Python, hardware, GPU, torch, packages.

    Exit code: 0 the graph can run there, 1 it cannot, 130 interrupted.
    """
    with _Report(progress=not quiet, shown=not as_json) as report:
        report.note("reachable")
        reached = reach(base_url, model, needed, timeout)
        report.heading(f"Endpoint: {reached.shown}" if reached.shown else "Endpoint")
        for finding in reached.findings:
            report.add(finding)
        if reached.chat:
            try:
                asyncio.run(_ask(reached.chat, timeout, report))
            finally:
                _close(reached.chat)  # an engine's threads would slow down what is looked at next
        report.heading("This machine")
        report.note("this machine")
        for finding in here.machine():
            report.add(finding)
    if as_json:
        typer.echo(json.dumps(_as_json(reached.shown, report.findings), indent=2))
    else:
        report.close()
    raise typer.Exit(Exit.NOT_DONE if cannot_run(report.findings) else Exit.DONE)


def needed(chat: BaseChatModel) -> Window:
    """What a graph on this model needs of its context window for an ordinary case."""
    settled = plan(chat)
    opening = settled.wording.prompts.render("case", case=ORDINARY)
    return Window(estimate_tokens((settled.system, opening)) + REPLY_ROOM, EASE_TOKENS)


async def _ask(chat: BaseChatModel, timeout: float, report: "_Report") -> None:
    async with aclosing(examine(chat, timeout, report.note)) as findings:
        async for finding in findings:
            report.add(finding)


def _close(chat: BaseChatModel) -> None:
    close = getattr(chat, "close", None)
    if close:
        close()


def _as_json(endpoint: str, findings: Sequence[Finding]) -> dict[str, Any]:
    return {
        "endpoint": endpoint,
        "findings": [finding.model_dump(mode="json") for finding in findings],
        "can_run": not cannot_run(findings),
        "verdict": verdict(findings),
    }


class _Report:
    """Prints findings as they come, each status as a word that colour only repeats.

    Args:
        progress: say on stderr what is being looked at.
        shown: print the findings on stdout.
    """

    def __init__(self, *, progress: bool, shown: bool) -> None:
        self.findings: list[Finding] = []
        self._progress, self._shown = progress, shown
        self._spinner = Spinner("", console=STDERR) if progress and STDERR.is_interactive else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._spinner:
            self._spinner.stop()

    def note(self, name: str) -> None:
        """Say what is being looked at now."""
        if self._spinner:
            self._spinner.update(f"looking at {name}")
            self._spinner.start()
        elif self._progress:
            say(f"looking at {name}")

    def heading(self, title: str) -> None:
        """Print a heading."""
        self._print(Text(title, style="bold"))

    def add(self, finding: Finding) -> None:
        """Keep a finding, and print it."""
        self.findings.append(finding)
        self._print(*rows(finding, STDOUT.width))

    def close(self) -> None:
        """Print the closing line."""
        style = "bold red" if cannot_run(self.findings) else "bold green"
        self._print(Text(f"\n{verdict(self.findings)}", style=style))

    def _print(self, *lines: Text) -> None:
        if self._spinner:  # it and stdout may share a terminal
            self._spinner.stop()
        if self._shown:
            for line in lines:
                STDOUT.print(line)


def rows(finding: Finding, width: int) -> list[Text]:
    """A finding in lines of at most so many cells: status, name and value; below them its cost and its mend."""
    status = (f"{finding.status:<{_STATUS_CELLS}}", _STYLES[finding.status])
    lead = Text.assemble(status, f"  {finding.name:<{_NAME_CELLS}}  ")
    mend = f"mend: {finding.mend}" if finding.mend else ""
    lines = []
    for text in filter(None, (finding.value, finding.cost, mend)):
        for line in Text(text).wrap(STDOUT, max(width - len(lead), _LEAST_CELLS)):
            line.rstrip()
            lines.append(lead + line)
            lead = Text(" " * len(lead))
    return lines
