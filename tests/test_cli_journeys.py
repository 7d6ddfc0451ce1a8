"""`ddxgraph journeys` as a user meets it: two streams, exit codes, sets made and looked at."""

import json
import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from commandline import Done, ddxgraph
from gated import LETTERS, case, entry, make_run
from journeys import prompt_of
from scripted_server import scripted_server

from ddxgraph.cli.journeys.inspect import printable
from ddxgraph.common.extras import install
from ddxgraph.training.gate.config import GateConfig, read_config
from ddxgraph.training.sets.inspection import Inspection
from ddxgraph.training.styles.registry import style_names

ROWS = [entry(case(number), LETTERS[number % 4]) for number in range(12)]
CONFIG = """
[decontamination]
enabled = false
[balance]
enabled = false
[split]
validation_share = 0.3
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A run of twelve cases, every third journey with a backtrack; its case file, and the gate's settings."""
    folder = tmp_path_factory.mktemp("journeys")
    lines = [{**row.case.model_dump(mode="json"), "answer": row.gold.answer} for row in ROWS if row.gold]
    for name, some in (("cases.jsonl", lines), ("four.jsonl", lines[:4])):
        (folder / name).write_text("".join(json.dumps(line) + "\n" for line in some))
    (folder / "gate.toml").write_text(CONFIG)
    make_run(folder / "pilot", ROWS)
    make_run(folder / "inspect", ROWS[:4], model="b-model")
    return folder


@pytest.fixture
def journeys(place, tmp_path):
    """The command, with an empty data folder."""

    def run(*args: Any, env: dict[str, str] | None = None) -> Done:
        known = {"DDXGRAPH_CACHE": str(tmp_path / "cache"), "COLUMNS": "100", **(env or {})}
        return ddxgraph("journeys", *args, env=known)

    return run


@pytest.fixture
def make(place, journeys):
    """The command on the run."""

    def run(*args: Any, run: str = "pilot") -> Done:
        return journeys(place / run, "--cases", place / "cases.jsonl", "--config", place / "gate.toml", *args)

    return run


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def said(done: Done) -> str:
    return " ".join(done.stderr.split())


def test_a_set_is_made_and_told_of(make, tmp_path):
    done = make("--style", "longstep", "--out", tmp_path / "set")
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.rstrip() for line in done.stdout.splitlines()]
    assert " traversals read         12" in lines
    assert " accepted                12" in lines
    assert "off: decontamination, balance" in lines
    assert "NOT DECONTAMINATED: make no claim on any benchmark." in lines
    assert any(line.startswith("  train: ") and "telling a backtrack" in line for line in lines)
    assert f"  next: ddxgraph journeys inspect {tmp_path}/set" in lines
    assert "not a medical device" in done.stdout
    assert names(tmp_path / "set") == {
        "train.jsonl",
        "validation.jsonl",
        "README.md",
        "gate.md",
        "gate.json",
        "journeys.json",
    }


def test_what_a_rule_took_out_is_told_with_its_reason(make, tmp_path):
    done = make("--style", "cot", "--out", tmp_path / "set", "--min-backtracks", "1")
    assert done.returncode == 0
    assert "length             8     4  it has too few backtracks" in done.stdout
    assert read_gate(tmp_path / "set").length.min_backtracks == 1


def read_gate(folder: Path) -> GateConfig:
    told = json.loads((folder / "journeys.json").read_text(encoding="utf-8"))
    return GateConfig.model_validate(told["settings"]["gate"])


def test_again_is_the_same_and_another_needs_overwrite(make, tmp_path):
    args = ("--style", "longmonolog", "--out", tmp_path / "set")
    make(*args)
    again = make(*args)
    assert again.returncode == 0
    assert "was there already and is the same" in again.stdout
    other = make(*args, "--seed", 1)
    assert (other.returncode, other.stdout) == (2, "")
    assert "holds another set of journeys: seed was 0, now 1. Nothing was changed." in said(other)
    assert make(*args, "--seed", 1, "--overwrite").returncode == 0


