"""What a trace can be turned into, and that the graph's room knows no view."""

import subprocess
import sys
from pathlib import Path

import pytest
from journeys import CASE, STRAIGHT

from ddxgraph import build_graph, solve
from ddxgraph.common.extras import install
from ddxgraph.graph.trace import Trace
from ddxgraph.testing import ScriptedChatModel

ROOM = Path(__file__).parents[2] / "graph"


@pytest.fixture(scope="module")
def trace():
    return solve(build_graph(ScriptedChatModel(script=STRAIGHT)), CASE)


def test_one_module_alone_names_the_views():
    assert [path.name for path in ROOM.glob("*.py") if "ddxgraph.view" in path.read_text()] == ["looks.py"]


def test_a_trace_holds_what_it_held():
    fields = ["version", "id", "case", "sample", "strategy", "provenance", "system", "opening", "steps"]
    assert list(Trace.model_fields)[:9] == fields
    assert not {"to_networkx", "to_mermaid", "draw"} & set(Trace.model_json_schema()["properties"])


def test_a_notebook_gets_a_frame(trace):
    assert trace._repr_html_().startswith('<iframe title="Journey ')


def test_an_uncalled_view_loads_nothing():
    script = (
        "import sys, ddxgraph\n"
        "assert not {'networkx', 'matplotlib', 'starlette', 'uvicorn'} & set(sys.modules), 'an extra'\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("missing", "call", "name"),
    [
        ("networkx", "trace.to_networkx()", "Trace.to_networkx"),
        ("matplotlib", "trace.draw('x.png')", "Trace.draw"),
        ("networkx", "ddxgraph.transitions([trace])", "ddxgraph.transitions"),
    ],
)
def test_what_is_missing_is_named(trace, tmp_path, missing, call, name):
    script = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "import ddxgraph\n"
        "trace = ddxgraph.Trace.model_validate_json(open('trace.json').read())\n"
        f"try: {call}\n"
        "except ImportError as error: print(error)\n"
    )
    (tmp_path / "trace.json").write_text(trace.to_json())
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path)
    assert done.stderr == ""
    assert done.stdout == (f"{name} needs {missing}, which this Python lacks: {install('view')}\n")
