"""Sets of journeys: the same bytes again, whole or not at all, and nothing foreign touched."""

import asyncio
import hashlib
import json
import os
import re
import subprocess
import sys
import zlib
from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from gated import (
    LETTERS,
    NOTHING_HELD_OUT,
    case,
    copy_run,
    entries,
    entry,
    held_out,
    make_run,
    prose,
    traces_of,
)
from journeys import (
    AT_ONCE,
    FREE,
    answer,
    differential,
    named,
    prompt_of,
    reading,
    reflection,
    weighing,
)

from ddxgraph import run
from ddxgraph.common.errors import JourneySetError
from ddxgraph.testing import Request, ScriptedChatModel
from ddxgraph.training.gate.config import (
    Balance,
    Correct,
    Decontamination,
    Evidence,
    GateConfig,
    Length,
    NearDuplicates,
    Split,
)
from ddxgraph.training.gate.screen import gate
from ddxgraph.training.rewrite.rewriter import Rewriter, Rewritten, draft_of, rewrite
from ddxgraph.training.rewrite.store import RewriteLog
from ddxgraph.training.sets.forms import form_of
from ddxgraph.training.sets.make import JourneySet, Retell, make_journeys, write_journeys
from ddxgraph.training.sets.manifest import SetSettings, read_set
from ddxgraph.training.sets.samples import read_samples, record_of
from ddxgraph.training.source import RunSource
from ddxgraph.training.styles.compile import compile_journey
from ddxgraph.training.styles.registry import style_names

ROWS = entries(8)
DATED = [entry(case(number, id=f"2024-01-{number}"), LETTERS[number % 4]) for number in range(10, 14)]
"""Cases whose ids look like dates."""
CONFIG = GateConfig(balance=Balance(enabled=False), split=Split(validation_share=0.4))


def line_of(record: Any, form: str) -> str:
    return form_of(form).line(record)


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> list[RunSource]:
    """Twelve cases in two runs, one of them with two samples a case; every third journey has a backtrack."""
    room = tmp_path_factory.mktemp("runs")
    make_run(room / "plain", ROWS)
    make_run(room / "dated", DATED, samples=2, model="other-7B")
    return [RunSource(room / "plain", ROWS), RunSource(room / "dated", DATED)]


def made(runs: list[RunSource], out: Path, style: Any = "longstep", **settings: Any) -> JourneySet:
    known = {"config": CONFIG, "held_out": NOTHING_HELD_OUT, **settings}
    return make_journeys(runs, style, out, **known)


