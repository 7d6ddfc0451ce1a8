"""A style of one's own, registered here and nowhere else, through everything that takes styles."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from bytellama import byte_tokenizer
from commandline import ddxgraph
from gated import LETTERS, NOTHING_HELD_OUT, case, entry, make_run
from journeys import CASE, STRAIGHT
from walks import LEG, plain_walk, walked

from ddxgraph import GenerationStrategy, RunSource, compile_journey, inspect_set, make_journeys
from ddxgraph.common.errors import BadInput, CompileError
from ddxgraph.experiment.arms import arms
from ddxgraph.experiment.arms import strategy_of as strategy_of_arm
from ddxgraph.experiment.config import read_experiment
from ddxgraph.nodes.call.patience import Patience
from ddxgraph.testing import ScriptedChatModel
from ddxgraph.training.gate.config import Balance, GateConfig, Split
from ddxgraph.training.loop.config import read_loop
from ddxgraph.training.sets.manifest import SetManifest, read_set
from ddxgraph.training.sets.samples import read_samples
from ddxgraph.training.sft.config import Data
from ddxgraph.training.sft.job import TrainingJob, data_hashes
from ddxgraph.training.sft.supervision import IGNORED
from ddxgraph.training.sft.tokens import read_journeys, token_side
from ddxgraph.training.styles.events import Noted, Refuted
from ddxgraph.training.styles.journey import ParsedTrace
from ddxgraph.training.styles.quoting import answer_line
from ddxgraph.training.styles.registry import Style, UnknownStyle, registered, style_names, style_of

ROWS = [entry(case(number), LETTERS[number % 4]) for number in range(12)]
CONFIG = GateConfig(balance=Balance(enabled=False), split=Split(validation_share=0.3))


def ward_round(parsed: ParsedTrace, seed: str) -> str:
    """The journey as a note from a ward round."""
    findings = [event.quote for event in parsed.journey if isinstance(event, Noted)]
    dropped = [event.hypothesis.label for event in parsed.journey if isinstance(event, Refuted)]
    if not findings:
        raise CompileError(f"trace {parsed.trace.id} notes nothing: leave it out")
    lines = [f"Seen: {'; '.join(findings)}.", f"Dropped: {'; '.join(dropped) or 'nothing'}."]
    return "\n".join([*lines, "", answer_line(parsed.answer)])


OWN = Style(
    name="own",
    kind="journey",
    strategy="cot",
    summary="Each is a note from a ward round.",
    tell=ward_round,
)


@pytest.fixture(scope="module", autouse=True)
def _known() -> Iterator[None]:
    with registered(OWN):
        yield
    assert "own" not in style_names()
    with pytest.raises(UnknownStyle, match="no style 'own': choose one of longstep, longmonolog, shortcut"):
        style_of("own")


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    return make_run(tmp_path_factory.mktemp("own") / "run", ROWS)


@pytest.fixture(scope="module")
def folder(run) -> Path:
    """A set in the style."""
    made = make_journeys(
        [RunSource(run, ROWS)], "own", run.parent / "own", config=CONFIG, held_out=NOTHING_HELD_OUT
    )
    assert made.state == "written"
    return made.folder


@pytest.fixture(scope="module")
def manifest(folder) -> SetManifest:
    return read_set(folder)


def test_a_sample_answers_the_prompt_of_the_style_s_strategy():
    trace = plain_walk().trace
    sample = compile_journey(trace, "own", tries=2)
    model = ScriptedChatModel(script={"generate": sample.messages[-1].content})
    answered = asyncio.run(GenerationStrategy(style="cot")(LEG, model))
    assert answered.answer == sample.meta.answer == trace.answer
    assert sample.meta.prompt_hash == answered.provenance.prompt_set
    asked = [message.content for message in model.requests[0].messages]
    assert [message.content for message in sample.messages[:-1]] == asked
    assert sample.messages[-1].content.startswith("Seen: sharp chest pain;")
    assert (sample.meta.style, sample.meta.tries) == ("own", 2)
    assert sample.meta.told_backtracks == trace.backtracks == 2


def test_what_the_style_refuses_is_refused():
    steps = walked({**STRAIGHT, "review_history": {"reasoning": "", "asks": "other", "findings": []}}, CASE)
    with pytest.raises(CompileError):
        compile_journey(steps.trace, "own")


def test_a_set_of_it_has_manifest_card_and_both_sides(manifest, folder):
    assert (manifest.settings.style, manifest.uncompiled) == ("own", [])
    assert (manifest.accepted, manifest.samples) == (12, 12)
    assert 0 < manifest.validation.samples < 12
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "12 training samples in the style `own`" in card
    assert OWN.summary in card
    records = [*read_samples(folder / "train.jsonl", "messages")]
    assert len(records) == manifest.train.samples
    assert {record.meta.style for record in records} == {"own"}
    assert all(record.messages[-1].content.startswith("Seen: ") for record in records)
    inspection = inspect_set(folder)
    assert (inspection.all.samples, inspection.changed) == (12, [])


def test_it_is_not_rewritten(run, tmp_path):
    with pytest.raises(BadInput, match="only 'longmonolog' is rewritten, not 'own'"):
        make_journeys(
            [RunSource(run, ROWS)],
            "own",
            tmp_path / "set",
            config=CONFIG,
            held_out=NOTHING_HELD_OUT,
            retell=lambda compiled: pytest.fail("asked"),
        )


def test_the_loss_covers_its_reply_and_nothing_else(manifest, folder):
    tokenizer = byte_tokenizer()
    read = read_journeys(folder)
    for side, figures in manifest.sides.items():
        tokens = token_side(folder, read, side, tokenizer, Data())
        assert tokens.counts.used == figures.samples
        for sample in tokens.samples:
            reply = tokenizer.decode([label for label in sample.labels if label != IGNORED])
            assert reply.startswith("Seen: ")
    job = TrainingJob(
        config={"base_model": "x"},
        base_sha256="0",
        data=data_hashes(read),
        style=read.settings.style,
        prompt_hashes=tuple(read.prompt_hashes),
    )
    assert TrainingJob.model_validate_json(job.model_dump_json()).style == "own"


def test_the_command_line_knows_it(run, tmp_path):
    cases, settings, out = tmp_path / "cases.jsonl", tmp_path / "gate.toml", tmp_path / "set"
    lines = [{**row.case.model_dump(mode="json"), "answer": row.gold.answer} for row in ROWS]
    cases.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    settings.write_text("[decontamination]\nenabled = false\n[balance]\nenabled = false\n", encoding="utf-8")
    gated = ("--cases", cases, "--config", settings)
    done = ddxgraph("journeys", run, *gated, "--style", "own", "--tries", 2, "--out", out)
    assert done.returncode == 0, done.stderr
    assert read_set(out).settings.style == "own"
    shown = ddxgraph("journeys", "inspect", out)
    assert (shown.returncode, "own" in shown.stdout) == (0, True)
    unknown = ddxgraph("journeys", run, *gated, "--style", "owm", "--out", tmp_path / "other")
    assert unknown.returncode == 2
    assert (
        "no style 'owm': choose one of longstep, longmonolog, shortcut, straight, cot, graph, own"
        in unknown.stderr
    )


def test_the_loop_and_the_experiment_take_it(tmp_path):
    (tmp_path / "loop.toml").write_text('[journeys]\nstyle = "own"\ntries = 2\n', encoding="utf-8")
    assert read_loop(tmp_path / "loop.toml").config.journeys.style == "own"
    text = 'styles = ["own", "shortcut", "graph"]\n[spending]\nvote = ["own"]\n'
    (tmp_path / "experiment.toml").write_text(text, encoding="utf-8")
    config = read_experiment(tmp_path / "experiment.toml").config
    assert arms(config)[0].folder == "own"
    assert strategy_of_arm("own", config, patience=Patience()).style == "cot"


def test_a_name_is_given_once():
    with pytest.raises(BadInput, match="a style 'own' already"), registered(OWN):
        pytest.fail("registered twice")


def test_a_style_of_no_strategy_is_refused():
    lost = replace(OWN, name="lost", strategy="oracle")
    with pytest.raises(BadInput, match="no strategy 'oracle'"), registered(lost):
        pytest.fail("registered")
    assert "lost" not in style_names()
