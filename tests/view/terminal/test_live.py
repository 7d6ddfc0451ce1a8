"""What a person sees of a journey while it is walked: its path, its bars, what it waits for."""

import io
import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
from contextlib import suppress

import pytest
from journeys import AT_ONCE, CASE, STRAIGHT, Whimsy, answer, differential, named, reflection, weighing
from rich.cells import cell_len
from rich.console import Console
from scripted_server import scripted_server

from ddxgraph import Budget, Case, Step, Traversal, build_graph
from ddxgraph.nodes.generate_differential import Differential, Refutation
from ddxgraph.nodes.stop import Standpoint
from ddxgraph.testing import Request, ScriptedChatModel
from ddxgraph.view.data.course import Course, Stop
from ddxgraph.view.terminal.bars import bars
from ddxgraph.view.terminal.live import LiveJourney
from ddxgraph.view.terminal.pathline import path_line, short_path
from ddxgraph.view.terminal.screen import ASCII, UNICODE, Screen

COLOUR = re.compile(r"\x1b\[(?:[0-9]+;)*(?:3[0-8]|9[0-7])(?:;[0-9]+)*m")
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
LABELS = dict(CASE.options)
BACK = {
    **STRAIGHT,
    "check_evidence:A": [weighing(F1=1, F2=0), weighing(F1=0, F2=-1)],
    "reflect": [reflection("recheck_evidence", ["C"], ["A", "B"]), reflection()],
}
"""Goes back once, to the evidence on A and B, having given up C."""
NODES = ("review_history", "generate_differential", "check_evidence", "reflect", "conclude")
HOSTILE = [
    "[red]Influenza[/red] :cat: \\",
    "Pneumonia\nof the\r\nright lobe",
    "\x1b[2J\x1b[HAsthma \u202eevil\u202c\x07\ud800",
    "قصور القلب الاحتقاني",
    "病" * 80,
    "a" * 2_000,
    "e" + "\u0301" * 1_999,
]


@pytest.fixture(autouse=True)
def _unforced(monkeypatch):
    monkeypatch.delenv("FORCE_COLOR", raising=False)


def walk_of(script, case: Case = CASE) -> Traversal:
    return Traversal(build_graph(ScriptedChatModel(script=script), patience=AT_ONCE), case)


def walked(script=BACK, case: Case = CASE) -> list[Step]:
    """The steps of a walk, checks in the order of their hypotheses: they come as they finish."""
    walk = walk_of(script, case)
    assert all(walk)
    return list(walk.trace().steps)


@pytest.fixture(scope="module")
def steps() -> list[Step]:
    return walked()


def course_of(steps) -> Course:
    course = Course()
    for step in steps:
        course = course.after(step)
    return course


def terminal(width: int = 80, height: int = 40, **environ: str) -> Console:
    return Console(
        force_terminal=True,
        file=io.StringIO(),
        width=width,
        height=height,
        _environ={"TERM": "xterm-256color", **environ},
    )


def ascii_only(width: int = 80) -> Console:
    return Console(file=io.TextIOWrapper(io.BytesIO(), encoding="ascii"), width=width, _environ={})


def region(steps, console: Console, case: Case = CASE, budget: Budget | None = None) -> list[str]:
    """The lines of the region after some steps a second apart and two seconds more, without colour."""
    now = [100.0]
    view = LiveJourney(console, case, budget, clock=lambda: now[0])
    with console.capture():
        for step in steps:
            now[0] += 1
            view.step(step)
    now[0] += 2
    with console.capture() as drawn:
        console.print(view.region())
    return CONTROL.sub("", drawn.get()).splitlines()


# --- the course


@pytest.mark.parametrize("seed", range(6))
def test_the_differential_is_that_of_the_trace_after_every_step(seed):
    walk = walk_of(dict.fromkeys(NODES, Whimsy(seed)))
    coming = Course()
    for step in walk:
        coming = coming.after(step)
    trace, course, shares = walk.trace(), Course(), []
    for step in trace.steps:
        course = course.after(step)
        shares.append(dict(course.shares))
    assert shares == trace.trajectory()
    assert coming.shares == course.shares  # in whatever order the checks came
    assert coming.backtracks == trace.backtracks


@pytest.mark.parametrize("seed", range(6))
def test_every_step_was_waited_for_and_at_the_end_nothing_is(seed):
    course = Course()
    for step in walk_of(dict.fromkeys(NODES, Whimsy(seed, breaks=0))):
        assert Stop(step.node, step.branch) in course.awaited
        course = course.after(step)
    assert course.awaited == []


