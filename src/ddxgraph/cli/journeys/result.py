"""The result of `ddxgraph journeys`, printed or as JSON."""

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from ddxgraph.cli.terminal import STDOUT, Exit, counted, fail

if TYPE_CHECKING:
    from ddxgraph.training.gate.gated import Gated
    from ddxgraph.training.gate.report import GateReport
    from ddxgraph.training.sets.make import JourneySet


def print_gate(report: "GateReport") -> None:
    """Print how many traversals each rule of the gate rejected, and why."""

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("gate")
    table.add_column("out", justify="right", no_wrap=True)
    table.add_column("left", justify="right", no_wrap=True)
    table.add_column("why", overflow="fold")
    table.add_row("traversals read", "", str(report.read))
    for rule in report.rules:
        for place, (reason, count) in enumerate(rule.reasons.items()):
            last = place == len(rule.reasons) - 1
            name = "" if place else rule.rule.value.replace("_", " ")
            table.add_row(name, str(count), str(rule.after) if last else "", Text(reason.words))
    table.add_row("accepted", "", str(report.accepted.journeys), style="bold")
    STDOUT.print(table, soft_wrap=False)
    off = [rule.rule.value.replace("_", " ") for rule in report.rules if not rule.enabled]
    if off:
        STDOUT.print(Text(f"off: {', '.join(off)}", style="dim"))
    for warning in _warnings(report):
        STDOUT.print(Text(warning, style="bold yellow"))


def _warnings(report: "GateReport") -> Iterator[str]:
    for missing in report.missing:
        yield f"NOT COMPARED WITH {missing.name.upper()}, which is not on this machine: make no claim on it."
    for held in report.held_out:
        if held.absent:
            yield (
                f"COMPARED WITH A PART OF {held.name.upper()} ONLY: {held.absent} questions are not on this "
                "machine."
            )
    if not report.config.decontamination.enabled:
        yield "NOT DECONTAMINATED: make no claim on any benchmark."
    if report.notes.get("answer_key"):
        yield f"{report.notes['answer_key']} accepted journeys have moves that an answer key made."
    if report.notes.get("not_scored"):
        yield f"{report.notes['not_scored']} accepted journeys were not compared with any gold answer."


def print_set(made: "JourneySet") -> None:
    """Print what a set holds and where it is."""
    manifest = made.manifest
    STDOUT.print()
    if not manifest.samples:
        STDOUT.print(
            Text(f"{manifest.settings.style}: no sample; {made.folder / 'gate.md'} says why", style="bold")
        )
        return
    there = ", was there already and is the same" if made.state == "same" else ""
    STDOUT.print(Text(f"{manifest.settings.style}: {made.folder}{there}", style="bold"))
    for side, figures in manifest.sides.items():
        words = figures.words
        length = f"; {words.median:.0f} words ({words.least} to {words.most})" if words else ""
        STDOUT.print(
            Text(
                f"  {side}: {counted(figures.samples, 'sample')} of {counted(figures.cases, 'case')}, "
                f"{figures.telling} telling a backtrack{length}"
            )
        )
    if manifest.uncompiled:
        first = manifest.uncompiled[0]
        STDOUT.print(
            Text(
                f"  {counted(len(manifest.uncompiled), 'accepted journey')} cannot be told so, such as "
                f"{first.trace}: {first.why}"
            )
        )
    STDOUT.print(Text(f"  next: ddxgraph journeys inspect {made.folder}", style="dim"))


def to_json(gated: "Gated", sets: "Sequence[JourneySet]") -> str:
    """The sets and the gate's report as JSON."""
    return json.dumps(
        {
            "sets": [
                {"folder": str(made.folder), "state": made.state, **made.manifest.model_dump(mode="json")}
                for made in sets
            ],
            "gate": gated.report.model_dump(mode="json"),
        },
        ensure_ascii=False,
    )


def complain(gated: "Gated", sets: "Sequence[JourneySet]") -> None:
    """End the command with an error if there is nothing to train on."""
    if not len(gated):
        fail(
            f"no journey was accepted; {sets[0].folder / 'gate.md'} says why each was not: look at the rules "
            "there, or gate more runs",
            Exit.NOT_DONE,
        )
    empty = [made for made in sets if not made.manifest.train.samples]
    if empty:
        side = "all of them are for validation" if empty[0].manifest.samples else "none could be compiled"
        fail(
            f"{empty[0].folder} has nothing to train on: {counted(len(gated), 'journey')} accepted, but {side}; "
            "gate more runs, or lower validation_share under [split]",
            Exit.NOT_DONE,
        )
