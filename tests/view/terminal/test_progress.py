"""What a person sees of a run: figures on a terminal, plain lines in a log."""

import io
import re
import time
from itertools import permutations

import pytest
from journeys import CASE, STRAIGHT, reflection
from rich.cells import cell_len
from rich.console import Console

from ddxgraph import Trace, Traversal, build_graph
from ddxgraph.batch.tally import Recent, Tally
from ddxgraph.nodes.call.usage import Usage
from ddxgraph.nodes.failure import Failure
from ddxgraph.testing import ScriptedChatModel
from ddxgraph.view.terminal.outcomes import outcome_bar, segments
from ddxgraph.view.terminal.progress import (
    RunProgress,
    duration,
    figures,
    means,
    place,
    recent_lines,
    troubles,
)
from ddxgraph.view.terminal.screen import Screen

TERMINAL = {"TERM": "xterm-256color"}
COLOUR = re.compile(r"\x1b\[(?:[0-9]+;)*(?:3[0-8]|9[0-7])(?:;[0-9]+)*m")


@pytest.fixture(autouse=True)
def _unforced(monkeypatch):
    monkeypatch.delenv("FORCE_COLOR", raising=False)


def terminal(width: int = 120, **environ: str) -> Console:
    return Console(force_terminal=True, file=io.StringIO(), width=width, _environ={**TERMINAL, **environ})


def log() -> Console:
    return Console(file=io.StringIO(), width=40, highlight=False, _environ={})


def said(console: Console) -> str:
    return console.file.getvalue()


def under_way(**facts) -> Tally:
    """100 seconds into a run of 200, 50 of them done before."""
    known = {
        "total": 200,
        "before": 50,
        "ended": 50,
        "correct": 60,
        "judged": 80,
        "usage": Usage(calls=400, prompt_tokens=100_000, cached_tokens=88_000, completion_tokens=20_000),
        "started": time.monotonic() - 100,
    }
    return Tally(**{**known, **facts})


def test_the_figures_of_a_run_that_is_under_way():
    assert place(under_way()) == "100 of 200 (50%), 3:20 left"
    assert figures(under_way()) == [
        "30.0 traces/min",
        "200 tokens/s written",
        "1000 read",
        "88% of the prompts cached",
        "accuracy 75.0% (60 of 80)",
    ]
    assert troubles(under_way()) == ""


def test_backtracks_and_tokens_a_trace_are_those_of_this_process():
    assert means(under_way(backtracks=40)) == ["0.8 backtracks and 2,400 tokens a trace"]
    assert means(Tally(total=10, before=5)) == []


def test_a_fast_run_is_counted_by_the_second():
    assert figures(under_way(ended=250))[0] == "2.5 traces/s"


def test_at_the_start_there_is_nothing_to_divide_and_nothing_to_boast_of():
    tally = Tally(total=10)
    assert place(tally) == "0 of 10 (0%)"
    assert figures(tally) == []
    assert troubles(tally) == ""


def test_an_empty_run_is_done():
    assert place(Tally(total=0)) == "0 of 0 (100%)"


def test_a_clock_that_has_not_moved_yet_divides_by_nothing():
    assert figures(under_way(started=time.monotonic() + 5))


def test_an_engine_that_does_not_tell_of_its_cache_and_cases_without_gold_are_passed_over():
    shown = figures(under_way(judged=0, correct=0, usage=Usage(prompt_tokens=100, completion_tokens=10)))
    assert len(shown) == 3


@pytest.mark.parametrize(
    ("done", "total", "shown"),
    [(0, 3, "0%"), (1, 3, "33%"), (2, 3, "66%"), (99_999, 100_000, "99%"), (100_000, 100_000, "100%")],
)
def test_a_hundred_percent_is_not_shown_before_the_end(done, total, shown):
    assert place(Tally(total=total, before=done)) == f"{done} of {total} ({shown})"


def test_answers_that_are_none_are_named():
    tally = under_way()
    tally.outcomes.update(answered=90, abstained=4, unparsed=2)
    assert figures(tally)[-2:] == ["4 abstained", "2 unparsed"]


def test_errors_and_repeated_calls_are_told_by_kind_the_commonest_first():
    tally = under_way()
    tally.errors.update(timeout=1, rate_limit=3)
    assert troubles(tally) == "errors: 3 rate limit, 1 timeout"
    tally.retried.update(connection=12)
    assert troubles(tally) == "errors: 3 rate limit, 1 timeout; calls made again: 12 connection"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0:00"), (0.4, "0:00"), (59.6, "1:00"), (61, "1:01"), (3_599.7, "1:00:00"), (100_000, "27:46:40")],
)
def test_durations_read_as_on_a_clock(seconds, shown):
    assert duration(seconds) == shown


