"""How `ddxgraph doctor` shows what it found, and what it needs of a context window."""

from typing import Final, Self

from langchain_core.language_models import BaseChatModel
from rich.status import Status as Spinner
from rich.text import Text

from ddxgraph.cli.terminal import STDERR, STDOUT, say
from ddxgraph.graph.budget import Budget
from ddxgraph.graph.conversation import REPLY_ROOM
from ddxgraph.graph.cutprompts import cut_in_words
from ddxgraph.graph.plan import plan
from ddxgraph.graph.topology import compile_plan
from ddxgraph.graph.traversal import asolve
from ddxgraph.nodes.call.usage import estimate_tokens
from ddxgraph.nodes.case import Case
from ddxgraph.nodes.settings import Limits
from ddxgraph.serving.doctor import finding as endpoint
from ddxgraph.serving.doctor import machine
from ddxgraph.serving.doctor.doctor import BRIEFLY
from ddxgraph.serving.doctor.finding import Finding, Status, Travelled, Window, cannot_run, verdict

ORDINARY: Final = Case(vignette="x" * 1_000, question="x" * 100, options=dict.fromkeys("ABCD", "x" * 40))
"""A case as long as most of MedQA."""
_MADE_UP: Final = Case(
    id="doctor",
    vignette="A made-up woman of 30 has had a runny nose, a sore throat and a mild cough for two days. No fever.",
    question="Which diagnosis is most likely?",
    options={"A": "Common cold", "B": "Appendicitis"},
)
EASE_TOKENS: Final = 8_192
"""Enough for a journey without backtracks through an ordinary case, with replies of up to 2/5 of `Limits`."""
_STATUS_CELLS: Final = max(map(len, Status))
_NAME_CELLS: Final = max(map(len, (*endpoint.NAMES, *machine.NAMES)))
_LEAST_CELLS: Final = 20
_STYLES: Final = {
    Status.OK: "green",
    Status.WARN: "yellow",
    Status.MISSING: "bold red",
    Status.SKIPPED: "dim",
}


def needed(chat: BaseChatModel) -> Window:
    """The context window that a graph on this model needs for an ordinary case."""
    settled = plan(chat)
    opening = settled.wording.prompts.render("case", case=ORDINARY)
    return Window(estimate_tokens((settled.system, opening)) + REPLY_ROOM, EASE_TOKENS)


async def travelled(chat: BaseChatModel) -> Travelled:
    """Take a made-up case through the graph, in as few calls as it goes."""
    brief = plan(chat, budget=Budget(max_backtracks=0), limits=Limits.brief(), patience=BRIEFLY)
    trace = await asolve(compile_plan(brief), _MADE_UP)
    failures = [failure for failure in (trace.failure, *(step.failure for step in trace.steps)) if failure]
    left_out = tuple(dict.fromkeys(name for step in trace.steps for name in step.left_out))
    trouble = failures[0].message if failures else cut_in_words(trace)
    return Travelled(trace.outcome, trouble, left_out, trace.usage.calls, trace.elapsed_s)


class Report:
    """Prints findings as they come. Each status is a word; its colour only repeats it.

    Args:
        progress: say on stderr what is being checked.
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
        """Say what is being checked."""
        if self._spinner:
            self._spinner.update(f"looking at {name}")
            self._spinner.start()
        elif self._progress:
            say(f"looking at {name}")

    def heading(self, title: str) -> None:
        """Print a heading."""
        self._print(Text(title, style="bold"))

    def add(self, finding: Finding) -> None:
        """Add a finding, and print it."""
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
    """A finding in lines of at most `width` cells: status, name, value; below these its cost and its remedy."""
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