def test_the_checks_of_a_round_are_waited_for_until_each_is_done(steps):
    waiting = [[stop.branch or stop.node for stop in course_of(steps[:n]).awaited] for n in range(2, 7)]
    assert waiting == [["B", "A", "C", "D"], ["A", "C", "D"], ["C", "D"], ["D"], ["reflect"]]
    assert course_of(steps[:7]).awaited == [Stop("check_evidence", "A"), Stop("check_evidence", "B")]


def test_evidence_counts_as_it_comes_and_moves_the_bars_from_the_stop_before(steps):
    opened, checked = course_of(steps[:2]), course_of(steps[:4])
    assert checked.shares["B"] > opened.shares["B"]
    assert checked.before == course_of(steps[:3]).before == opened.shares
    assert course_of(steps[:7]).before == opened.shares  # the reflection shows the whole round
    assert course_of(steps[:8]).before == course_of(steps[:7]).shares


def test_a_course_that_is_drawn_meanwhile_is_not_changed(steps):
    course = course_of(steps[:2])
    shares, before = dict(course.shares), len(course.steps)
    course.after(steps[2])
    assert (course.shares, len(course.steps), course.now.evidence) == (shares, before, {})


def stood(shares: dict[str, float], refuted: str = "") -> Standpoint:
    given_up = {key: Refutation(hypothesis=key, because="") for key in refuted}
    return Standpoint(credence=shares, refuted=given_up)


def test_nobody_leads_among_equals_nor_where_all_are_refuted():
    even = Course(now=stood({"A": 0.1 + 0.2, "B": 0.3, "C": 0.2}))
    assert even.leader is None
    assert Course(now=stood({"A": 0.6, "B": 0.4})).leader == "A"
    assert Course(now=stood({"A": 0.6, "B": 0.4}, refuted="A")).leader == "B"
    assert Course(now=stood({"A": 0.6}, refuted="A")).leader is None


def test_what_is_revived_stands_again():
    again = walked({**STRAIGHT, "reflect": [reflection("widen_differential", "ABCD"), reflection()]})
    refuted = [bool(course_of(again[:n]).now.refuted) for n in range(len(again) + 1)]
    revived = next(n for n, step in enumerate(again) if getattr(step.output, "revived", ()))
    assert isinstance(again[revived].output, Differential)
    assert refuted[revived]
    assert not refuted[revived + 1]


# --- the path


def test_a_path_shows_every_stop_and_its_moves_back(steps):
    assert path_line(steps, (), ASCII) == "H > D > E:B E:A E:C E:D > R <- E:A E:B > R > C"
    assert path_line(steps, (), UNICODE) == "H → D → E:B E:A E:C E:D → R ← E:A E:B → R → C"
    assert short_path(steps, (), ASCII) == "H D 4E R <- 2E R C"


@pytest.mark.parametrize(
    ("taken", "whole", "short"),
    [
        (0, "[H]", "[H]"),
        (1, "H > [D]", "H [D]"),
        (2, "H > D > [E:B E:A E:C E:D]", "H D [4E]"),
        (4, "H > D > E:B E:A [E:C E:D]", "H D 2E [2E]"),
        (6, "H > D > E:B E:A E:C E:D > [R]", "H D 4E [R]"),
        (7, "H > D > E:B E:A E:C E:D > R <- [E:A E:B]", "H D 4E R <- [2E]"),
        (8, "H > D > E:B E:A E:C E:D > R <- E:A [E:B]", "H D 4E R <- E [E]"),
        (9, "H > D > E:B E:A E:C E:D > R <- E:A E:B > [R]", "H D 4E R <- 2E [R]"),
    ],
)
def test_the_current_place_stands_in_brackets(steps, taken, whole, short):
    course = course_of(steps[:taken])
    assert path_line(course.steps, course.awaited, ASCII) == whole
    assert short_path(course.steps, course.awaited, ASCII) == short


def test_a_history_read_again_and_a_failed_stop_are_seen():
    again = walked({**STRAIGHT, "reflect": [reflection("reread_history"), "{"]})
    assert short_path(again, (), ASCII) == "H D 4E R <- H D 4E R! C"
    assert path_line(again, (), ASCII).endswith("> R! > C")


# --- the bars


def drawn(course: Course, console: Console, width: int = 60, most: int | None = None) -> list[str]:
    return [line.plain.rstrip() for line in bars(course, LABELS, Screen(console), width, most)]