# --- outcomes


def plain(lines) -> list[str]:
    return [line.plain for line in lines]


def test_outcomes_are_segments_each_with_its_sign():
    counts = {"error": 10, "answered": 60, "abstained": 20, "unparsed": 10}
    assert plain(outcome_bar(counts, 100)) == [
        f"[{'#' * 18 + 'o' * 6 + '?' * 3 + '!' * 3}]  # 60 answered  o 20 abstained  ? 10 unparsed  ! 10 error"
    ]
    assert plain(outcome_bar(counts, 40))[0] == f"[{'#' * 18 + 'o' * 6 + '?' * 3 + '!' * 3}]"


def test_outcomes_that_did_not_occur_are_left_out_and_before_the_first_there_is_no_bar():
    assert outcome_bar({}, 80) == outcome_bar({"error": 0}, 80) == []
    assert plain(outcome_bar({"answered": 7, "error": 0}, 80)) == [f"[{'#' * 30}]  # 7 answered"]


@pytest.mark.parametrize(
    "counts",
    [
        (1, 0, 0, 0),
        (1, 1, 1, 1),
        (99_999, 1, 1, 1),
        (1, 1, 1, 99_999),
        (5, 5, 5, 1),
        (7, 3, 2, 1),
        (1, 2, 0, 4),
    ],
)
@pytest.mark.parametrize("cells", [4, 7, 30])
def test_segments_fill_the_bar_and_none_that_counts_is_without_a_cell(counts, cells):
    counted = {str(place): count for place, count in enumerate(counts) if count}
    given = segments(counted, cells)
    assert sum(given.values()) == cells
    assert min(given.values()) >= 1
    for more, less in permutations(counted, 2):
        assert counted[more] <= counted[less] or given[more] >= given[less]


# --- journeys that have just ended


@pytest.fixture(scope="module")
def journey() -> Trace:
    script = {**STRAIGHT, "reflect": [reflection("recheck_evidence", ["C"], ["A", "B"]), reflection()]}
    walk = Traversal(build_graph(ScriptedChatModel(script=script)), CASE)
    list(walk)
    return walk.trace()


def named(journey: Trace, name: str, **facts) -> Trace:
    return journey.model_copy(update={"case": journey.case.model_copy(update={"id": name}), **facts})


def test_recent_journeys_have_case_path_answer_and_verdict_in_words(journey):
    broken = Failure(boundary="engine", kind="rate_limit", message="x")
    recent = [
        Recent(named(journey, "case-9"), True),
        Recent(named(journey, "case-10", steps=journey.steps[:7], answer="A"), False),
        Recent(named(journey, "c", answer=None, outcome="abstained"), False),
        Recent(named(journey, "d", answer=None, outcome="error", failure=broken), None),
        Recent(named(journey, "e"), None),
    ]
    assert plain(recent_lines(recent, Screen(terminal()), 80)) == [
        "case-9   H D 4E R ← 2E R C  B correct",
        "case-10  H D 4E R           A not correct",
        "c        H D 4E R ← 2E R C  abstained",
        "d        H D 4E R ← 2E R C  error: rate limit",
        "e        H D 4E R ← 2E R C  B",
    ]


@pytest.mark.parametrize("width", [16, 38, 78])
def test_a_recent_journey_fits_its_line_whatever_it_is_called_and_answers(journey, width):
    name, words = "\x1b[2J病\n" * 5_000, "[red]viral\n\u202e" * 10_000
    hostile = [Recent(named(journey, name, answer=words, steps=journey.steps * 9), False)] * 3
    for line in plain(recent_lines(hostile, Screen(terminal()), width)):
        assert cell_len(line) <= width or width < 30  # there the terminal's edge crops
        assert not re.search("[\x00-\x1f\u202e]", line)


# --- in a log


def test_a_log_gets_no_line_before_its_time():
    console = log()
    with RunProgress(console, under_way(), "pilot") as progress:
        for _ in range(1_000):
            progress.update()
    assert said(console) == ""


