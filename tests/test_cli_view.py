"""`ddxgraph view` as a user meets it: which page is written, where, what is said, exit codes."""

import errno
import json
import re
import sys
import webbrowser
from pathlib import Path

import pytest
from commandline import Done
from commandline import ddxgraph as command
from scoredruns import selection
from scoring import alter_manifest
from viewed import as_another, back_and_forth, many, once_back, straight, write_cases, write_run

import ddxgraph.cli.view  # noqa: F401 - its names are changed below
from ddxgraph import Trace
from ddxgraph.batch.folder import TRACES
from ddxgraph.common.jsonl import line_of
from ddxgraph.common.words import NOTICE

VIEW = sys.modules["ddxgraph.cli.view"]


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """A working folder with two runs and their cases; each case has one trace in each."""
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "runs" / "base", many(5))
    changed = [as_another(back_and_forth(), 1), as_another(once_back(), 0)]
    write_run(tmp_path / "runs" / "tuned", changed)
    write_cases(tmp_path / "cases.jsonl", many(5))
    return tmp_path


def view(*args: object, env: dict[str, str] | None = None) -> Done:
    done = command("view", *args, env=env)
    assert "Traceback" not in done.stdout + done.stderr
    return done


def viewed(*args: object) -> str:
    """The page that a command writes."""
    done = view(*args)
    assert done.returncode == 0, done.stderr
    page = Path(done.stdout.strip()).read_text(encoding="utf-8")
    assert NOTICE in page
    return page


def refused(*args: object) -> str:
    """What is said of a command that cannot be done."""
    done = view(*args)
    assert done.returncode == 2
    assert done.stdout == ""
    said = " ".join(done.stderr.split())
    assert "ddxgraph: " in said
    return said.rpartition("ddxgraph: ")[2]


def table_of(page: str) -> list[dict]:
    (text,) = re.findall(r'<script type="text/plain" id="table">([^<]*)</script>', page)
    table = json.loads(text)
    names = [column["title"] for column in table["columns"]]
    return [dict(zip(names, row, strict=True)) for row in table["rows"]]


def heading(page: str) -> str:
    return re.findall(r"<h1>(.*?)</h1>", page)[0]


def made(place: Path) -> set[str]:
    """What was written in the working folder."""
    return {path.name for path in place.iterdir()} - {"runs", "cases.jsonl"}


def trace_id(number: int) -> str:
    return f"{number:032x}"


def test_a_run_is_written_as_one_page_under_its_name_in_the_working_folder(place):
    done = view("runs/base")
    assert (done.returncode, done.stdout) == (0, "base.html\n")
    assert made(place) == {"base.html"}
    assert len(table_of((place / "base.html").read_text(encoding="utf-8"))) == 5


def test_a_trace_is_found_by_the_beginning_of_its_id(place):
    page = viewed("runs/base", "--trace", trace_id(2))
    assert heading(page) == "case-002"
    assert made(place) == {"case-002-00000000.html"}
    write_run(place / "runs" / "other", [as_another(straight(), 0, id="beef01"), as_another(straight(), 1)])
    assert heading(viewed("runs/other", "--trace", "beef")) == "case-000"


def test_a_trace_is_found_by_its_case(place):
    assert heading(viewed("runs/base", "--trace", "case-003")) == "case-003"


def test_a_name_for_several_traces_is_refused_with_what_there_is(place):
    said = refused("runs/base", "--trace", "0000")
    assert said.startswith("'0000' matches 5 traces of runs/base, such as ")
    assert trace_id(0) in said
    assert made(place) == set()


def test_a_name_for_no_trace_is_refused(place):
    assert "no trace of runs/base has 'zz' as its case id" in refused("runs/base", "--trace", "zz")


def test_a_file_of_one_trace_is_shown_as_such(place):
    (place / "one.jsonl").write_text(line_of(back_and_forth()) + "\n", encoding="utf-8")
    page = viewed("one.jsonl")
    assert heading(page) == "leg"
    assert 'id="table"' not in page


def test_two_files_of_one_trace_each_are_shown_side_by_side(place):
    for name, trace in (("a.jsonl", straight()), ("b.jsonl", once_back())):
        (place / name).write_text(line_of(trace) + "\n", encoding="utf-8")
    assert "Their paths diverge after step 7" in viewed("a.jsonl", "b.jsonl")


def test_two_runs_are_shown_side_by_side(place):
    done = view("runs/base", "runs/tuned", "--cases", "cases.jsonl")
    assert (done.returncode, done.stdout) == (0, "base-and-tuned.html\n")
    rows = {row["Case"]: row for row in table_of((place / "base-and-tuned.html").read_text(encoding="utf-8"))}
    assert {case: row["Flip"] for case, row in rows.items()} == {
        "case-000": "became incorrect",
        "case-001": "became correct",
        "case-002": "not judged",
        "case-003": "not judged",
        "case-004": "not judged",
    }


