"""The dataset card: what a set of journeys is, with the front matter that the Hugging Face hub reads."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from ddxgraph.common.templates import markdown_environment
from ddxgraph.eval.benchmarks.registry import BENCHMARKS
from ddxgraph.training.gate.report import GateReport
from ddxgraph.training.sets.forms import form_of
from ddxgraph.training.sets.manifest import SetManifest, Spread, data_file
from ddxgraph.training.sets.samples import features_of
from ddxgraph.training.styles.registry import Kind, style_of

_TEMPLATE: Final = "card.md.jinja"
_SIZES: Final = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_FEW: Final = 100
"""Validation samples below which the card warns."""
_SMALL: Final = 3e9
"""Parameters below which the card warns about a model."""
_STATED_SIZE: Final = re.compile(r"(?<![A-Za-z0-9.])(\d+(?:\.\d+)?)\s?([MB])(?![A-Za-z0-9])", re.IGNORECASE)


_USES: Final[Mapping[Kind, str]] = {
    "journey": "Supervised fine-tuning of a language model for research on long-thought clinical reasoning.",
    "control": "The control condition of an experiment: fine-tune on it beside the full journeys, on the same "
    "cases.",
    "conversation": "Supervised fine-tuning of the model that serves the graph itself.",
}
_TURNS: Final[Mapping[Kind, str]] = {
    "journey": "a system message, the case with what is asked for, and the reply",
    "control": "a system message, the case with what is asked for, and the reply",
    "conversation": "the turns of the nodes",
}


class _Licence(NamedTuple):
    what: str
    licence: str


class _Small(NamedTuple):
    name: str
    size: str


def card(manifest: SetManifest, report: GateReport, line: str) -> str:
    """Write the card of a set: YAML front matter and Markdown.

    Args:
        manifest: of the set, with all files but the card.
        report: of the gate.
        line: any line of the set, for the types of its fields.

    Returns:
        The text of the card.
    """
    return _front_matter(manifest, line) + _body(manifest, report)


def _front_matter(manifest: SetManifest, line: str) -> str:
    """Lines of YAML; values are written as JSON, which is YAML too."""
    facts: dict[str, Any] = {
        "pretty_name": f"Journey-learning data: {manifest.settings.style}",
        "language": ["en"],
        "license": "unknown",
        "task_categories": ["text-generation", "question-answering"],
        "size_categories": [next((name for most, name in _SIZES if manifest.samples < most), "1M<n<10M")],
        "tags": ["medical", "clinical-reasoning", "journey-learning", "synthetic", manifest.settings.style],
        "configs": [
            {
                "config_name": "default",
                "data_files": [{"split": side, "path": data_file(side)} for side in manifest.sides],
            }
        ],
        "dataset_info": {"features": features_of(line)},
    }
    return "\n".join(["---", *_yaml(facts), "---", "", ""])


def _yaml(table: Mapping[str, Any], margin: str = "") -> Iterator[str]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield f"{margin}{key}:"
            yield from _yaml(value, f"{margin}  ")
        elif isinstance(value, Sequence) and not isinstance(value, str):
            yield f"{margin}{key}:"
            yield from _yaml_items(value, margin)
        else:
            yield f"{margin}{key}: {json.dumps(value, ensure_ascii=False)}"


def _yaml_items(items: Iterable[Any], margin: str) -> Iterator[str]:
    for item in items:
        if isinstance(item, Mapping):
            first, *others = _yaml(item, f"{margin}  ")
            yield f"{margin}- {first.strip()}"
            yield from others
        else:
            yield f"{margin}- {json.dumps(item, ensure_ascii=False)}"


def _body(manifest: SetManifest, report: GateReport) -> str:
    environment = markdown_environment(Path(__file__).parent)
    environment.filters |= {"share": _share, "count": _count, "middle": _middle, "words": _words}
    style, form = style_of(manifest.settings.style), form_of(manifest.settings.format)
    models = list(dict.fromkeys(run.model for run in manifest.inputs))
    if manifest.rewriting:
        models = list(dict.fromkeys([*models, manifest.rewriting.model]))
    return environment.get_template(_TEMPLATE).render(
        manifest=manifest,
        report=report,
        style=style,
        turns=_TURNS[style.kind],
        use=_USES[style.kind],
        form=form,
        loading=environment.from_string(form.loading),  # Markdown: not to be escaped
        sides=(manifest.train, manifest.validation),
        letters=sorted({*manifest.train.letters, *manifest.validation.letters}),
        rewriting=manifest.rewriting,
        licences=_licences(manifest),
        models=models,
        approved=report.notes.get("expert_approved", 0),
        taken_for=_taken_for(report),
        small=[_Small(name, size) for name in models if (size := _small(name))],
        few=_FEW,
    )


def _licences(manifest: SetManifest) -> list[_Licence]:
    """The licences of the cases, each source once."""
    licences: dict[str, str] = {}
    for run in manifest.inputs:
        benchmark = BENCHMARKS.get(run.cases.partition(" ")[0])
        if benchmark:
            licences[f"the cases of {benchmark.title}"] = f"{benchmark.licence}, see {benchmark.home}"
        else:
            licences[f"the cases of the run {run.name}"] = "unknown, state it"
    return [_Licence(what, licence) for what, licence in licences.items()]


def _taken_for(report: GateReport) -> str:
    """Why a journey is in the set, as far as its answer is concerned."""
    rule = report.config.correct
    if not rule.enabled:
        return "it is well-formed; its answer was not compared with any gold answer"
    if rule.require_review:
        return "it is well-formed and an expert accepted it"
    return "it is well-formed and its answer is correct"


def _small(name: str) -> str:
    """The number of parameters that a model's name states if it is small; else empty."""
    stated = _STATED_SIZE.search(name)
    if not stated:
        return ""
    unit = stated[2].upper()
    parameters = float(stated[1]) * (1e6 if unit == "M" else 1e9)
    return f"{stated[1]} {'million' if unit == 'M' else 'billion'}" if parameters < _SMALL else ""


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f}%" if whole else "–"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _middle(spread: Spread | None) -> str:
    return "–" if spread is None else f"{spread.median:g} ({spread.least} to {spread.most})"


def _words(name: str) -> str:
    return name.replace("_", " ")
