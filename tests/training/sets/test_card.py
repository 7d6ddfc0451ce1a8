"""The dataset card: front matter as the hub reads it, what must be said of a set, and nobody's markup."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
import yaml
from gated import LETTERS, NOTHING_HELD_OUT, case, entry, make_run

from ddxgraph.training.gate.config import Balance, Correct, Decontamination, GateConfig, Split
from ddxgraph.training.gate.report import GateReport, HeldOutReport, MissingReport
from ddxgraph.training.sets.card import card
from ddxgraph.training.sets.make import JourneySet, make_journeys
from ddxgraph.training.sets.manifest import SetManifest
from ddxgraph.training.source import RunSource
from ddxgraph.training.styles.registry import style_names

ROWS = [entry(case(number), LETTERS[number % 4]) for number in range(6)]
CONFIG = GateConfig(balance=Balance(enabled=False), split=Split(validation_share=0.4))
FORTY = "0" * 40


@pytest.fixture(scope="module")
def known(tmp_path_factory) -> JourneySet:
    room = tmp_path_factory.mktemp("card")
    make_run(room / "pilot", ROWS)
    return make_journeys(
        [RunSource(room / "pilot", ROWS)], "longstep", room / "set", config=CONFIG, held_out=NOTHING_HELD_OUT
    )


def line(known: JourneySet) -> str:
    return (known.folder / "train.jsonl").read_text(encoding="utf-8").splitlines()[0]


def front_matter(text: str) -> dict[str, Any]:
    _, told, _ = text.split("---\n", 2)
    return dict(yaml.safe_load(told))


def rendered(known: JourneySet, report: dict[str, Any] | None = None, **changes: Any) -> str:
    manifest: SetManifest = known.manifest.model_copy(update=changes)
    changed: GateReport = known.report.model_copy(update=report or {})
    return card(manifest, changed, line(known))


def with_input(known: JourneySet, **changes: Any) -> dict[str, Any]:
    """The changes that make a set one of another input."""
    return {"inputs": [known.manifest.inputs[0].model_copy(update=changes)]}


def test_the_front_matter_is_what_the_hub_reads(known):
    told = front_matter((known.folder / "README.md").read_text(encoding="utf-8"))
    assert told["configs"] == [
        {
            "config_name": "default",
            "data_files": [
                {"split": "train", "path": "train.jsonl"},
                {"split": "validation", "path": "validation.jsonl"},
            ],
        }
    ]
    assert told["language"] == ["en"]
    assert told["license"] == "unknown"
    assert "text-generation" in told["task_categories"]
    assert told["size_categories"] == ["n<1K"]
    assert [one["name"] for one in told["dataset_info"]["features"]] == ["messages", "meta"]


def test_the_hubs_own_reader_takes_it(known):
    hub = pytest.importorskip("huggingface_hub")
    told = hub.DatasetCard.load(known.folder / "README.md", ignore_metadata_errors=False)
    assert told.data.license == "unknown"
    assert told.data.pretty_name == "Journey-learning data: longstep"


def test_hashes_of_inputs_and_outputs_stand_in_it(known):
    told = (known.folder / "README.md").read_text(encoding="utf-8")
    for name in ("train.jsonl", "validation.jsonl", "gate.md", "gate.json"):
        assert hashlib.sha256((known.folder / name).read_bytes()).hexdigest() in told
    assert known.manifest.inputs[0].sha256 in told
    assert "README.md |" not in told, "a file cannot hold its own hash"


@pytest.mark.parametrize("style", style_names())
def test_every_style_is_described_and_is_not_for_clinical_use(known, style):
    settings = known.manifest.settings.model_copy(update={"style": style})
    told = rendered(known, settings=settings)
    assert front_matter(told)["tags"][-1] == style
    assert "Not for clinical use" in told
    assert "{{" not in told
    assert "\n\n\n" not in told


@pytest.mark.parametrize(
    ("cases", "said"),
    [
        ("medqa train", "MIT (the repository's; no separate statement on the data)"),
        ("medbullets test", "none stated, see"),
        ("jama train", "copyrighted: with your own access only"),
        ("case file", "the cases of the run pilot: unknown, state it"),
    ],
)
def test_the_licence_of_every_source_is_told(known, cases, said):
    assert said in rendered(known, **with_input(known, cases=cases))


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("SmolLM2-135M-Instruct-Q4_1", "135 million parameters"),
        ("Qwen/Qwen3-0.6B", "0.6 billion parameters"),
        ("llama-1b", "1 billion parameters"),
        ("Llama-3.1-70B-Instruct", ""),
        ("gpt-oss", ""),
        ("Q4_1m2b3", ""),
    ],
)
def test_a_small_model_is_called_one(known, model, said):
    told = rendered(known, **with_input(known, model=model))
    assert ("Most journeys of so small a model are poor" in told) == bool(said)
    assert said in told


def test_what_was_not_compared_is_said_loudly(known):
    absent = HeldOutReport(
        name="medqa",
        title="MedQA",
        questions=10,
        absent=3,
        sha256=FORTY,
        digest=FORTY,
        questions_hit=0,
        reasonings_hit=0,
    )
    off = CONFIG.model_copy(update={"decontamination": Decontamination(enabled=False)})
    report = {
        "missing": [MissingReport(name="jama", title="JAMA", obtain="buy it")],
        "held_out": [absent],
        "config": off,
        "notes": {"answer_key": 2, "not_scored": 1, "expert_approved": 4},
    }
    told = rendered(known, report)
    for said in (
        "NOT COMPARED WITH JAMA",
        "COMPARED WITH A PART OF MEDQA ONLY.** 3 of its 13 questions",
        "NOT DECONTAMINATED",
        "2 journeys with moves that an answer key made",
        "1 journey not compared with any gold answer",
        "except for 4 journeys that an expert approved",
    ):
        assert said in told
    plain = rendered(known)
    assert "NOT COMPARED" not in plain
    assert "NOT DECONTAMINATED" not in plain


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (Correct(), "its answer is correct"),
        (Correct(require_review=True), "an expert accepted it"),
        (Correct(enabled=False), "its answer was not compared with any gold answer"),
    ],
)
def test_why_a_journey_is_here_goes_by_the_rule(known, rule, said):
    assert said in rendered(known, {"config": CONFIG.model_copy(update={"correct": rule})})


def test_a_name_is_no_markup(known):
    hostile = "<img src=x>|[a](b)`c` *d*\n# e"
    told = rendered(
        known, {"inputs": with_input(known, name=hostile)["inputs"]}, **with_input(known, model=hostile)
    )
    assert "<img" not in told
    assert "\n# e" not in told
    assert r"&lt;img src=x&gt;\|\[a\](b)\`c\` \*d\* # e" in told
    assert front_matter(told)["license"] == "unknown"


def test_an_unfinished_run_is_told_as_one(known):
    report = with_input(known, traces=6, expected=40)
    assert "| 6 of 40 |" in rendered(known, report)
    assert "| 6 |" in rendered(known)


def test_the_template_ships_with_the_package():
    import ddxgraph.training.sets.card as module

    assert (Path(module.__file__).parent / "card.md.jinja").is_file()