def contents(folder: Path) -> Mapping[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_set_holds_samples_of_both_sides_a_card_the_gates_report_and_a_manifest(runs, tmp_path):
    found = made(runs, tmp_path / "set")
    assert found.state == "written"
    files = contents(tmp_path / "set")
    assert set(files) == {
        "train.jsonl",
        "validation.jsonl",
        "README.md",
        "gate.md",
        "gate.json",
        "journeys.json",
    }
    manifest = read_set(tmp_path / "set")
    assert manifest == found.manifest
    assert (manifest.read, manifest.accepted, manifest.samples) == (16, 16, 16)
    assert manifest.train.samples == files["train.jsonl"].count(b"\n") > 0
    assert manifest.validation.samples == files["validation.jsonl"].count(b"\n") > 0
    assert {one.meta.case for one in read_samples(tmp_path / "set" / "train.jsonl", "messages")}.isdisjoint(
        one.meta.case for one in read_samples(tmp_path / "set" / "validation.jsonl", "messages")
    )
    for name, known in manifest.files.items():
        assert (known.sha256, known.bytes) == (hashlib.sha256(files[name]).hexdigest(), len(files[name]))
    assert {*manifest.files, "journeys.json"} == set(files)


@pytest.mark.parametrize("style", style_names())
def test_samples_are_those_of_the_compiler_in_the_order_of_the_gate(runs, tmp_path, style):
    made(runs, tmp_path / "set", style, seed=3)
    wanted: dict[str, list[str]] = {"train": [], "validation": []}
    for one in gate(runs, CONFIG, held_out=NOTHING_HELD_OUT):
        wanted[one.split].append(
            line_of(record_of(compile_journey(one.trace, style, 3), one.notes), "messages")
        )
    for side, lines in wanted.items():
        assert (tmp_path / "set" / f"{side}.jsonl").read_text(encoding="utf-8").splitlines() == lines


def test_no_gold_answer_is_written_where_the_journey_missed_it(runs, tmp_path):
    wrong = [RunSource(one.folder, [entry(row.case, "D") for row in one.cases]) for one in runs]
    config = CONFIG.model_copy(update={"correct": Correct(enabled=False)})
    assert made(runs, tmp_path / "a", config=config).manifest.samples == 16
    made(wrong, tmp_path / "b", config=config)
    for name in ("train.jsonl", "validation.jsonl"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    [first, *_] = read_samples(tmp_path / "a" / "train.jsonl", "messages")
    assert first.meta.notes["not_scored"]


REPEATING = """
import sys
from gated import NOTHING_HELD_OUT
from test_make import CONFIG, DATED, ROWS
from ddxgraph.training.sets.make import make_journeys
from ddxgraph.training.source import RunSource
room, out = sys.argv[1:]
runs = [RunSource(f"{room}/dated", DATED), RunSource(f"{room}/plain", ROWS)]
make_journeys(runs, "longmonolog", out, config=CONFIG, held_out=NOTHING_HELD_OUT)
"""


def test_the_same_bytes_in_another_process_folder_and_order(runs, tmp_path):
    made(runs, tmp_path / "one", "longmonolog")
    room = Path(runs[0].folder).parent
    where = os.pathsep.join([*filter(None, sys.path), str(Path(__file__).parent)])
    subprocess.run(
        [sys.executable, "-c", REPEATING, str(room), str(tmp_path / "deep" / "two")],
        env={**os.environ, "PYTHONHASHSEED": "77", "PYTHONPATH": where},
        check=True,
    )
    assert contents(tmp_path / "deep" / "two") == contents(tmp_path / "one")


def test_the_order_of_lines_in_a_run_changes_no_sample(runs, tmp_path):
    reversed_ = [
        RunSource(
            copy_run(Path(run.folder), tmp_path / Path(run.folder).name, traces_of(Path(run.folder))[::-1]),
            run.cases,
        )
        for run in runs
    ]
    made(runs, tmp_path / "one")
    made(reversed_, tmp_path / "two")
    one, two = contents(tmp_path / "one"), contents(tmp_path / "two")
    assert {name for name in one if one[name] != two[name]} <= {
        "README.md",
        "gate.md",
        "gate.json",
        "journeys.json",
    }


def test_again_changes_nothing(runs, tmp_path):
    out = tmp_path / "set"
    made(runs, out)
    times = {path: path.stat().st_mtime_ns for path in (out, *out.iterdir())}
    assert made(runs, out).state == "same"
    assert {path: path.stat().st_mtime_ns for path in (out, *out.iterdir())} == times
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"seed": 1}, "seed was 0, now 1"),
        ({"style": "cot"}, "style was longstep, now cot"),
        ({"format": "sharegpt"}, "format was messages, now sharegpt"),
        ({"tries": 2}, "tries was None, now 2"),
        ({"config": CONFIG.model_copy(update={"seed": 5})}, "gate.seed was 0, now 5"),
    ],
)
def test_another_set_is_not_replaced_unasked(runs, tmp_path, change, said):
    out = tmp_path / "set"
    made(runs, out)
    before = contents(out)
    with pytest.raises(JourneySetError, match=rf"another set of journeys: {said}\. .*--overwrite"):
        made([RunSource("nowhere")], out, **change)  # refused before a run is read
    assert contents(out) == before
    assert made(runs, out, overwrite=True, **change).state == "written"
    assert contents(out) != before
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_a_run_that_has_grown_makes_another_set(runs, tmp_path):
    out = tmp_path / "set"
    made(runs[:1], out)
    with pytest.raises(JourneySetError, match="the runs that went into it were others, or have grown"):
        made(runs, out)
    assert made(runs, out, overwrite=True).manifest.samples == 16


