"""The house: imports go one way, importing has no side effects, no room is left out of the checks."""

import subprocess
import sys
from pathlib import Path

import houserules
import pytest

from ddxgraph.common.extras import install
from ddxgraph.eval.benchmarks.registry import BENCHMARKS
from ddxgraph.nodes.registry import STOPS
from ddxgraph.nodes.strategies import strategy_names
from ddxgraph.training.styles.registry import style_names

ROOT = Path(__file__).parents[1]
BELOW_EVAL = {"batch", "common", "graph", "lab", "nodes", "prompts"}
MAY_IMPORT = {
    "common": set(),
    "prompts": {"common"},
    "nodes": {"common", "prompts"},
    "graph": {"common", "nodes", "prompts"},
    "batch": {"common", "graph", "nodes", "prompts"},
    "serving": {"common", "nodes"},
    "lab": {"common", "nodes"},
    "eval": BELOW_EVAL,
    "training": BELOW_EVAL | {"eval"},
    "training.loop": BELOW_EVAL | {"eval", "serving"},
    "training.sft": BELOW_EVAL | {"eval", "serving"},
    "experiment": BELOW_EVAL | {"eval", "serving", "training"},
    "view": {"batch", "common", "graph", "nodes", "prompts"},
}
"""A room, or a sub-package with a rule of its own, to the rooms that it may import.

`serving` names the metadata keys of a call, which the nodes define.
"""
ROOMS = [name for name in MAY_IMPORT if "." not in name]


REGISTRIES = {
    "eval.benchmarks.registry",
    "nodes.registry",
    "nodes.strategies",
    "training.styles.registry",
}
"""Strategies share most of their names with styles."""
SECOND_LISTS = {
    "lab.teacher": "the exact teacher answers the five stops that ship, and refuses another by name",
    "training.rewrite.check": "faults name the stop that a phrase leads back to",
    "training.rewrite.cues": "the phrases that the shipped styles use to go back",
    "eval.report.published": "the heads of the paper's table",
    "experiment.config": "the arms of the default experiment",
}
"""Modules beside the registries that list several names of one, and why they may."""


@pytest.fixture(scope="module")
def known() -> dict[str, Path]:
    return houserules.modules(ROOT, ROOMS)


@pytest.fixture(scope="module")
def imports(known) -> list[houserules.Import]:
    return houserules.imports(known)


def planted(tmp_path: Path, files: dict[str, str]) -> dict[str, Path]:
    """A small house of its own; its modules."""
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return houserules.modules(tmp_path, sorted({name.split("/")[0] for name in files}))


def test_every_folder_with_modules_is_a_room():
    tops = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert tops == set(ROOMS)


def test_the_checks_descend_into_sub_packages(known):
    assert {"training.gate.rules", "eval.report.plots.axes", "view.page.server"} <= known.keys()


def test_a_room_imports_only_what_lies_below_it(imports):
    assert houserules.upward(imports, MAY_IMPORT) == []


def test_no_modules_import_one_another_in_a_circle(imports):
    assert houserules.circles(imports) == []


def test_no_folder_is_crowded_and_no_module_too_long_or_too_short(known):
    assert houserules.crowded(ROOT, ROOMS) == []
    assert houserules.misfits(known) == []


def test_every_long_signature_is_explained(known):
    assert houserules.undocumented(known) == []


def test_a_long_signature_without_its_sections_is_caught(tmp_path):
    bare = 'def put(a: int, b: int, c: int) -> int:\n    """Put."""\n    raise ValueError(a)\n'
    sections = (
        "Put.\n\n    Args:\n        a: one.\n\n    Returns:\n        c.\n\n    Raises:\n        E: no.\n    "
    )
    files = {"graph/bare.py": bare, "graph/told.py": bare.replace("Put.", sections)}
    known = planted(tmp_path, files)
    assert houserules.undocumented(known) == ["graph.bare.put: Args:, Returns:, Raises:"]


@pytest.mark.parametrize(
    "names",
    [STOPS.names, style_names(), strategy_names(), tuple(BENCHMARKS)],
    ids=["stops", "styles", "strategies", "benchmarks"],
)
def test_names_are_listed_in_their_registry_alone(known, names):
    assert len(names) >= houserules.FEW_NAMES
    assert houserules.enumerations(known, names, REGISTRIES | SECOND_LISTS.keys()) == []


def test_every_exception_from_the_registries_is_still_one(known):
    names = (STOPS.names, style_names(), tuple(BENCHMARKS))
    places = [place for each in names for place in houserules.enumerations(known, each, ())]
    assert SECOND_LISTS.keys() <= {place.partition(":")[0] for place in places}


def test_a_planted_second_enumeration_of_stops_is_caught(tmp_path):
    listed = {
        "graph/table.py": 'TITLES = {"review_history": 1, "reflect": 2, "conclude": 3}\n',
        "graph/words.py": 'NAMES = ("review_history", "x", "generate_differential", "conclude")\n',
        "view/kinds.py": "\nKind = Literal['reflect', 'conclude', 'check_evidence']\n",
        "view/choice.py": "match x:\n"
        + "".join(f"    case {name!r}:\n        pass\n" for name in STOPS.names),
        "view/pair.py": 'PAIR = ("reflect", "conclude")\n',
    }
    known = planted(tmp_path, listed)
    places = houserules.enumerations(known, STOPS.names, ())
    assert places == ["graph.table:1", "graph.words:1", "view.choice:1", "view.kinds:2"]
    assert houserules.enumerations(known, STOPS.names, {place.partition(":")[0] for place in places}) == []


def test_a_planted_upward_import_is_caught(tmp_path):
    text = "def late():\n    from ddxgraph.view.page.server import serve\n"
    known = planted(tmp_path, {"graph/deep/state.py": text, "view/page/server.py": ""})
    assert houserules.upward(houserules.imports(known), MAY_IMPORT) == [
        "graph.deep.state imports view.page.server"
    ]


def test_a_planted_circle_is_caught(tmp_path):
    files = {
        "graph/a.py": "from ddxgraph.graph.deep.b import B\n",
        "graph/deep/b.py": "from ddxgraph.graph import c\n",
        "graph/c.py": "import ddxgraph.graph.a\n",
        "graph/d.py": "import ddxgraph.graph.a\n",
    }
    assert houserules.circles(houserules.imports(planted(tmp_path, files))) == [
        ["graph.a", "graph.c", "graph.deep.b"]
    ]


def test_a_planted_crowd_a_long_and_a_short_module_are_caught(tmp_path):
    files = {f"graph/deep/m{number}.py": "x = 1\n" * 40 for number in range(17)}
    known = planted(tmp_path, files | {"graph/long.py": "x = 1\n" * 451, "graph/short.py": "x = 1\n"})
    assert houserules.crowded(tmp_path, ["graph"]) == [f"{tmp_path / 'graph' / 'deep'}: 17"]
    assert houserules.misfits(known) == ["graph.long: 451 lines", "graph.short: 1 lines"]


def test_no_helper_of_the_tests_has_the_name_of_a_benchmark():
    """Scripts under benchmarks/ import such helpers, and their own folder is searched first."""
    helpers = {path.name for path in (ROOT / "tests").glob("*.py")}
    assert not helpers & {path.name for path in (ROOT / "benchmarks").glob("*.py")}


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
        f"ddxgraph.make_journeys needs datasketch, which this Python lacks: {install('journeys')}\n"
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
