"""`ddxgraph doctor`: whether the graph can run on the model in use, and what this machine is."""

import asyncio
import json
from collections.abc import Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ddxgraph.cli import options
from ddxgraph.cli.terminal import Exit, show_json, spoken

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from ddxgraph.cli.serving.findings import Report
    from ddxgraph.serving.doctor.doctor import Reached
    from ddxgraph.serving.doctor.finding import Finding


@spoken
def doctor(
    timeout: options.Timeout = 120.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON on stdout.")] = False,
    quiet: options.Quiet = False,
    base_url: options.BaseUrl = None,
    model: options.ModelName = None,
) -> None:
    """Check whether the graph can run on the model in use, and describe this machine.

    Each finding is ok, warn (the graph runs, at a cost that is named), missing (it cannot run) or skipped.
    Problems come with a remedy. The checks send a few short requests like those of the graph, and change nothing.

    The endpoint:

    - reachable: a server answers there, or the embedded engine starts.
    - models: the model in use, and what else is served; adapters are listed with their base model.
    - context length: the window holds the instructions, a case of ordinary length and a reply.
    - LoRA: adapters can be loaded while the server runs.
    - JSON schema: a reply follows a schema that no model would follow by chance.
    - compact JSON: the engine keeps line breaks and runs of blanks out of it.
    - choice: the reply is one of three words, although the prompt forbids them.
    - log-probabilities: the probability of each option can be read from an answer's token.
    - journey: a made-up case with two options goes through the graph itself, without backtracks.
    - prefix cache: a prompt that is sent twice is reported as cached the second time.
    - speed: completion tokens a second for one request, and for eight at once.

    The machine: Python, hardware, GPU, torch, packages.

    Exit code: 0 the graph can run there, 1 it cannot, 130 interrupted.
    """
    from ddxgraph.cli.serving.findings import Report, needed
    from ddxgraph.serving.doctor.doctor import reach
    from ddxgraph.serving.doctor.finding import cannot_run
    from ddxgraph.serving.doctor.machine import machine_findings

    with Report(progress=not quiet, shown=not as_json) as report:
        report.note("reachable")
        reached = reach(base_url, model, needed, timeout)
        report.heading(f"Endpoint: {reached.shown}; {reached.egress}" if reached.shown else "Endpoint")
        for finding in reached.findings:
            report.add(finding)
        if reached.chat:
            try:
                asyncio.run(_ask(reached.chat, timeout, report))
            finally:
                _close(reached.chat)  # an engine's threads would slow down what is looked at next
        report.heading("This machine")
        report.note("this machine")
        for finding in machine_findings():
            report.add(finding)
    if as_json:
        show_json(json.dumps(_as_json(reached, report.findings), indent=2))
    else:
        report.close()
    raise typer.Exit(Exit.NOT_DONE if cannot_run(report.findings) else Exit.DONE)


async def _ask(chat: "BaseChatModel", timeout: float, report: "Report") -> None:
    from ddxgraph.cli.serving.findings import travelled
    from ddxgraph.serving.doctor.doctor import examine

    async with aclosing(examine(chat, timeout, report.note, travelled)) as findings:
        async for finding in findings:
            report.add(finding)


def _close(chat: "BaseChatModel") -> None:
    close = getattr(chat, "close", None)
    if close:
        close()


def _as_json(reached: "Reached", findings: "Sequence[Finding]") -> dict[str, Any]:
    from ddxgraph.serving.doctor.finding import cannot_run, verdict

    return {
        "endpoint": reached.shown,
        "egress": reached.egress,
        "findings": [finding.model_dump(mode="json") for finding in findings],
        "can_run": not cannot_run(findings),
        "verdict": verdict(findings),
    }
