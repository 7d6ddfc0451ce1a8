"""`ddxgraph review` as a clinician meets it: a run's folder, a terminal or a file of answers, what is saved."""

import fcntl
import getpass
import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import termios
import unicodedata
from contextlib import suppress
from pathlib import Path

import pytest
from journeys import (
    AT_ONCE,
    CASE,
    OPTIONS,
    STRAIGHT,
    VIGNETTE,
    Whimsy,
    differential,
    named,
    reflection,
    weighing,
)
from rich.cells import cell_len
from scoring import entries, make_run
from typer.testing import CliRunner

from ddxgraph import Trace, build_graph, read_traces, solve
from ddxgraph.cli import app
from ddxgraph.cli.review.screen import TraversalScreen
from ddxgraph.common.jsonl import line_of
from ddxgraph.testing import ScriptedChatModel
from ddxgraph.training.review.file import read_reviews, reviews_of
from ddxgraph.training.review.review import Review

NODES = ("review_history", "generate_differential", "check_evidence", "reflect", "conclude")
GOLDS = ["B", "B", "A", "C"]
SAID = ["B", "C", "A", "D"]


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """Four cases, the second and the last answered wrongly; and the case file with the gold answers."""
    folder = tmp_path_factory.mktemp("made")
    rows = entries(GOLDS)
    make_run(folder / "run", rows, SAID)
    lines = ({**row.case.model_dump(mode="json"), "answer": row.gold.answer} for row in rows if row.gold)
    (folder / "cases.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    free = entries(["Pneumonia"], free=True)
    make_run(folder / "free", free, ["Pneumonia"])
    return folder


@pytest.fixture
def run(made, tmp_path) -> Path:
    return Path(shutil.copytree(made / "run", tmp_path / "run"))


@pytest.fixture
def cases(made) -> Path:
    return made / "cases.jsonl"


class Told:
    """What became of a sitting."""

    def __init__(
        self, run: Path, *args: object, keys: str = "", reviewer: str | None = "ann", width: int = 80
    ):
        users = dict.fromkeys(name for name in os.environ if name.startswith("DDXGRAPH_"))
        names = {"DDXGRAPH_REVIEWER": reviewer} if reviewer else {}
        env = {**users, **names, "COLUMNS": str(width)}
        done = CliRunner().invoke(app, ["review", str(run), *map(str, args)], input=keys, env=env)
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        self.code, self.out, self.screen = done.exit_code, done.stdout, done.stderr
        self.reviews: list[Review] = list(read_reviews(run)) if run.is_dir() and self.code != 2 else []

    @property
    def cases(self) -> list[str]:
        """The cases shown, in turn."""
        return re.findall(r"^case (\S+), sample", self.screen, re.MULTILINE)


def order_of(run: Path) -> list[Trace]:
    return list(read_traces(run / "traces.jsonl"))


def test_each_verdict_is_saved_as_it_is_given(run):
    told = Told(run, "--json", keys="a\nr 4 ten times the dose\nc d\nr\n8\n7\nno differential to speak of\n")
    assert told.code == 0, told.screen
    traces = order_of(run)
    assert [one.trace for one in told.reviews] == [trace.id for trace in traces]
    assert [(one.verdict, one.reason, one.detail) for one in told.reviews[:2]] == [
        ("accept", None, ""),
        ("reject", "dangerous_advice", "ten times the dose"),
    ]
    third = told.reviews[2]
    right = traces[2].answer == "D"
    assert (third.answer, third.verdict) == ("D", "accept" if right else "reject")
    assert (told.reviews[3].reason, told.reviews[3].detail) == ("other", "no differential to speak of")
    assert {one.reviewer for one in told.reviews} == {"ann"}
    assert all(one.blind for one in told.reviews)
    summary = json.loads(told.out)
    assert (summary["chosen"], summary["reviewed"], summary["left"], summary["saved"]) == (4, 4, 0, 4)
    assert summary["accepted"] == 1 + right
    assert "Saved: rejected (dangerous advice: ten times the dose)." in told.screen
    assert "==== 3 of 4, 1 accepted, 1 rejected ====" in told.screen


def test_a_case_and_its_journey_are_shown_without_the_gold_answer(run):
    told = Told(run, keys="q\n")
    for said in (
        "Crackles are heard over the right lower lobe.",
        "B. Pneumonia",
        "Which diagnosis?",
        "ANSWER",
    ):
        assert said in " ".join(told.screen.split())
    for title in ("1 HISTORY", "2 DIFFERENTIAL", "EVIDENCE on", "REFLECTION", "CONCLUSION"):
        assert title in told.screen
    assert "gold answer" in told.screen  # the key
    assert "GOLD" not in told.screen
    assert (told.code, told.reviews, told.out) == (
        0,
        [],
        "0 of 4 reviewed by ann: 0 accepted, 0 rejected; 4 left\n",
    )


def test_again_goes_on_and_another_reviewer_starts_anew(run):
    first = Told(run, keys="a\na\nq\n")
    second = Told(run, keys="s\na\nq\n")
    assert second.cases == [trace.case.id for trace in order_of(run)[2:]]
    assert "2 of them reviewed by you before" in second.screen
    third = Told(run, keys="a\nb\nq\n")  # the one that was skipped, and it is the last
    assert third.cases == second.cases
    assert "You accepted" in third.screen.rsplit("====", 1)[1]
    assert "you have reviewed them all: --again shows them" in Told(run).screen
    assert Told(run, "--again", keys="s\ns\ns\ns\n").cases == [trace.case.id for trace in order_of(run)]
    assert Told(run, reviewer="bob", keys="q\n").cases == first.cases[:1]


def test_back_replaces_in_effect_and_the_file_keeps_both(run):
    told = Told(run, keys="b\na\nb\nr 3\na\n")
    assert "This is the first one." in told.screen
    first, second = order_of(run)[:2]
    assert [(one.trace, one.verdict) for one in told.reviews] == [
        (first.id, "accept"),
        (first.id, "reject"),
        (second.id, "accept"),
    ]
    assert reviews_of(run)[first.id].verdict == "reject"
    assert "2 of 4 reviewed by ann: 1 accepted, 1 rejected" in told.out


def test_after_the_last_one_can_still_go_back(run):
    told = Told(run, keys="a\na\na\na\nx\nb\nr 1\nq\n")
    assert [one.verdict for one in told.reviews] == ["accept"] * 4 + ["reject"]
    assert told.reviews[-1].trace == order_of(run)[-1].id


@pytest.mark.parametrize(
    "keys",
    ["all of it\n", "\n", "r\n\n", "r\n7\n\n", "c\n\n", "c\nZ\n\n", "accept it\n", "b\n", "f 99\n", "f\n\n"],
)
def test_what_is_unclear_or_withdrawn_is_no_verdict(run, keys):
    told = Told(run, keys=keys)
    assert (told.code, told.reviews) == (0, [])
    assert len(told.cases) == 1


def test_words_do_as_well_as_letters(run):
    told = Told(run, keys="Accept\nREJECT 6\ncorrect A\nquit\n")
    assert [one.verdict for one in told.reviews][:2] == ["accept", "reject"]
    assert told.reviews[2].answer == "A"


def test_an_answer_in_words_stands_for_the_gold_answer(made, tmp_path):
    run = Path(shutil.copytree(made / "free", tmp_path / "free"))
    told = Told(run, keys="c\ng\nthe pneumonia\n")
    assert "That is no answer." in told.screen
    assert (told.reviews[0].verdict, told.reviews[0].answer) == ("accept", "the pneumonia")
    told = Told(run, reviewer="bob", keys="c lung abscess\n")
    assert (told.reviews[1].verdict, told.reviews[1].reason) == ("reject", "wrong_answer")
    assert reviews_of(run)[told.reviews[0].trace].answer == "lung abscess"


def test_a_note_goes_with_the_verdict_and_never_vanishes_unseen(run):
    told = Told(run, keys="n\nthe \x1b[31mcough\na\nn loose end\ns\nb\nb\nn better words\nq\n")
    assert [(one.verdict, one.note) for one in told.reviews] == [
        ("accept", "the \x1b[31mcough"),
        ("accept", "better words"),
    ]
    assert "\x1b" not in told.screen
    second = order_of(run)[1].id
    assert f"Not saved, since it came with no verdict: your note on trace {second}: loose end" in told.screen


def test_the_gold_answer_is_shown_after_the_verdict_and_what_follows_is_not_blind(run, cases):
    told = Told(run, "--cases", cases, keys="g\na\ng\nb\na\na\n")
    assert "once you have given your verdict" in told.screen
    one = order_of(run)[0]
    gold = GOLDS[int(one.case.id.removeprefix("case-"))]
    assert f"Gold answer of the case you judged last, {one.case.id}: {gold}. {OPTIONS[gold]}" in told.screen
    assert [review.blind for review in told.reviews] == [True, False, True]
    shown = Told(run, "--cases", cases, "--show-gold", reviewer="bob", keys="a\n")
    assert f"GOLD    {gold}. {OPTIONS[gold]}" in shown.screen
    assert not shown.reviews[-1].blind


def test_without_gold_answers_the_review_goes_on(run):
    told = Told(run, keys="a\ng\na\n")
    assert "not known (the run was made of a case file" in told.screen
    assert len(told.reviews) == 2
    asked = Told(run, "--show-gold")
    assert (asked.code, "--cases FILE" in asked.screen) == (2, True)


def test_traversals_are_chosen_by_what_they_are(run, cases):
    told = Told(run, "--only", "wrong", "--cases", cases, keys="a\na\n")
    assert sorted(told.cases) == ["case-1", "case-3"]
    assert not any(one.blind for one in told.reviews)
    told = Told(
        run, "--only", "correct", "--only", "unreviewed", "--cases", cases, reviewer="bob", keys="r 1\ns\n"
    )
    assert sorted(told.cases) == ["case-0", "case-2"]
    assert len(Told(run, "--only", "unreviewed", reviewer="cy", keys="q\n").cases) == 1
    assert "there is nothing to review" in Told(run, "--only", "backtracks").screen
    assert "there is nothing to review" in Told(run, "--only", "disputed").screen
    Told(run, "--only", "wrong", "--cases", cases, reviewer="bob", keys="r 2\n")
    assert len(Told(run, "--only", "disputed", reviewer="cy", keys="s\n").cases) == 1


def test_a_shuffled_sample_is_the_same_for_everybody_and_does_not_move_on(run):
    sample = ("--order", "shuffled", "--seed", 3, "--limit", 3)
    told = Told(run, *sample, keys="a\na\nq\n")
    assert len(told.cases) == 3
    assert "3 traversals" in told.screen
    assert Told(run, *sample, keys="q\n").cases == told.cases[2:]
    assert Told(run, *sample, reviewer="bob", keys="s\ns\ns\n").cases == told.cases
    orders = {
        tuple(Told(run, "--order", "shuffled", "--seed", n, reviewer="cy", keys="s\n" * 4).cases)
        for n in range(5)
    }
    assert len(orders) > 1


def test_a_trace_that_was_replaced_comes_again(run):
    Told(run, keys="a\na\na\na\n")
    one = order_of(run)[1]
    with (run / "traces.jsonl").open("a") as file:
        file.write(line_of(one.model_copy(update={"answer": "A"})) + "\n")
    told = Told(run, keys="r 1\n")
    assert "1 earlier reviews are of traces that were replaced since, or are gone" in told.screen
    assert told.cases == [one.case.id]
    assert reviews_of(run)[one.id].verdict == "reject"


def test_what_was_not_answered_is_left_out(made, tmp_path):
    run = make_run(tmp_path / "run", entries("BB"), ["B", ""])
    told = Told(run, keys="a\n")
    assert "1 more have no answer and are left out" in told.screen
    assert "1 of 1 reviewed" in told.out


def test_the_summary_counts_reviewers_and_their_agreement(run):
    Told(run, keys="a\na\nr 1\nc A\n")
    Told(run, reviewer="bob", keys="a\nr 5\nr 1\nq\n")
    told = json.loads(Told(run, "--summary", "--json").out)
    assert (told["answered"], told["reviewed"], told["disputed"]) == (4, 4, 1)
    ann, bob = told["reviewers"]
    assert (ann["reviewer"], ann["reviewed"], ann["answers"], bob["rejected"]) == ("ann", 4, 1, 2)
    assert bob["reasons"] == {"wrong_answer": 1, "misread_case": 1}
    (pair,) = told["agreement"]
    assert (pair["traces"], pair["agreed"]) == (3, 2)
    assert pair["kappa"] == pytest.approx(0.4)
    out = Told(run, "--summary").out
    assert (
        "bob: 3 reviewed, 3 of them blind; 1 accepted, 2 rejected (wrong answer 1, misread the case 1)" in out
    )
    assert "ann and bob: 3 in common, agreement 66.7%, Cohen's kappa 0.40" in out
    assert "0 of 4 answered traversals reviewed" in Told(made_copy(run), "--summary").out


def made_copy(run: Path) -> Path:
    copy = Path(shutil.copytree(run, run.with_name("copy")))
    (copy / "reviews.jsonl").unlink()
    return copy


def test_what_is_missing_or_broken_is_a_sentence(run, tmp_path):
    for folder, said in ((tmp_path / "nowhere", "not a run folder"), (tmp_path, "not a run folder")):
        told = Told(folder)
        assert (told.code, told.out, said in told.screen) == (2, "", True)
    (run / "reviews.jsonl").write_text("{}\n")
    told = Told(run)
    assert (told.code, "reviews.jsonl, line 1: not a review" in told.screen) == (2, True)
    assert (run / "reviews.jsonl").read_text() == "{}\n"


def test_the_reviewer_has_a_name(run, monkeypatch):
    assert f"as {getpass.getuser()}:" in Told(run, reviewer=None).screen
    assert "as Dr Ann Lee:" in Told(run, "--reviewer", " Dr  Ann Lee ").screen
    for name in (" ", "a\x1b[2Jb", "x" * 300):
        told = Told(run, "--reviewer", name)
        assert (told.code, "--reviewer NAME" in told.screen, "\x1b" in told.screen) == (2, True, False)


HOSTILE = (
    "[bold red]\x1b[2J\x1b]0;title\x07\x9b31m\u202egnirts \u2066x\r\n\x00\x08{{ x }} :smile: שלום 病"
    + "W" * 300
)


def hostile_run(run: Path) -> list[Trace]:
    """The traces of a run with such words wherever a model writes some."""
    traces = []
    for trace in order_of(run)[:2]:
        told = json.loads(line_of(trace))
        told["case"]["vignette"] += " " + "Filler. " * 900
        for step in told["steps"]:
            output = step["output"] or {}
            step["text"] = HOSTILE * 400
            for part in [
                output,
                *output.get("findings", ()),
                *output.get("hypotheses", ()),
                *output.get("weights", ()),
            ]:
                for field in (
                    "reasoning",
                    "critique",
                    "quote",
                    "rationale",
                    "reason",
                    "missing",
                    "justification",
                ):
                    if field in part:
                        part[field] = HOSTILE * 50
        traces.append(Trace.model_validate(told))
    (run / "traces.jsonl").write_text("".join(line_of(trace) + "\n" for trace in traces))
    return traces


def test_hostile_words_steer_nothing_and_break_no_layout(run):
    traces = hostile_run(run)
    assert len(line_of(traces[0])) > 1_000_000
    told = Told(run, keys="a\nf 1\nf 0\nq\n")
    assert "[bold red]" in told.screen  # as words
    assert ":smile:" in told.screen
    controls = {c for c in told.screen if unicodedata.category(c) in {"Cc", "Cs"}} | (
        set(told.screen) & {"\u202e", "\u2066"}
    )
    assert controls == {"\n"}
    first = told.screen.split("====")[2]
    assert len(first) < 20_000
    assert "f 1 shows all of this step" in first
    assert "f 0 shows the whole case" in first
    assert told.screen.count("WWWW") > 10 * first.count("WWWW")
    shown = told.screen[told.screen.index("====") :].splitlines()
    assert [line for line in shown if cell_len(line) > 80] == []


def lines_of(trace: Trace, width: int) -> list[str]:
    return TraversalScreen(trace, width).lines()


@pytest.mark.parametrize("seed", range(6))
def test_any_walk_fits_the_screen_and_tells_its_moves(seed):
    model = ScriptedChatModel(script=dict.fromkeys(NODES, Whimsy(seed, breaks=0)), record=False)
    trace = solve(build_graph(model, patience=AT_ONCE), CASE)
    for width in (40, 80):
        lines = lines_of(trace, width)
        assert [line for line in lines if cell_len(line) > width] == []
        assert sum("<- BACK to" in line for line in lines) == trace.backtracks
        assert sum(bool(re.match(r" *\d+ [A-Z]{5,}", line)) for line in lines) >= len(trace.steps)
    for number in range(len(trace.steps)):
        assert TraversalScreen(trace, 80, whole=True).step(number + 1)


def test_a_journey_with_detours_is_told_as_it_was_walked():
    def reflecting(request):
        said = sum("Stop: reflect" in str(message.content) for message in request.messages)
        return [
            reflection("recheck_evidence", ["C"], ["A"]),
            reflection("widen_differential", ["A"]),
            reflection(),
        ][said - 1]

    script = {
        **STRAIGHT,
        "generate_differential": differential(named("Tuberculosis"), A=30, B=50, C=10, D=10),
        "check_evidence:H1": weighing(F1=1, F2=-2),
        "reflect": reflecting,
    }
    graph = build_graph(ScriptedChatModel(script=script, record=False), patience=AT_ONCE)
    told = "\n".join(lines_of(solve(graph, CASE), 80))
    places = [
        told.index(words)
        for words in (
            VIGNETTE[:40],
            "OPTIONS",
            'F1 "fever" (symptom, salience 2)',
            "H1  33% Tuberculosis: possible",
            "EVIDENCE on B. Pneumonia",
            'strongly for: "productive cough": F2 bears on it',
            "REFUTED C. Asthma: C does not fit",
            "<- BACK to the evidence of A (the model's own move: recheck evidence)",
            "REFUTED A. Influenza",
            "<- BACK to the differential",
            "CONCLUSION",
            "ANSWER  B. Pneumonia",
        )
    ]
    assert places == sorted(places)


class Terminal:
    """A process on a terminal of its own, 80 columns wide."""

    def __init__(self, *args: str):
        self._here, there = pty.openpty()
        env = {**os.environ, "COLUMNS": "80", "TERM": "xterm", "DDXGRAPH_REVIEWER": "ann"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ddxgraph", *args],
            stdin=there,
            stdout=there,
            stderr=there,
            env=env,
            start_new_session=True,
            preexec_fn=_take_terminal,
        )
        os.close(there)
        self.seen = ""
        self._heeded = 0

    def type(self, keys: str) -> None:
        os.write(self._here, keys.encode())

    def wait_for(self, words: str, seconds: float = 60) -> None:
        """Read on until these words have come, after those that were waited for before."""
        while (place := self.seen.find(words, self._heeded)) < 0:
            ready, _, _ = select.select([self._here], [], [], seconds)
            assert ready, f"no {words!r} in {self.seen[-2000:]!r}"
            self.seen += os.read(self._here, 65536).decode()
        self._heeded = place + len(words)

    def interrupt(self, words: str) -> None:
        """Press Ctrl-C until these words come: one just before Python waits for a key counts at the next."""
        for _ in range(3):
            self.type("\x03")
            with suppress(AssertionError):
                return self.wait_for(words, 10)
        raise AssertionError(self.seen[-2000:])

    def ended(self) -> int:
        code = self.process.wait(60)
        os.close(self._here)
        return code


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # so that Ctrl-C is a signal
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # which the tests' own parent may have ignored


def test_on_a_terminal_ctrl_c_ends_it_and_what_was_said_stays(run):
    terminal = Terminal("review", str(run))
    terminal.wait_for("> ")
    terminal.type("a\n")
    terminal.wait_for("Saved: accepted.")
    terminal.wait_for("> ")
    terminal.type("r\n")
    terminal.wait_for("Why?")
    terminal.wait_for("> ")
    terminal.interrupt("stopped; the same command goes on from there")
    assert terminal.ended() == 130
    assert [one.verdict for one in read_reviews(run)] == ["accept"]
    assert "1 of 4 reviewed by ann" in terminal.seen
    assert "Traceback" not in terminal.seen
    assert (
        max(cell_len(line) for line in re.sub(r"\x1b\[[0-9;]*m", "", terminal.seen).splitlines()[2:20]) <= 80
    )
