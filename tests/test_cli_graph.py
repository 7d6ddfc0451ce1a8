"""`ddxgraph graph`: the topology as words, as Mermaid and as a picture."""

import pytest
from commandline import ddxgraph


def test_it_says_where_each_stop_leads_and_what_goes_back():
    done = ddxgraph("graph")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[2] == "check_evidence -> reflect"
    assert lines[3] == (
        "reflect -> conclude, end; back <- review_history, generate_differential, check_evidence"
    )


def test_mermaid_is_what_the_graph_draws():
    done = ddxgraph("graph", "--mermaid")
    assert done.returncode == 0
    assert "check_evidence --> reflect" in done.stdout


@pytest.mark.parametrize(("option", "begins"), [("--png", b"\x89PNG"), ("--svg", b"<?xml")])
def test_it_is_drawn(option, begins, tmp_path):
    path = tmp_path / f"graph.{option[2:]}"
    done = ddxgraph("graph", option, path)
    assert (done.returncode, done.stdout.strip()) == (0, str(path))
    assert path.read_bytes().startswith(begins)


def test_where_it_cannot_be_written_is_said_in_a_sentence(tmp_path):
    done = ddxgraph("graph", "--png", tmp_path / "nowhere" / "graph.png")
    assert done.returncode == 2
    assert done.stderr.startswith("ddxgraph: cannot write ")
    assert ddxgraph("graph", "--png", tmp_path / "graph.pdf").returncode == 2
