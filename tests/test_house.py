"""The house: imports go one way, importing has no side effects, no room is left out of the checks."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {
    "common": set(),
    "prompts": {"common"},
    "nodes": {"common", "prompts"},
    "graph": {"common", "nodes", "prompts"},
    "batch": {"common", "graph", "nodes", "prompts"},
    "serving": {"common", "nodes"},
    "lab": {"common", "nodes"},
    "eval": {"batch", "common", "graph", "lab", "nodes", "prompts"},
    "view": {"batch", "common", "graph", "nodes", "prompts"},
    "training": {"batch", "common", "eval", "graph", "lab", "nodes", "prompts"},
    "training/loop": {"serving"},
    "training/sft": {"serving"},
    "experiment": {"batch", "common", "eval", "graph", "lab", "nodes", "serving", "training"},
}
"""Room -> rooms below it; what a folder in a room may import as well. `serving` names the metadata keys of a
call, which the nodes define."""


def imported_rooms(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        found |= {name.split(".")[1] for name in names if name.startswith("ddxgraph.")}
    return found


def test_no_helper_of_the_tests_has_the_name_of_a_benchmark():
    """Scripts under benchmarks/ import such helpers, and their own folder is searched first."""
    helpers = {path.name for path in (ROOT / "tests").glob("*.py")}
    assert not helpers & {path.name for path in (ROOT / "benchmarks").glob("*.py")}


@pytest.mark.parametrize("room", [room for room in MAY_IMPORT if "/" not in room])
def test_a_room_imports_only_what_lies_below_it(room):
    paths = list((ROOT / room).rglob("*.py"))
    assert paths
    for path in paths:
        folder = path.parent.relative_to(ROOT).as_posix()
        assert imported_rooms(path) <= MAY_IMPORT[room] | MAY_IMPORT.get(folder, set()) | {room}, path


def test_importing_starts_nothing_and_says_nothing():
    script = (
        "import logging, sys, threading; before = len(logging.root.handlers)\n"
        "import ddxgraph, ddxgraph.cli, ddxgraph.testing\n"
        "assert len(logging.root.handlers) == before, 'logging was set up'\n"
        "assert threading.active_count() == 1, 'a thread was started'\n"
        "assert 'xllamacpp' not in sys.modules, 'the engine was loaded'\n"
        "assert 'openai' not in sys.modules, 'the client was loaded'\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_public_name_that_needs_an_extra_names_it():
    script = (
        "import sys; sys.modules['datasketch'] = None\n"
        "import ddxgraph\n"
        "assert 'numpy' not in sys.modules, 'the extra was loaded'\n"
        "try: ddxgraph.make_journeys\n"
        "except ImportError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout == (
        "ddxgraph.make_journeys needs datasketch, which this Python lacks: pip install 'ddxgraph[journeys]'\n"
    )


def test_the_public_names_are_listed_and_nothing_heavy_is_imported_before_one_is_used():
    script = (
        "import sys; before = set(sys.modules)\n"
        "import ddxgraph\n"
        "assert [name for name in dir(ddxgraph) if not name.startswith('__')] == ddxgraph.__all__\n"
        "assert {'Trace', 'gate', 'run'} <= set(ddxgraph.__all__)\n"
        "new = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(sorted(new - set(sys.stdlib_module_names)))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout == "['ddxgraph']\n"


def test_the_public_names_are_documented():
    import ddxgraph

    for name in ddxgraph.__all__:
        assert (getattr(ddxgraph, name).__doc__ or "").strip(), name