def test_bars_keep_gain_and_lose_by_signs_alone():
    shares = {"A": 0.5, "B": 0.375, "C": 0.0004, "D": 0.1246}
    course = Course(now=stood(shares, refuted="C"), before={"A": 0.25, "B": 0.375, "C": 0.25})
    assert drawn(course, ascii_only()) == [
        "*  A #####+++++           50%  +25 Influenza",
        "   B #######              38%      Pneumonia",
        "x  C -----                 0%  -25 Asthma",
        "   D ##                   12%  new Heart failure",
    ]
    assert drawn(course, terminal())[0] == "*  A █████▓▓▓▓▓           50%  +25 Influenza"


def test_the_first_differential_is_no_change(steps):
    assert not any(re.search(r"new|[+-]\d", line) for line in drawn(course_of(steps[:2]), ascii_only()))


def test_a_change_is_that_of_the_percentages_shown():
    course = Course(now=stood({"A": 0.5051, "B": 0.4949}), before={"A": 0.5049, "B": 0.4951})
    assert [line.split()[-3:] for line in drawn(course, ascii_only())] == [
        ["51%", "+1", "Influenza"],
        ["49%", "-1", "Pneumonia"],
    ]


def test_where_lines_are_few_the_weakest_are_left_out_and_counted():
    course = Course(now=stood({"A": 0.1, "B": 0.4, "C": 0.2, "D": 0.3}))
    lines = drawn(course, ascii_only(), most=3)
    assert [line.split()[0] for line in lines[:2]] == ["*", "D"]
    assert lines[2].strip() == "2 more"
    assert len(drawn(course, ascii_only(), most=4)) == 4


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("cells", [0, 1, 2, 3, 10, 50])
def test_a_text_is_cut_to_one_line_of_so_many_cells(text, cells):
    for console in (terminal(), ascii_only()):
        line = Screen(console).line(text * 1_000, cells)
        assert cell_len(line) <= cells
        assert not re.search("[\x00-\x1f\u202e\ud800]", line)


def test_what_was_cut_says_so():
    screen = Screen(terminal())
    assert screen.line("  Influenza " + "a" * 1_000_000, 10) == "Influenza…"
    assert screen.line("Influenza", 9) == "Influenza"
    assert screen.line("Influenza", 8) == "Influen…"


# --- the region


def test_the_region_says_where_the_journey_stands(steps):
    lines = region(steps[:8], terminal(120), budget=Budget(max_tokens=50_000))
    used = sum(step.usage.total_tokens for step in steps[:8])
    assert lines[1] == "H → D → E:B E:A E:C E:D → R ← E:A [E:B]"
    assert [line[:4] for line in lines[2:6]] == ["   A", "*  B", "x  C", "   D"]
    wait = (
        f"Evidence on B ... 2 s (10 s in all)   {used:,} of 50,000 tokens   1 of 3 backtracks   8 of 64 calls"
    )
    assert lines[6] == wait
    assert len(lines) == 7


def test_before_the_first_step_it_waits_for_the_history():
    assert region([], terminal()) == ["", "[H]", "History ... 2 s   0 tokens   0 backtracks   0 calls"]


def test_a_path_too_long_for_its_line_is_told_shorter_and_then_from_its_end(steps):
    assert region(steps[:9], terminal(40))[1] == "H D 4E R ← 2E [R]"
    assert region(steps[:9], terminal(17))[1] == "… 4E R ← 2E [R]"


@pytest.mark.parametrize("width", [1, 20, 40, 80, 120])
def test_no_text_breaks_the_lines_of_the_region(width):
    hostile = Case(vignette=CASE.vignette, options=dict(zip("ABCDEFG", HOSTILE, strict=True)))
    told = differential(named("H\x1b[2J\n[bold]", 10), **dict.fromkeys("ABCDEFG", 10))
    steps = walked({"generate_differential": told}, hostile)
    console = terminal(width)
    for taken in range(len(steps) + 1):
        lines = region(steps[:taken], console, hostile)
        assert all(cell_len(line) <= max(width, 16) for line in lines)
        assert not any(character in "".join(lines) for character in "\x1b\x07\r\u202e")
        assert len(lines) <= 12


def test_a_terminal_without_arrows_gets_plain_signs_and_question_marks():
    console, case = ascii_only(), CASE.model_copy(update={"options": LABELS | {"A": "Grippe é"}})
    view = LiveJourney(console, case)
    for step in walked(case=case)[:7]:
        view.step(step)
    console.print(view.region())
    console.file.flush()
    shown = console.file.buffer.getvalue().decode("ascii")  # what cannot be shown would have raised
    assert "R <- [E:A E:B]" in shown
    assert "###" in shown
    assert "Grippe ?" in shown


# --- on a terminal and elsewhere


