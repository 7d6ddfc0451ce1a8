"""`ddxgraph journeys inspect`: what a set of journeys consists of, and some of its samples."""

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from ddxgraph.cli.speech import STDOUT, Exit, fail, spoken
from ddxgraph.training.sets.figures import Figures, Spread
from ddxgraph.training.sets.inspection import Bar, Inspection, Shown, inspect_set
from ddxgraph.view.notice import NOTICE

_CELLS: Final = 40
"""Width of the longest bar."""
_LEAST_WIDTH: Final = 20
_REORDERING: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_COLOURS: Final = {"system": "dim", "user": "cyan", "assistant": "green"}


@spoken
def inspect(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A set that `ddxgraph journeys` made.")],
    samples: Annotated[int, typer.Option(min=0, help="Random samples to print.")] = 5,
    seed: Annotated[int, typer.Option(help="Draws other samples.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the inspection as JSON on stdout.")] = False,
) -> None:
    """Look at a set of journeys: lengths, backtracks, letters, cases, random samples, and whether it is as made.

    Exit code: 0 as it was made, 1 a file was changed since, 2 it is no set, or a line in it is no sample.
    """
    found = inspect_set(folder, samples=samples, seed=seed)
    if as_json:
        typer.echo(found.to_json(), nl=False)
    else:
        _print(found)
    if found.changed:
        fail(
            f"{folder} is not as it was made: {'; '.join(found.changed)}; make it again with --overwrite, or "
            "mind that its card is of another content",
            Exit.NOT_DONE,
        )


def _print(found: Inspection) -> None:
    settings = found.manifest.settings
    tries = f", at most {settings.tries} tries" if settings.tries else ""
    STDOUT.print(
        Text(
            f"{found.name}: {settings.style}, format {settings.format}, seed {settings.seed}{tries}",
            style="bold",
        )
    )
    if not found.all.samples:
        STDOUT.print(
            Text(f"no sample; of {found.manifest.read} traversals the gate accepted none: gate.md says why")
        )
        return
    for model, count in found.models.items():
        STDOUT.print(Text(f"from {printable(model)}: {_counted(count, 'sample')}"))
    if found.manifest.rewriting:
        told = found.manifest.rewriting
        STDOUT.print(
            Text(
                f"{told.accepted} of {told.asked} monologues in the words of {printable(told.model)}, the "
                "others in a template's"
            )
        )
    STDOUT.print(_table(found), soft_wrap=False)
    STDOUT.print(Text(_per_case(found.per_case)))
    STDOUT.print()
    STDOUT.print(Text("words of the assistant in a sample", style="bold"))
    for line in _bars(found.histogram):
        STDOUT.print(Text(line))
    for shown in found.shown:
        _print_sample(shown)
    STDOUT.print()
    STDOUT.print(Text(NOTICE, style="dim"))


def _table(found: Inspection) -> Table:
    sides = [found.all, found.train, found.validation]
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("")
    for head in ("all", "train", "validation"):
        table.add_column(head, justify="right", no_wrap=True)
    rows: list[tuple[str, list[str]]] = [
        ("samples", [str(one.samples) for one in sides]),
        ("journeys", [str(one.journeys) for one in sides]),
        ("cases", [str(one.cases) for one in sides]),
        ("journeys with a backtrack", [_of(one.backtracking, one.journeys) for one in sides]),
        ("samples that tell one", [_of(one.telling, one.samples) for one in sides]),
        ("words, median", [_middle(one.words) for one in sides]),
        ("words, least to most", [_ends(one.words) for one in sides]),
        ("tokens of the journey, median", [_middle(one.tokens) for one in sides]),
        *_letters(sides),
    ]
    for name, cells in rows:
        table.add_row(name, *cells)
    return table


def _letters(sides: Sequence[Figures]) -> Iterator[tuple[str, list[str]]]:
    for letter in sides[0].letters:
        name = f"answer {letter}" if letter else "answer in words"
        yield name, [_of(one.letters.get(letter, 0), one.journeys) for one in sides]


def _of(part: int, whole: int) -> str:
    return f"{part} ({part / whole:.0%})" if whole else "–"


def _middle(spread: Spread | None) -> str:
    return "–" if spread is None else f"{spread.median:.0f}"


def _ends(spread: Spread | None) -> str:
    return "–" if spread is None else f"{spread.least} to {spread.most}"


def _per_case(counts: Mapping[int, int]) -> str:
    told = [
        f"{_counted(cases, 'case')} with {_counted(journeys, 'journey')}"
        for journeys, cases in counts.items()
    ]
    return ", ".join(told)


def _bars(bars: Sequence[Bar]) -> Iterator[str]:
    most = max(bar.samples for bar in bars)
    width = len(str(bars[-1].below))
    for bar in bars:
        cells = "#" * -(-bar.samples * _CELLS // most)  # what is there has one at least
        yield f"{bar.words:>{width}} to {bar.below - 1:>{width}} {cells:<{_CELLS}} {bar.samples}"


def _print_sample(shown: Shown) -> None:
    meta = shown.meta
    STDOUT.print()
    title = Text(
        f"{shown.side}.jsonl, line {shown.line}: case {printable(meta.case)}, answer {printable(meta.answer)}"
    )
    STDOUT.print(Rule(title, align="left", characters="-"), soft_wrap=False)
    told = f"{meta.told_backtracks} of {_counted(meta.backtracks, 'backtrack')} told"
    marked = [note.value.replace("_", " ") for note, set_ in meta.notes.items() if set_]
    STDOUT.print(
        Text(", ".join([f"trace {meta.trace}", told, f"wording: {meta.wording}", *marked]), style="dim")
    )
    for message in shown.messages:
        STDOUT.print(Text(message.role, style=f"bold {_COLOURS[message.role]}"))
        for line in Text(printable(message.content)).wrap(STDOUT, max(STDOUT.width - 2, _LEAST_WIDTH)):
            line.rstrip()
            STDOUT.print(Text("  ").append_text(line) if line else "")


def printable(text: str) -> str:
    """Anybody's text; characters that command a terminal or reorder what is read are spelled out."""
    return "".join(_spelled(c) for c in text.replace("\r\n", "\n"))


def _spelled(char: str) -> str:
    if char in "\n\t" or (unicodedata.category(char) != "Cc" and char not in _REORDERING):
        return char
    return f"\\u{ord(char):04x}"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
