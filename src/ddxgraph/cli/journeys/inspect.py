"""`ddxgraph journeys inspect`: figures of a set of journeys, and some of its samples."""

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from ddxgraph.cli.terminal import STDOUT, Exit, counted, fail, show_json, spoken
from ddxgraph.common.words import NOTICE

if TYPE_CHECKING:
    from ddxgraph.training.sets.inspection import Bar, Inspection, Shown
    from ddxgraph.training.sets.manifest import Figures, Spread

_CELLS: Final = 40
"""Length of the longest bar."""
_LEAST_WIDTH: Final = 20
_REORDERING: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_COLOURS: Final = {"system": "dim", "user": "cyan", "assistant": "green"}


@spoken
def inspect(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder of a set that `ddxgraph journeys` made.")
    ],
    samples: Annotated[int, typer.Option(min=0, help="How many random samples to print.")] = 5,
    seed: Annotated[int, typer.Option(help="Seed by which the samples are drawn.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the inspection as JSON on stdout.")] = False,
) -> None:
    """Show a set of journeys: lengths, backtracks, letters, cases, random samples, and later changes.

    Exit code: 0 unchanged, 1 a file was changed since the set was made, 2 not a set, or a line is no sample.
    """
    from ddxgraph.training.sets.inspection import inspect_set

    inspection = inspect_set(folder, samples=samples, seed=seed)
    if as_json:
        show_json(inspection.to_json())
    else:
        _print(inspection)
    if inspection.changed:
        fail(
            f"{folder} is not as it was made: {'; '.join(inspection.changed)}; make it again with --overwrite, "
            "or mind that its card is of another content",
            Exit.NOT_DONE,
        )


def _print(inspection: "Inspection") -> None:
    settings = inspection.manifest.settings
    tries = f", at most {settings.tries} tries" if settings.tries else ""
    STDOUT.print(
        Text(
            f"{inspection.name}: {settings.style}, format {settings.format}, seed {settings.seed}{tries}",
            style="bold",
        )
    )
    if not inspection.all.samples:
        STDOUT.print(
            Text(
                f"no sample; of {inspection.manifest.read} traversals the gate accepted none: gate.md says why"
            )
        )
        return
    for model, count in inspection.models.items():
        STDOUT.print(Text(f"from {printable(model)}: {counted(count, 'sample')}"))
    if inspection.manifest.rewriting:
        rewriting = inspection.manifest.rewriting
        STDOUT.print(
            Text(
                f"{rewriting.accepted} of {rewriting.asked} monologues in the words of "
                f"{printable(rewriting.model)}, the others in a template's"
            )
        )
    STDOUT.print(_table(inspection), soft_wrap=False)
    STDOUT.print(Text(_per_case(inspection.per_case)))
    STDOUT.print()
    STDOUT.print(Text("words of the assistant in a sample", style="bold"))
    for line in _bars(inspection.histogram):
        STDOUT.print(Text(line))
    for shown in inspection.shown:
        _print_sample(shown)
    STDOUT.print()
    STDOUT.print(Text(NOTICE, style="dim"))


def _table(inspection: "Inspection") -> Table:
    sides = [inspection.all, inspection.train, inspection.validation]
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("")
    for head in ("all", "train", "validation"):
        table.add_column(head, justify="right", no_wrap=True)
    rows: list[tuple[str, list[str]]] = [
        ("samples", [str(side.samples) for side in sides]),
        ("journeys", [str(side.journeys) for side in sides]),
        ("cases", [str(side.cases) for side in sides]),
        ("journeys with a backtrack", [_of(side.backtracking, side.journeys) for side in sides]),
        ("samples that tell one", [_of(side.telling, side.samples) for side in sides]),
        ("words, median", [_middle(side.words) for side in sides]),
        ("words, least to most", [_ends(side.words) for side in sides]),
        ("tokens of the journey, median", [_middle(side.tokens) for side in sides]),
        *_letters(sides),
    ]
    for name, cells in rows:
        table.add_row(name, *cells)
    return table


def _letters(sides: "Sequence[Figures]") -> Iterator[tuple[str, list[str]]]:
    for letter in sides[0].letters:
        name = f"answer {letter}" if letter else "answer in words"
        yield name, [_of(side.letters.get(letter, 0), side.journeys) for side in sides]


def _of(part: int, whole: int) -> str:
    return f"{part} ({part / whole:.0%})" if whole else "–"


def _middle(spread: "Spread | None") -> str:
    return "–" if spread is None else f"{spread.median:.0f}"


def _ends(spread: "Spread | None") -> str:
    return "–" if spread is None else f"{spread.least} to {spread.most}"


def _per_case(counts: Mapping[int, int]) -> str:
    parts = [
        f"{counted(cases, 'case')} with {counted(journeys, 'journey')}" for journeys, cases in counts.items()
    ]
    return ", ".join(parts)


def _bars(bars: "Sequence[Bar]") -> Iterator[str]:
    most = max(bar.samples for bar in bars)
    width = len(str(bars[-1].below))
    for bar in bars:
        cells = "#" * -(-bar.samples * _CELLS // most)  # at least one for a bar that is not empty
        yield f"{bar.words:>{width}} to {bar.below - 1:>{width}} {cells:<{_CELLS}} {bar.samples}"


def _print_sample(shown: "Shown") -> None:
    meta = shown.meta
    STDOUT.print()
    title = Text(
        f"{shown.side}.jsonl, line {shown.line}: case {printable(meta.case)}, answer {printable(meta.answer)}"
    )
    STDOUT.print(Rule(title, align="left", characters="-"), soft_wrap=False)
    backtracks = f"{meta.told_backtracks} of {counted(meta.backtracks, 'backtrack')} told"
    marked = [note.value.replace("_", " ") for note, set_ in meta.notes.items() if set_]
    STDOUT.print(
        Text(", ".join([f"trace {meta.trace}", backtracks, f"wording: {meta.wording}", *marked]), style="dim")
    )
    for message in shown.messages:
        STDOUT.print(Text(message.role, style=f"bold {_COLOURS[message.role]}"))
        for line in Text(printable(message.content)).wrap(STDOUT, max(STDOUT.width - 2, _LEAST_WIDTH)):
            line.rstrip()
            STDOUT.print(Text("  ").append_text(line) if line else "")


def printable(text: str) -> str:
    """The text with control characters, and those that reorder it on a terminal, written as escapes."""
    return "".join(_spelled(c) for c in text.replace("\r\n", "\n"))


def _spelled(char: str) -> str:
    if char in "\n\t" or (unicodedata.category(char) != "Cc" and char not in _REORDERING):
        return char
    return f"\\u{ord(char):04x}"