def test_a_file_that_was_changed_is_named_and_not_replaced_unasked(runs, tmp_path):
    out = tmp_path / "set"
    whole = contents(made(runs, out).folder)
    (out / "train.jsonl").write_bytes(b"mine\n")
    with pytest.raises(JourneySetError, match=r"another set of journeys: train\.jsonl was changed"):
        made(runs, out)
    assert (out / "train.jsonl").read_bytes() == b"mine\n"
    made(runs, out, overwrite=True)
    assert contents(out) == whole


def test_nothing_that_is_no_set_is_touched(runs, tmp_path):
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.md").write_text("years of work")
    for overwrite in (False, True):
        with pytest.raises(JourneySetError, match="holds other files than a set"):
            made(runs, foreign, overwrite=overwrite)
    made(runs, tmp_path / "set")
    (tmp_path / "set" / "thesis.md").write_text("years of work")
    with pytest.raises(JourneySetError, match=r"more than a set of journeys \(thesis\.md\)"):
        made(runs, tmp_path / "set", seed=1, overwrite=True)
    for folder in ("foreign", "set"):
        assert (tmp_path / folder / "thesis.md").read_text() == "years of work"
    (tmp_path / "file").write_text("x")
    with pytest.raises(JourneySetError, match="is a file"):
        made(runs, tmp_path / "file")


def test_no_set_is_put_into_a_run_folder(runs):
    folder = Path(runs[0].folder)
    before = contents(folder)
    for out in (folder, folder / "set", folder / "deep" / "set"):
        with pytest.raises(JourneySetError, match="in the run folder"):
            made(runs, out, overwrite=True)
    assert contents(folder) == before


