"""What `--rewrite` does behind its options: a model over HTTP, a folder of rewritings, exit codes."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import typer
from journeys import CASE, STRAIGHT, prompt_of, reflection
from scripted_server import HttpError, Served, scripted_server

from ddxgraph import Trace, build_graph, solve
from ddxgraph.cli.journeys.rewriting import Pass, Rewriting, rewritten
from ddxgraph.testing import Request, ScriptedChatModel
from ddxgraph.training.styles.compile import Sample, compile_journey

SCRIPT: dict[str, Any] = {**STRAIGHT, "reflect": [reflection("recheck_evidence", ["C"], ["B"]), reflection()]}


def told(request: Request) -> str:
    found = re.search(r"<data>\n(.*?)\n</data>", prompt_of(request), re.DOTALL)
    assert found
    return f"Let me see.\n\n{found[1]}"


@pytest.fixture(scope="module")
def compiled() -> Sequence[tuple[Trace, Sample]]:
    trace = solve(build_graph(ScriptedChatModel(script=SCRIPT)), CASE)
    traces = [trace.model_copy(update={"id": f"{number:016x}"}) for number in range(3)]
    return [(one, compile_journey(one, "longmonolog")) for one in traces]


@pytest.fixture
def server() -> Iterator[Served]:
    with scripted_server({"generate": told}) as served:
        yield served


def test_rewritings_are_kept_and_summed_up(compiled, server, tmp_path, capsys):
    how = Rewriting(tmp_path, base_url=server.base_url, patience_s=0)
    done = rewritten(compiled, how)
    assert list(done.by_trace) == [trace.id for trace, _ in compiled]
    assert (done.summary.asked, done.summary.accepted) == (3, 3)
    assert "3 of 3 rewritings accepted (100.0%); 3 tries" in " ".join(capsys.readouterr().err.split())
    asked = len(server.model.requests)
    again = rewritten(compiled, how)
    assert (again.by_trace, again.summary) == (done.by_trace, done.summary)
    assert len(server.model.requests) == asked == 3


def test_refusals_are_named(compiled, tmp_path, capsys):
    with scripted_server({"generate": "It is asthma.\n\nAnswer: C"}) as served:
        done = rewritten(compiled, Rewriting(tmp_path, base_url=served.base_url, attempts=1))
    assert (done.summary.accepted, done.summary.refusals["other_answer"]) == (0, 3)
    assert "0 of 3 rewritings accepted (0.0%); refused for " in " ".join(capsys.readouterr().err.split())


def ended(compiled: Sequence[tuple[Trace, Sample]], how: Rewriting) -> int:
    with pytest.raises(typer.Exit) as ending:
        rewritten(compiled, how)
    return ending.value.exit_code


def test_an_engine_that_fails_ends_the_command_and_the_next_goes_on(compiled, server, tmp_path, capsys):
    with scripted_server({"generate": [told, HttpError(400)]}) as broken:
        how = Rewriting(tmp_path, base_url=broken.base_url, concurrency=1, patience_s=0)
        assert ended(compiled, how) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "the engine gave no reply to 2 monologues" in said
    assert "the same command goes on" in said
    done: Pass = rewritten(compiled, Rewriting(tmp_path, base_url=server.base_url, quiet=True))
    assert done.summary.accepted == 3
    assert len(server.model.requests) == 2
    assert capsys.readouterr().err == ""