def test_several_styles_at_once_go_into_folders_of_their_names(make, tmp_path):
    styles = [part for style in style_names() for part in ("--style", style)]
    done = make(*styles, "--out", tmp_path / "sets", "--json")
    assert done.returncode == 0
    told = json.loads(done.stdout)
    assert [one["settings"]["style"] for one in told["sets"]] == list(style_names())
    assert names(tmp_path / "sets") == set(style_names())
    assert told["gate"]["accepted"]["journeys"] == 12
    make("--style", "graph", "--out", tmp_path / "alone")
    for name in names(tmp_path / "alone"):
        assert (tmp_path / "alone" / name).read_bytes() == (tmp_path / "sets" / "graph" / name).read_bytes()


def test_every_style_is_named_in_the_help(journeys):
    told = " ".join(journeys("--help", env={"COLUMNS": "200"}).stdout.split())
    assert f"How a journey is told: {', '.join(style_names())}." in told


def test_nothing_to_train_on_is_exit_code_1_with_the_report(make, tmp_path):
    done = make("--style", "longstep", "--out", tmp_path / "set", "--min-backtracks", "9")
    assert done.returncode == 1
    assert "no journey was accepted" in said(done)
    assert f"{tmp_path}/set/gate.md says why" in said(done)
    assert names(tmp_path / "set") == {"gate.md", "gate.json", "journeys.json"}
    looked = ddxgraph("journeys", "inspect", tmp_path / "set")
    assert looked.returncode == 0
    assert "no sample; of 12 traversals the gate accepted none" in looked.stdout


def test_all_in_validation_is_nothing_to_train_on(place, journeys, tmp_path):
    (tmp_path / "gate.toml").write_text(CONFIG.replace("0.3", "1.0"))
    done = journeys(
        place / "pilot",
        "--cases",
        place / "cases.jsonl",
        "--config",
        tmp_path / "gate.toml",
        *("--style", "cot", "--out", tmp_path / "set"),
    )
    assert done.returncode == 1
    assert "12 journeys accepted, but all of them are for validation" in said(done)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--style", "cot", "--tries", "2"], "tries is for longstep and longmonolog, not for cot"),
        (["--style", "cot", "--rewrite"], "--rewrite is for longmonolog"),
        (["--style", "haiku"], "there is no style 'haiku': choose one of longstep, "),
        (["--style", "cot", "--format", "csv"], "no form 'csv': choose one of messages, sharegpt"),
        (["--style", "cot", "--config", "nowhere.toml"], "cannot read nowhere.toml"),
    ],
)
def test_what_cannot_be_asked_for_is_one_sentence(make, tmp_path, args, words):
    done = make("--out", tmp_path / "set", *args)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in " ".join(said(done).replace("│", " ").split())
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize(
    ("run", "words"),
    [("nowhere", "nowhere is not a run folder"), ("cases.jsonl", "not a run folder")],
)
def test_what_is_no_run_is_one_sentence(make, tmp_path, run, words):
    done = make("--style", "cot", "--out", tmp_path / "set", run=run)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in said(done)


def test_a_run_without_gold_answers_says_so(place, journeys, tmp_path):
    done = journeys(
        place / "pilot", "--config", place / "gate.toml", "--style", "cot", "--out", tmp_path / "set"
    )
    assert done.returncode == 2
    assert "cannot tell what is correct" in said(done)
    assert "--cases" in said(done)


def test_without_the_test_sets_it_says_how_to_get_them(place, journeys, tmp_path):
    done = journeys(
        place / "pilot", "--cases", place / "cases.jsonl", "--style", "cot", "--out", tmp_path / "set"
    )
    assert done.returncode == 2
    assert "must be kept clear of medqa test" in said(done)
    assert not (tmp_path / "set").exists()