def test_an_empty_folder_and_a_link_to_one_are_taken(runs, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    made(runs, tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert read_set(tmp_path / "empty").samples == 16


def test_an_interruption_leaves_nothing_and_what_was_there(runs, tmp_path):
    out = tmp_path / "set"

    def interrupt(done: int, total: int) -> None:
        if total == 16:  # of journeys, not of bytes
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made(runs, out, progress=interrupt)
    assert list(tmp_path.iterdir()) == []
    made(runs, out)
    before = contents(out)
    with pytest.raises(KeyboardInterrupt):
        made(runs, out, seed=1, overwrite=True, progress=interrupt)
    assert contents(out) == before
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


FILLING = """
import resource, sys
from gated import NOTHING_HELD_OUT
from test_make import CONFIG, ROWS
from ddxgraph.training.sets.make import make_journeys
from ddxgraph.training.source import RunSource
from ddxgraph.training.sets.manifest import JourneySetError
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
runs = [RunSource(sys.argv[1], ROWS)]
try:
    make_journeys(runs, "longstep", sys.argv[2], config=CONFIG, held_out=NOTHING_HELD_OUT)
except JourneySetError as error:
    print(error)
"""


def test_a_full_disk_is_one_sentence_and_leaves_nothing(runs, tmp_path):
    """A limit on the size of files lets a part of the first one through, as a disk does that is filling up."""
    where = os.pathsep.join([*filter(None, sys.path), str(Path(__file__).parent)])
    done = subprocess.run(
        [sys.executable, "-c", FILLING, str(runs[0].folder), str(tmp_path / "set")],
        env={**os.environ, "PYTHONPATH": where},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"cannot write the set to {tmp_path}/set: File too large; nothing was left there\n"
    assert list(tmp_path.iterdir()) == []


def test_where_no_journey_is_accepted_there_is_the_report_and_no_data(runs, tmp_path):
    out = tmp_path / "set"
    config = CONFIG.model_copy(update={"length": Length(min_backtracks=9)})
    found = made(runs, out, config=config)
    assert set(contents(out)) == {"gate.md", "gate.json", "journeys.json"}
    assert (found.manifest.accepted, found.manifest.samples) == (0, 0)
    assert "it has too few backtracks" in (out / "gate.md").read_text(encoding="utf-8")
    assert made(runs, out).manifest.samples == 16, "nothing is lost where there was nothing"


def test_a_side_without_samples_has_no_file(runs, tmp_path):
    config = CONFIG.model_copy(update={"split": Split(enabled=False)})
    made(runs, tmp_path / "set", config=config)
    assert not (tmp_path / "set" / "validation.jsonl").exists()
    assert "validation.jsonl" not in (tmp_path / "set" / "README.md").read_text(encoding="utf-8")


def free_form_run(folder: Path) -> Path:
    """Two free-form cases, alike but for the id."""
    script = {
        "review_history": reading("fever", "productive cough"),
        "generate_differential": differential(named("Pneumonia", 60), named("Influenza", 30)),
        "check_evidence": weighing(F1=1, F2=1),
        "reflect": reflection(),
        "conclude": answer("Pneumonia"),
    }

    async def work() -> None:
        cases = [FREE.model_copy(update={"id": name}) for name in ("one", "two")]
        async for _ in run(cases, ScriptedChatModel(script=script), out=folder):
            pass

    asyncio.run(work())
    return folder


def test_what_cannot_be_told_is_counted_with_its_reason(tmp_path):
    folder = free_form_run(tmp_path / "free")
    traces = traces_of(folder)
    long = traces[0].model_copy(update={"answer": "word " * 60})
    copy_run(folder, tmp_path / "long", [long, *traces[1:]])
    config = GateConfig(
        correct=Correct(enabled=False),
        evidence=Evidence(enabled=False),
        near_duplicates=NearDuplicates(enabled=False),
        split=Split(enabled=False),
    )
    found = made([RunSource(tmp_path / "long")], tmp_path / "set", config=config).manifest
    assert (found.accepted, found.samples) == (2, 1)
    [left_out] = found.uncompiled
    assert left_out.trace == long.id
    assert "no line of 1 to 200 characters" in left_out.why
    told = (tmp_path / "set" / "README.md").read_text(encoding="utf-8")
    assert "1 accepted traversal could not be told" in told


class Retelling:
    """Puts a word before every second monologue, and refuses the others."""

    def __init__(self) -> None:
        self.rewriter: Rewriter = Rewriter(ScriptedChatModel(model_name="teller"))
        self.by_trace: dict[str, Rewritten] = {}

    def __call__(self, compiled: Any) -> "Retelling":
        for number, (trace, sample) in enumerate(compiled):
            text = sample.messages[-1].content
            taken = number % 2 == 0
            self.by_trace[trace.id] = Rewritten(
                trace.id, f"Well. {text}" if taken else text, taken, (), 1, trace.usage
            )
        return self


def test_rewritings_stand_where_they_were_accepted_and_are_counted(runs, tmp_path):
    found = made(runs, tmp_path / "set", "longmonolog", retell=Retelling())
    told = found.manifest.rewriting
    assert told
    assert (told.model, told.asked, told.accepted, told.share) == ("teller", 16, 8, 0.5)
    assert found.manifest.train.rewritten + found.manifest.validation.rewritten == 8
    for side in ("train", "validation"):
        for one in read_samples(tmp_path / "set" / f"{side}.jsonl", "messages"):
            assert one.messages[-1].content.startswith("Well. ") == (one.meta.wording == "rewritten")
    assert "8 (50.0%) passed the check" in (tmp_path / "set" / "README.md").read_text(encoding="utf-8")
    assert made(runs, tmp_path / "set", "longmonolog", retell=Retelling()).state == "same"
    with pytest.raises(JourneySetError, match="the rewritings were others"):
        made(runs, tmp_path / "set", "longmonolog")
    with pytest.raises(ValueError, match="only 'longmonolog' is rewritten"):
        made(runs, tmp_path / "other", "longstep", retell=Retelling())


@dataclass(frozen=True)
class Passed:
    """A pass of a rewriter over the monologues."""

    rewriter: Rewriter
    by_trace: Mapping[str, Rewritten]


def retelling(said: Callable[[str], str], folder: Path) -> Retell:
    """Has a scripted model rewrite: what it says follows from the template."""

    def reply(request: Request) -> str:
        found = re.search(r"<data>\n(.*?)\n</data>", prompt_of(request), re.DOTALL)
        assert found
        return said(found[1])

    def retell(compiled: Any) -> Passed:
        drafts = [draft_of(trace, sample) for trace, sample in compiled]
        model = ScriptedChatModel(script={"rewrite": reply}, model_name="teller")
        chosen = Rewriter(model, patience=AT_ONCE)

        async def work() -> dict[str, Rewritten]:
            with RewriteLog(folder) as log:
                async with aclosing(rewrite(drafts, chosen, log)) as found:
                    return {one.trace: one async for one in found}

        return Passed(chosen, asyncio.run(work()))

    return retell


ASKED = case(99, id="test-3")
"""A question of the test set."""
REMEMBERED = " ".join(ASKED.vignette.split()[10:40])
LIKE_IT = prose(Random(7), 30)


def chosen_for(template: str) -> bool:
    """Whether a monologue is one of those to which something is added: about half of them."""
    return zlib.crc32(template.encode()) % 2 == 0


def adding(words: str) -> Callable[[str], str]:
    """Rewrites every monologue, and puts words into some of them."""

    def said(template: str) -> str:
        added = f"I remember {words}.\n\n" if chosen_for(template) else ""
        return f"Let me see.\n\n{added}{template}"

    return said


def monologues(folder: Path) -> dict[str, Any]:
    """Trace id to sample, of both sides."""
    return {
        one.meta.trace: one
        for side in ("train", "validation")
        for one in read_samples(folder / f"{side}.jsonl", "messages")
    }


def test_a_rewriting_that_quotes_a_test_question_gives_way_to_the_template(runs, tmp_path):
    held = held_out(ASKED)
    retell = retelling(adding(REMEMBERED), tmp_path / "log")
    found = made(runs, tmp_path / "set", "longmonolog", held_out=held, retell=retell)
    made(runs, tmp_path / "plain", "longmonolog", held_out=held)
    plain, told = monologues(tmp_path / "plain"), monologues(tmp_path / "set")
    quoting = {name for name, one in plain.items() if chosen_for(one.messages[-1].content)}
    assert 0 < len(quoting) < len(plain) == 16
    for name, one in told.items():
        assert REMEMBERED not in one.messages[-1].content
        if name in quoting:
            assert one == plain[name]
        else:
            assert one.messages[-1].content == f"Let me see.\n\n{plain[name].messages[-1].content}"
            assert one.meta.wording == "rewritten"
    figures = found.manifest.rewriting
    assert figures
    accepted = 16 - len(quoting)
    assert (figures.asked, figures.accepted, figures.share) == (16, accepted, accepted / 16)
    assert figures.refusals == {"test_question": len(quoting)}
    assert found.manifest.train.rewritten + found.manifest.validation.rewritten == accepted
    again = made(runs, tmp_path / "set", "longmonolog", held_out=held, retell=retell)
    assert again.state == "same"


def test_its_clean_twin_is_taken(runs, tmp_path):
    retell = retelling(adding(LIKE_IT), tmp_path / "log")
    figures = made(
        runs, tmp_path / "set", "longmonolog", held_out=held_out(ASKED), retell=retell
    ).manifest.rewriting
    assert figures
    assert (figures.asked, figures.accepted, figures.refusals) == (16, 16, {})


def test_a_rewriting_is_compared_by_the_gates_own_settings(runs, tmp_path):
    """The rule off; and another threshold, above the 18 n-grams of 30 words."""
    for name, rule in (
        ("off", Decontamination(enabled=False)),
        ("high", Decontamination(run=19, containment=0.5)),
    ):
        config = CONFIG.model_copy(update={"decontamination": rule})
        retell = retelling(adding(REMEMBERED), tmp_path / name / "log")
        made(
            runs,
            tmp_path / name / "set",
            "longmonolog",
            config=config,
            held_out=held_out(ASKED),
            retell=retell,
        )
        told = monologues(tmp_path / name / "set").values()
        assert {one.meta.wording for one in told} == {"rewritten"}
        assert any(REMEMBERED in one.messages[-1].content for one in told)


def test_what_the_case_itself_says_may_be_retold(tmp_path):
    """A case that shares a passage with a test question, too little to be one."""
    vignette = f"Patient 0. {prose(Random(1), 80)}. {REMEMBERED}. {prose(Random(2), 80)}."
    row = entry(case(0, vignette=vignette), "A")
    source = [RunSource(make_run(tmp_path / "run", [row]), [row])]
    config = CONFIG.model_copy(update={"split": Split(enabled=False)})
    rule = Decontamination(containment=0.9)
    config = config.model_copy(update={"decontamination": rule})
    retell = retelling(lambda text: f"Let me see.\n\nI read {REMEMBERED}.\n\n{text}", tmp_path / "log")
    figures = made(
        source, tmp_path / "set", "longmonolog", config=config, held_out=held_out(ASKED), retell=retell
    ).manifest.rewriting
    assert figures
    assert (figures.asked, figures.accepted) == (1, 1)


def test_one_gating_serves_several_styles(runs, tmp_path):
    gated = gate(runs, CONFIG, held_out=NOTHING_HELD_OUT)
    for style in ("cot", "longstep"):
        write_journeys(gated, SetSettings(style=style, gate=CONFIG), tmp_path / style)
    made(runs, tmp_path / "alone", "longstep")
    assert contents(tmp_path / "longstep") == contents(tmp_path / "alone")


LOADING = """
import json, sys
from datasets import load_dataset
cache, room = sys.argv[1:]
for name in ("messages", "sharegpt"):
    whole = load_dataset(f"{room}/{name}", cache_dir=cache)
    print(json.dumps({side: data.num_rows for side, data in whole.items()}))
    files = {side: f"{room}/undated-{name}/{side}.jsonl" for side in whole}
    for side, data in load_dataset("json", data_files=files, cache_dir=cache, chunksize=2000).items():
        assert data[:] == load_dataset(f"{room}/undated-{name}", cache_dir=cache)[side][:]
    features = whole["train"].features
    assert features["meta"]["case"].dtype == "string", features
    dated = [row["meta"]["case"] for data in whole.values() for row in data if row["meta"]["case"][:2] == "20"]
    print(json.dumps(sorted(set(dated))))
    print(json.dumps(whole["train"][0], sort_keys=True))
mixed = load_dataset("json", data_files=f"{room}/mixed.jsonl", split="train", cache_dir=cache, chunksize=2000)
print(json.dumps([row["meta"]["adapter"] for row in mixed]))
"""


def test_datasets_loads_a_set_by_its_folder_and_by_its_files(runs, tmp_path):
    """Blocks are smaller than a line, so that each infers its types from one sample alone."""
    pytest.importorskip("datasets")
    for form in ("messages", "sharegpt"):
        made(runs, tmp_path / form, format=form)
        made(runs[:1], tmp_path / f"undated-{form}", format=form)
    [plain, *_] = read_samples(tmp_path / "messages" / "train.jsonl", "messages")
    tuned = replace(plain, meta=plain.meta.model_copy(update={"adapter": "mine", "tries": 2}))
    lines = [line_of(one, "messages") + "\n" for one in (plain, tuned)]
    (tmp_path / "mixed.jsonl").write_text("".join(lines), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", LOADING, str(tmp_path / "cache"), str(tmp_path)],
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in done.stdout.splitlines()]
    known = read_set(tmp_path / "messages")
    for rows, dated, first, form in ((*told[:3], "messages"), (*told[3:6], "sharegpt")):
        assert rows == {"train": known.train.samples, "validation": known.validation.samples}
        assert dated == [row.case.id for row in DATED]
        line = (tmp_path / form / "train.jsonl").read_text(encoding="utf-8").splitlines()[0]
        assert first == json.loads(line)
    assert told[6] == ["", "mine"]