def test_a_log_gets_plain_lines_no_oftener_than_at_the_interval():
    console, tally = log(), under_way()
    tally.errors.update(timeout=1)
    start = time.monotonic()
    with RunProgress(console, tally, "pilot", every_s=0.02) as progress:
        while (passed := time.monotonic() - start) < 0.1:
            progress.update()
    lines = said(console).splitlines()
    assert 2 <= len(lines) <= passed / 0.02 + 1
    for line in lines:
        assert line.startswith("100 of 200 (50%), ")
        assert "accuracy 75.0% (60 of 80)" in line
        assert "0.0 backtracks and 2,400 tokens a trace" in line
        assert line.endswith("errors: 1 timeout")
    assert "\x1b" not in said(console)


def test_a_log_gets_a_note_once_and_word_for_word():
    console = log()
    with RunProgress(console, under_way(), "pilot") as progress:
        progress.note("stopping: what is in flight [5 s] :warning: has some time to end")
        progress.update()
    assert said(console) == "stopping: what is in flight [5 s] :warning: has some time to end\n"


def test_a_terminal_that_cannot_go_back_a_line_gets_lines():
    console = terminal(TERM="dumb")
    with RunProgress(console, under_way(), "pilot", every_s=0) as progress:
        progress.update()
    assert said(console).startswith("100 of 200 (50%)")
    assert "\x1b" not in said(console)


# --- on a terminal


def shown(console: Console, tally: Tally, name: str = "pilot", note: str = "") -> str:
    with RunProgress(console, tally, name) as progress:
        if note:
            progress.note(note)
        progress.update()
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", said(console))


def test_a_terminal_shows_name_firstfigures_and_troubles_in_place():
    console, tally = terminal(), under_way()
    tally.errors.update(connection=2)
    tally.retried.update(rate_limit=7)
    text = shown(console, tally, note="stopping: 5 s")
    for part in (
        "pilot",
        "100 of 200 (50%), 3:",
        "30.0 traces/min",
        "88% of the prompts cached",
        "accuracy 75.0% (60 of 80)",
        "errors: 2 connection; calls made again: 7 rate limit",
        "stopping: 5 s",
    ):
        assert part in text
    assert COLOUR.search(said(console))


def test_a_terminal_shows_means_outcomes_and_the_journeys_that_ended_last(journey):
    tally = Tally(total=9)
    for number, correct in enumerate((True, True, False, None)):
        tally.add(named(journey, f"case-{number}"), correct)
    text = shown(terminal(), tally)
    assert "1.0 backtracks and" in text
    assert "# 4 answered" in text
    lines = [line.rstrip() for line in text.splitlines()]
    first = lines.index("  case-1  H D 4E R ← 2E R C  B correct")
    assert lines[first + 1 : first + 3] == [
        "  case-2  H D 4E R ← 2E R C  B not correct",
        "  case-3  H D 4E R ← 2E R C  B",
    ]
    assert "case-0" not in text


@pytest.mark.parametrize("width", [20, 40, 80])
def test_the_panel_fits_a_narrow_terminal_and_stays_readable(journey, width):
    tally = Tally(total=9)
    tally.outcomes.update(abstained=1, unparsed=1)
    tally.errors.update(rate_limit=1)
    for number in range(3):
        tally.add(named(journey, f"case-{number}"), correct=False)
    text = shown(terminal(width), tally, name="run " + "x" * 100, note="stopping: " + "y " * 30)
    assert max(map(cell_len, text.splitlines())) <= width
    if width >= 40:
        assert "case-2" in text
        assert "B not correct" in text
        assert "3 of 9 (33%)" in text


def test_when_it_ends_the_terminal_is_as_it_was():
    console = terminal()
    shown(console, under_way())
    assert said(console).count("\x1b[?25l") == said(console).count("\x1b[?25h") == 1
    assert said(console).endswith("\x1b[2K")


def test_the_terminal_is_as_it_was_after_an_error_too():
    console = terminal()
    with pytest.raises(ZeroDivisionError), RunProgress(console, under_way(), "pilot"):
        1 / 0  # noqa: B018
    assert said(console).count("\x1b[?25h") == 1


def test_a_run_that_has_not_begun_is_shown_on_a_terminal():
    assert "0 of 0 (100%)" in shown(terminal(), Tally(total=0))
    assert "0 of 7 (0%)" in shown(terminal(), Tally(total=7))


def test_a_name_is_shown_as_it_is():
    assert "run [bold]1[/bold] :cat:" in shown(terminal(), under_way(), "run [bold]1[/bold] :cat:")


def test_no_color_is_respected():
    console, tally = terminal(NO_COLOR="1"), under_way()
    tally.errors.update(timeout=1)
    assert "errors: 1 timeout" in shown(console, tally)
    assert not COLOUR.search(said(console))
