"""The report of an evaluation: Markdown, one self-contained HTML page, plots and JSON."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment
from markupsafe import Markup

from ddxgraph.common import words
from ddxgraph.common.errors import EvaluationError
from ddxgraph.common.templates import html_environment, markdown_environment
from ddxgraph.eval.benchmarks.registry import label_of
from ddxgraph.eval.report.evaluation import Evaluation, Progress, reasons
from ddxgraph.eval.report.figures import RunResult
from ddxgraph.eval.report.plots.picture import Picture
from ddxgraph.eval.report.plots.plots import plots
from ddxgraph.eval.report.table import COLUMNS

MARKDOWN: Final = "report.md"
PAGE: Final = "report.html"
DATA: Final = "evaluation.json"
PLOTS: Final = "plots"

_HERE: Final = Path(__file__).parent
_PAIRS: Final = 6
"""Pairs listed for each reason why runs are not compared."""
_AT_COVERAGE: Final = (0.25, 0.5, 0.75, 1.0)
"""Coverages in the table; the plot has more."""


def write_report(evaluation: Evaluation, folder: Path, *, progress: Progress | None = None) -> Path:
    """Write a report; the same evaluation gives the same bytes.

    Args:
        evaluation: its content.
        folder: created if it is missing; an earlier report in it is replaced.
        progress: called after each plot, which is most of the work.

    Returns:
        The HTML page.

    Raises:
        EvaluationError: something other than a report is in the folder, or it cannot be written.
    """
    try:
        check_folder(folder)
        _empty(folder / PLOTS)
        drawn = plots(evaluation, progress)
        for picture in drawn:
            (folder / PLOTS / f"{picture.name}.svg").write_text(picture.svg, encoding="utf-8")
            (folder / PLOTS / f"{picture.name}.png").write_bytes(picture.png)
        (folder / MARKDOWN).write_text(markdown(evaluation, drawn), encoding="utf-8")
        (folder / PAGE).write_text(page(evaluation, drawn), encoding="utf-8")
        (folder / DATA).write_text(to_json(evaluation), encoding="utf-8")
    except OSError as error:
        raise EvaluationError(f"cannot write the report to {folder}: {error.strerror or error}") from None
    return folder / PAGE


def to_json(evaluation: Evaluation) -> str:
    """The evaluation as JSON, with a final newline."""
    return evaluation.model_dump_json(indent=1) + "\n"


def markdown(evaluation: Evaluation, pictures: Sequence[Picture]) -> str:
    """The report as Markdown (with GitHub's tables) that shows the pictures in `plots/`."""
    return _rendered("report.md.jinja", markdown_environment(_HERE), _given(evaluation, pictures))


def page(evaluation: Evaluation, pictures: Sequence[Picture]) -> str:
    """The report as one HTML page with everything in it."""
    return _rendered("report.html.jinja", html_environment(_HERE), _given(evaluation, pictures))


def check_folder(folder: Path) -> None:
    """Check that a report may be written to a folder, before the work is done.

    Raises:
        EvaluationError: something other than a report is there.
    """
    if folder.exists() and not folder.is_dir():
        raise EvaluationError(f"{folder} is a file: name a folder for the report")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / DATA).exists():
        raise EvaluationError(f"{folder} holds other files than a report: name an empty folder or a new one")


def _empty(plots_of_before: Path) -> None:
    """Make the folder of the plots, without those of an earlier report: the new one may have fewer."""
    plots_of_before.mkdir(parents=True, exist_ok=True)
    for old in plots_of_before.iterdir():
        if old.suffix in {".svg", ".png"}:
            old.unlink()


def _given(evaluation: Evaluation, pictures: Sequence[Picture]) -> dict[str, Any]:
    return {
        "evaluation": evaluation,
        "notice": words.NOTICE,
        "pictures": pictures,
        "columns": [(name, label_of(name)) for name in COLUMNS],
        "coverages": _AT_COVERAGE,
        "reasons": reasons,
        "at_coverage": _at_coverage,
        "not_compared": _not_compared(evaluation),
    }


def _at_coverage(run: RunResult, wanted: float) -> str:
    points = run.calibration.coverage if run.calibration else ()
    point = next((point for point in points if point.coverage >= wanted - 1e-9), None)
    return words.percent(point.accuracy if point else None)


def _not_compared(evaluation: Evaluation) -> Mapping[str, Sequence[str]]:
    """Reason to pairs of runs that are not compared; the JSON has all of them."""
    found: dict[str, list[str]] = {}
    for pair in evaluation.comparisons.not_made:
        found.setdefault(pair.why, []).append(f"{pair.a} and {pair.b}")
    return {
        why: pairs if len(pairs) <= _PAIRS else [*pairs[:_PAIRS], f"and {len(pairs) - _PAIRS} pairs more"]
        for why, pairs in found.items()
    }


def _rendered(template: str, environment: Environment, given: Mapping[str, Any]) -> str:
    environment.filters |= {**words.REPORT_FILTERS, "inline": _inline}
    return environment.get_template(template).render(given)


def _inline(picture: Picture) -> Markup:
    """A plot as part of the page; matplotlib escapes the texts in it."""
    return Markup(picture.inline)  # noqa: S704