def test_two_traces_of_a_run_are_shown_side_by_side(place):
    page = viewed("runs/base", "--trace", "case-001", "--trace", "case-002")
    assert "Their paths diverge after step 7, reflection." in page
    assert made(place) == {"case-001-00000000-00000000.html"}


def test_one_case_of_two_runs_is_shown_side_by_side(place):
    page = viewed("runs/base", "runs/tuned", "--trace", "case-000")
    assert 'class="journey pair"' in page
    assert 'id="a-15"' in page
    again = viewed("runs/base", "runs/tuned", "--trace", "case-000", "--trace", "case-001")
    assert again != page


def test_three_traces_are_too_many(place):
    said = refused("runs/base", "--trace", "a", "--trace", "b", "--trace", "c")
    assert said == "3 traces: at most two stand side by side"


@pytest.mark.parametrize("extra", [[], ["--trace", "case-001"], ["runs/tuned"]], ids=["run", "trace", "pair"])
def test_a_page_is_written_where_it_is_wanted(place, extra):
    done = view("runs/base", *extra, "--out", "deep/er/page.html")
    assert (done.returncode, done.stdout) == (0, "deep/er/page.html\n")
    done = view("runs/base", *extra, "--out", "deep/folder")
    assert (done.returncode, done.stdout) == (0, "deep/folder/index.html\n")
    assert made(place) == {"deep"}
    assert NOTICE in (place / "deep" / "folder" / "index.html").read_text(encoding="utf-8")


def test_a_large_run_becomes_a_folder_unless_one_file_is_asked_for(place, monkeypatch):
    monkeypatch.setattr(VIEW, "_ONE_FILE", 4)
    assert view("runs/base").stdout == "base-pages/index.html\n"
    assert (place / "base-pages" / "blocks" / "0.js").exists()
    assert view("runs/tuned").stdout == "tuned.html\n"
    assert view("runs/base", "runs/tuned").stdout == "base-and-tuned-pages/index.html\n"
    assert view("runs/base", "--out", "all.html").stdout == "all.html\n"
    assert view("runs/base").returncode == 0, "written again over the earlier one"


def test_traces_are_judged_by_a_case_file(place):
    rows = table_of(viewed("runs/base", "--cases", "cases.jsonl"))
    assert {row["Case"]: row["Verdict"] for row in rows} == {
        "case-000": "correct",
        "case-001": "incorrect",
        "case-002": "incorrect",
        "case-003": "abstained",
        "case-004": "error",
    }
    assert {row["Gold"] for row in rows} == {"C"}
    page = viewed("runs/base", "--cases", "cases.jsonl", "--trace", "case-001")
    assert "Gold answer: <strong>C. Pulmonary embolism" in page


def test_a_case_file_of_other_content_judges_nothing(place):
    others = [
        trace.model_copy(update={"case": trace.case.model_copy(update={"question": "And what else?"})})
        for trace in many(5)
    ]
    write_cases(place / "others.jsonl", others)
    rows = table_of(viewed("runs/base", "--cases", "others.jsonl"))
    assert {row["Verdict"] for row in rows} == {"not judged", "abstained", "error"}
    assert {row["Gold"] for row in rows} == {""}


def test_a_page_without_gold_answers_is_complete_and_why_is_said(place):
    done = view("runs/base")
    assert done.returncode == 0
    assert "without gold answers: give the case file that holds them: --cases FILE" in done.stderr
    assert view("runs/base", "--quiet").stderr == ""
    assert view("runs/base", "--cases", "cases.jsonl").stderr == ""


def test_a_benchmark_that_is_not_there_is_said_and_is_no_error(place):
    alter_manifest(place / "runs" / "base", selection=selection())
    done = view("runs/base", env={"DDXGRAPH_CACHE": str(place / "cache")})
    assert (done.returncode, done.stdout) == (0, "base.html\n")
    assert "without gold answers: " in done.stderr
    assert "medqa" in done.stderr


def test_a_blind_page_begins_with_gold_out_of_sight(place):
    gold = ["--cases", "cases.jsonl"]
    assert 'class="list blind"' in viewed("runs/base", *gold, "--blind")
    assert 'class="list"' in viewed("runs/base", *gold)
    assert 'class="list blind"' in viewed("runs/base", "runs/tuned", *gold, "--blind")
    assert 'class="journey blind"' in viewed("runs/base", *gold, "--blind", "--trace", "case-001")
    assert 'class="journey pair blind"' in viewed(
        "runs/base", "runs/tuned", *gold, "--blind", "--trace", "case-001"
    )


@pytest.mark.parametrize(
    "args",
    [
        ["runs/base"],
        ["runs/base", "--trace", "case-002"],
        ["runs/base", "runs/tuned", "--cases", "cases.jsonl"],
    ],
    ids=["run", "trace", "pair"],
)
def test_the_same_command_gives_the_same_bytes(place, args):
    first, second = (view(*args, "--quiet") for _ in range(2))
    assert first == second
    pages = [viewed(*args) for _ in range(2)]
    assert pages[0] == pages[1]