def test_a_least_number_of_backtracks_that_contradicts_the_config_is_said(place, journeys, tmp_path):
    (tmp_path / "gate.toml").write_text(CONFIG + "[length]\nmax_backtracks = 1\n")
    done = journeys(
        place / "pilot",
        *("--style", "cot", "--out", tmp_path / "set", "--config", tmp_path / "gate.toml"),
        *("--min-backtracks", "2"),
    )
    assert done.returncode == 2
    assert "--min-backtracks 2: max_backtracks = 1 is below min_backtracks = 2" in said(done)


def test_no_set_is_written_into_a_run(place, make):
    before = names(place / "pilot")
    done = make("--style", "cot", "--out", place / "pilot" / "set")
    assert done.returncode == 2
    assert "lies in the run folder" in said(done)
    assert names(place / "pilot") == before


def test_the_default_settings_are_those_of_the_gate(journeys, tmp_path):
    done = journeys("default-config")
    assert done.returncode == 0
    (tmp_path / "gate.toml").write_text(done.stdout)
    assert read_config(tmp_path / "gate.toml") == GateConfig()


def test_help_names_the_commands_of_its_own(journeys):
    done = journeys("--help")
    assert done.returncode == 0
    told = " ".join(done.stdout.split())
    assert "│ inspect Show a set of journeys" in told
    assert "│ default-config Print the gate's default settings" in told
    assert "--min-backtracks" in told
    looked = journeys("inspect", "--help")
    assert "journeys inspect [OPTIONS] {DIR}" in looked.stdout
    assert "journeys" in ddxgraph("--help").stdout


def test_a_run_folder_called_inspect_is_given_with_its_path(place, make, tmp_path, monkeypatch):
    monkeypatch.chdir(place)
    done = ddxgraph(
        *("journeys", "./inspect", "--cases", "four.jsonl", "--config", "gate.toml", "--quiet"),
        *("--style", "cot", "--out", tmp_path / "set"),
    )
    assert done.returncode == 0
    assert "from b-model: 4 samples" in ddxgraph("journeys", "inspect", tmp_path / "set").stdout


def test_monologues_are_rewritten_by_a_model_and_the_check_decides(place, make, tmp_path):
    def told(request: Any) -> str:
        text = prompt_of(request).split("<data>\n")[1].split("\n</data>")[0]
        return f"Let me see.\n\n{text}" if "Patient 1." not in text else "It is asthma.\n\nAnswer: C"

    args = ("--style", "longmonolog", "--out", tmp_path / "set", "--rewrite", "--rewrites", tmp_path)
    with scripted_server({"generate": told}) as served:
        done = make(*args, "--base-url", served.base_url, "--patience", 0)
        asked = len(served.model.requests)
        again = make(*args, "--base-url", served.base_url, "--patience", 0)
        assert len(served.model.requests) == asked
    assert done.returncode == 0
    assert "of 12 rewritings accepted" in said(done)
    assert "was there already and is the same" in again.stdout
    looked = json.loads(ddxgraph("journeys", "inspect", tmp_path / "set", "--json").stdout)
    rewriting = looked["manifest"]["rewriting"]
    assert rewriting["asked"] == 12
    assert looked["all"]["rewritten"] == rewriting["accepted"] > 0
    assert (tmp_path / "rewrites.jsonl").exists()


@pytest.fixture
def a_set(make, tmp_path) -> Path:
    make("--style", "longstep", "--out", tmp_path / "set")
    return tmp_path / "set"


def test_inspect_shows_figures_and_samples(a_set, journeys):
    done = journeys("inspect", a_set, "--samples", 2)
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.rstrip() for line in done.stdout.splitlines()]
    assert lines[0] == "set: longstep, format messages, seed 0"
    assert re.search(r"^journeys with a backtrack +4 \(33%\) ", done.stdout, re.MULTILINE)
    assert "words of the assistant in a sample" in lines
    assert sum(line.startswith(("train.jsonl, line", "validation.jsonl, line")) for line in lines) == 2
    assert sum(line == "assistant" for line in lines) == 2
    assert "\x1b" not in done.stdout
    assert max(map(len, lines)) <= 100
    assert journeys("inspect", a_set, "--samples", 2).stdout == done.stdout
    assert journeys("inspect", a_set, "--samples", 2, "--seed", 1).stdout != done.stdout