def seen(console: Console, steps) -> str:
    with LiveJourney(console, CASE) as view:
        for step in steps:
            view.step(step)
    return console.file.getvalue()


def test_the_region_is_drawn_below_the_steps_and_is_gone_at_the_end(steps):
    shown = seen(console := terminal(), steps)
    assert "R ← [E:A E:B]" in CONTROL.sub("", shown)
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h") == 1
    assert shown.endswith("\x1b[2K")
    assert COLOUR.search(shown)
    assert console.file.getvalue() == shown


def test_a_step_is_followed_by_the_region_as_it_is_then(steps):
    console = terminal()
    with LiveJourney(console, CASE) as view:
        for number, step in enumerate(steps[:-1], 1):
            before = len(console.file.getvalue())
            view.step(step)
            last = CONTROL.sub("", console.file.getvalue()[before:]).rindex(f"{number}. ")
            course = course_of(steps[:number])
            path = path_line(course.steps, course.awaited, UNICODE)
            assert path in CONTROL.sub("", console.file.getvalue()[before:])[last:]


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_the_terminal_is_as_it_was_after_an_error_and_after_ctrl_c(steps, error):
    def interrupted():
        yield steps[0]
        raise error

    console = terminal()
    with pytest.raises(error):
        seen(console, interrupted())
    assert "1. History" in CONTROL.sub("", console.file.getvalue())
    assert console.file.getvalue().count("\x1b[?25h") == 1
    assert console.file.getvalue().endswith("\x1b[2K")


def test_without_colour_everything_is_still_there(steps):
    shown = seen(terminal(NO_COLOR="1"), steps)
    assert not COLOUR.search(shown)
    plain = CONTROL.sub("", shown)
    assert "x  C" in plain
    assert "*  B" in plain
    assert "<- back to evidence on A, B" in plain


def test_a_pipe_and_a_terminal_that_cannot_go_back_get_the_steps_alone(steps):
    pipe = Console(file=io.StringIO(), width=80, highlight=False, _environ={})
    for shown in (seen(pipe, steps), seen(terminal(TERM="dumb"), steps)):
        assert "\x1b" not in shown
        assert "[E:" not in shown
        assert " ... " not in shown
        assert shown.count("10. Conclusion") + shown.count("10. Reflection") == 1
        assert "<- back to evidence on A, B (self: recheck evidence)" in shown


def test_a_pipe_that_is_to_have_colour_has_no_region(steps, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    shown = seen(terminal(), steps)
    assert COLOUR.search(shown)
    assert "\x1b[?25l" not in shown
    assert "[E:" not in shown


def test_the_answer_of_a_conclusion_is_not_waited_for_any_longer():
    ended = walked({**STRAIGHT, "conclude": answer("B")})
    assert region(ended, terminal(120))[-1].startswith("Done ... ")


def test_the_command_on_a_real_terminal_leaves_it_as_it_was_after_ctrl_c(tmp_path):
    released = threading.Event()

    def hang(request: Request) -> dict[str, object]:
        released.wait(60)
        return {}

    (tmp_path / "case.json").write_text(json.dumps({"vignette": CASE.vignette, "options": LABELS}))
    ours, theirs = pty.openpty()
    kept = {key: value for key, value in os.environ.items() if not key.startswith("DDXGRAPH_")}
    with scripted_server({**STRAIGHT, "reflect": hang}) as served:
        process = subprocess.Popen(
            [sys.executable, "-m", "ddxgraph", "solve", "case.json"],
            cwd=tmp_path,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**kept, "DDXGRAPH_BASE_URL": served.base_url, "TERM": "xterm", "PYTHONUTF8": "1"},
            # What the shell that runs the tests has them ignore, children would ignore too.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        os.close(theirs)
        try:
            shown = read_until(ours, "→ [R]")
            process.send_signal(signal.SIGINT)
            shown += read_until(ours, None)
            assert process.wait(30) == 130
        finally:
            released.set()
            process.kill()
            os.close(ours)
    assert "interrupted" in shown
    assert "Traceback" not in shown
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h") == 1
    after = CONTROL.sub("", shown[shown.index("\x1b[?25h") :])
    assert "[R]" not in after


def read_until(terminal: int, mark: str | None) -> str:
    """What is written to a terminal until the mark, or its end, stands there."""
    told = b""
    with suppress(OSError):  # how Linux says that nobody has it open any longer
        while mark is None or mark not in CONTROL.sub("", told.decode(errors="ignore")):
            piece = os.read(terminal, 65_536)
            if not piece:
                break
            told += piece
    return told.decode(errors="ignore")