def test_what_cannot_be_read_is_said(place):
    assert "no file or folder 'nowhere'" in refused("nowhere")
    assert "run.json" in refused("runs")
    assert "no file 'none.jsonl'" in refused("runs/base", "--cases", "none.jsonl")
    (place / "bad.jsonl").write_text("no json\n")
    assert "bad.jsonl, line 1: not a trace of version 1" in refused("bad.jsonl")
    with (place / "runs" / "base" / TRACES).open("a") as file:
        file.write('{"version": 3}\n')
    assert "traces.jsonl, line 5: not a trace" in refused("runs/base")
    assert made(place) == {"bad.jsonl"}


def test_a_trace_that_turns_out_to_be_none_is_said(place):
    path = place / "runs" / "base" / TRACES
    path.write_text(path.read_text().replace('"node":"reflect"', '"node":"nowhere"', 1))
    assert "not a trace of version 1 (steps." in refused("runs/base")
    assert "not a trace of version 1 (steps." in refused("runs/base", "--trace", "case-000")
    assert made(place) == set()


def test_a_last_line_that_is_being_written_is_left_out(place):
    with (place / "runs" / "base" / TRACES).open("a") as file:
        file.write(line_of(straight())[:200])
    assert len(table_of(viewed("runs/base"))) == 5


@pytest.mark.parametrize("extra", [[], ["--trace", "case-001"], ["runs/tuned"]], ids=["run", "trace", "pair"])
@pytest.mark.parametrize("out", ["file/page.html", "file/folder"])
def test_a_place_that_cannot_be_written_is_said(place, extra, out):
    (place / "file").write_text("mine")
    said = refused("runs/base", *extra, "--out", out)
    assert said.startswith("cannot write the page: ")
    assert "file" in said
    assert (place / "file").read_text() == "mine"


def test_a_full_disk_is_said(place, monkeypatch):
    def full(path: Path, text: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("ddxgraph.common.files.write_whole", full)
    assert refused("runs/base", "--trace", "case-001") == "cannot write the page: No space left on device"


def test_a_folder_of_other_files_is_not_written_into(place):
    (place / "letters").mkdir()
    (place / "letters" / "will.txt").write_text("mine")
    assert "letters holds files other than pages" in refused("runs/base", "--out", "letters")
    assert "file: name a folder" in refused("runs/base", "--out", "letters/will.txt")
    assert [path.name for path in (place / "letters").iterdir()] == ["will.txt"]


@pytest.mark.parametrize("extra", [["--out", "x.html"], ["--trace", "case-001"], ["runs/tuned"]])
def test_serving_follows_one_run_and_nothing_else(place, extra):
    said = refused("runs/base", *extra, "--serve")
    assert said == "--serve follows one run: leave the second, --trace and --out out"
    assert made(place) == set()


UNSAFE = ("../../x", "/etc/passwd", "..", "-rf", "a\\b:c|d", "病" * 60, "y" * 190, "con\u202etrol", ". .")


def unsafe(name: str, number: int) -> Trace:
    trace = as_another(straight(), number)
    case = trace.case.model_copy(update={"id": name})
    return trace.model_copy(update={"case": case, "id": f"{'ab/../' if number % 2 else 'cd'}{number}"})


@pytest.mark.parametrize("name", UNSAFE, ids=range(len(UNSAFE)))
def test_a_name_in_a_trace_does_not_decide_where_a_file_is_written(tmp_path, monkeypatch, name):
    work = tmp_path / "a" / "b" / "work"
    write_run(tmp_path / "a" / "run", [unsafe(name, 1), unsafe("other", 2)])
    work.mkdir(parents=True)
    monkeypatch.chdir(work)
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    one = view(tmp_path / "a" / "run", "--trace", name, "--quiet")
    two = view(tmp_path / "a" / "run", "--trace", name, "--trace", "other", "--quiet")
    assert (one.returncode, two.returncode) == (0, 0), one.stderr + two.stderr
    fresh = {path for path in tmp_path.rglob("*") if path.is_file()} - before
    assert fresh == {work / one.stdout.strip(), work / two.stdout.strip()}
    for path in fresh:
        assert path.parent == work
        assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,64}\.html", path.name)


def test_traces_of_a_case_with_a_long_name_have_pages_of_their_own(place):
    traces = [as_another(straight(), number, id=f"{number}{'0' * 15}", sample=number) for number in (1, 2)]
    case = traces[0].case.model_copy(update={"id": "long " * 39})
    write_run(place / "runs" / "long", [one.model_copy(update={"case": case}) for one in traces])
    names = {view("runs/long", "--trace", one.id).stdout for one in traces}
    assert len(names) == len(made(place)) == 2


def test_a_page_is_opened_when_that_is_asked_for(place, monkeypatch):
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    view("runs/base", "--open")
    assert opened == [(place / "base.html").resolve().as_uri()]
    view("runs/base")
    assert len(opened) == 1