def test_inspect_as_json_is_the_whole_of_it(a_set, journeys):
    done = journeys("inspect", a_set, "--json", "--samples", 1)
    found = Inspection.model_validate_json(done.stdout)
    assert (found.all.samples, len(found.shown), found.changed) == (12, 1, [])


def test_inspect_shows_anybodys_text_as_it_is(a_set, journeys):
    """Neither markup nor commands to the terminal; and the set is told to be another one."""
    path = a_set / "train.jsonl"
    first, *others = path.read_text(encoding="utf-8").splitlines()
    sample = json.loads(first)
    sample["messages"][-1]["content"] = "[bold]x[/bold] [/red] :smile:\x1b[2J\u202eevil\x07 [link=a]b"
    path.write_text("".join(line + "\n" for line in [json.dumps(sample), *others]), encoding="utf-8")
    done = journeys("inspect", a_set, "--samples", 99)
    assert done.returncode == 1
    assert "train.jsonl was changed" in said(done)
    assert r"  [bold]x[/bold] [/red] :smile:\u001b[2J\u202eevil\u0007 [link=a]b" in done.stdout
    assert "\x1b" not in done.stdout


def test_inspect_refuses_what_is_foreign(a_set, journeys, place):
    (a_set / "validation.jsonl").write_text('{"text": "x"}\n')
    done = journeys("inspect", a_set)
    assert (done.returncode, done.stdout) == (2, "")
    assert "validation.jsonl, line 1: no sample in the format 'messages'" in said(done)
    for folder in (place / "pilot", place / "nowhere"):
        done = journeys("inspect", folder)
        assert (done.returncode, done.stdout) == (2, "")
        assert "is no set of journeys" in said(done)


def test_printable_keeps_words_and_lines():
    assert printable("é 病\n\tx\r\ny") == "é 病\n\tx\ny"
    assert printable("a\rb\x9b") == r"a\u000db\u009b"


def test_without_the_extra_it_says_what_to_install_and_inspect_needs_none(place, a_set):
    making = ["journeys", str(place / "pilot"), "--style", "cot", "--out", "x"]
    script = (
        "import json, sys\n"
        "sys.modules.update(dict.fromkeys(['numpy', 'datasketch']))\n"  # as if they were not there
        "from ddxgraph.cli import app\n"
        "for args in json.loads(sys.argv[1]):\n"
        "    try:\n"
        "        app(args)\n"
        "    except SystemExit as ended:\n"
        "        print('ended', ended.code)\n"
    )
    looking = ["journeys", "inspect", str(a_set), "--json"]
    done = subprocess.run(
        [sys.executable, "-c", script, json.dumps([making, looking])],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert install("journeys") in done.stderr
    first, *_, last = done.stdout.splitlines()
    assert (first, last) == ("ended 2", "ended 0")


def test_ctrl_c_ends_it_with_nothing_left(place, tmp_path):
    """The case file is a pipe, so that it is known when the command is at work. It is fed to the end: a command
    that waits in `read` would not hear of a signal that came just before."""
    pipe = tmp_path / "cases.jsonl"
    os.mkfifo(pipe)
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "ddxgraph", "journeys", str(place / "pilot"), "--cases", str(pipe)),
            *("--config", str(place / "gate.toml"), "--style", "longmonolog", "--out", str(tmp_path / "set")),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Shells start what runs in the background with SIGINT ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    with pipe.open("w") as cases, suppress(BrokenPipeError):
        process.send_signal(signal.SIGINT)
        for number in range(1_000_000):
            cases.write(f'{{"id": "endless-{number}", "vignette": "A case."}}\n')
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", "ddxgraph: interrupted\n")
    assert names(tmp_path) == {"cases.jsonl"}
