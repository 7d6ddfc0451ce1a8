"""Lazy public faces: what they give, what they refuse, and that type checkers see the same."""

import ast
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from ddxgraph.common import lazy
from ddxgraph.common.extras import install

ROOT = Path(__file__).parents[2]
FACES = sorted(
    path
    for room in (ROOT, ROOT / "src" / "ddxgraph")
    for path in room.glob("**/__init__.py")
    if "lazy.face(" in path.read_text(encoding="utf-8")
)
"""Packages with a lazy face."""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """An importable package with one submodule."""
    folder = tmp_path / "house"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "room.py").write_text("table = 'oak'\nimport nowhere\n")
    (folder / "hall.py").write_text("lamp = 'lit'\n")
    monkeypatch.syspath_prepend(tmp_path)
    import house

    yield house
    for name in [name for name in sys.modules if name.partition(".")[0] == "house"]:
        del sys.modules[name]


def test_a_name_is_imported_when_it_is_asked_for_and_kept(package: ModuleType):
    get, listed, names = lazy.face("house", {"light": "house.hall:lamp", "lamp": "house.hall"})
    assert names == ["lamp", "light"]
    assert "house.hall" not in sys.modules
    assert (get("light"), get("lamp")) == ("lit", "lit")
    assert package.light == "lit"
    assert [name for name in listed() if not name.startswith("__")] == ["lamp", "light"]
    with pytest.raises(AttributeError, match=r"module 'house' has no attribute 'sofa'"):
        get("sofa")


def test_a_missing_package_is_named_with_the_extra_that_brings_it(package: ModuleType):
    get, _, _ = lazy.face("house", {"table": "house.room"}, extras={"table": "furniture"})
    message = f"house.table needs nowhere, which this Python lacks: {install('furniture')}"
    with pytest.raises(ImportError, match=re.escape(message)):
        get("table")
    get, _, _ = lazy.face("house", {"table": "house.room"})
    with pytest.raises(ModuleNotFoundError, match="nowhere"):
        get("table")


def test_a_name_that_a_submodule_would_hide_is_refused(package: ModuleType):
    with pytest.raises(ImportError, match="house exports hall, and has submodules of the same name"):
        lazy.face("house", {"hall": "house.hall:lamp"})


@pytest.mark.parametrize("path", FACES, ids=lambda path: path.parent.name)
def test_type_checkers_see_the_names_of_the_table_in_the_same_modules(path):
    [block] = [node for node in ast.parse(path.read_text("utf-8")).body if isinstance(node, ast.If)]
    assert ast.unparse(block.test) == "TYPE_CHECKING"
    [assigned] = block.orelse
    table = ast.literal_eval(assigned.value.args[1])
    assert list(table) == sorted(table)
    imported, renamed = {}, {}
    for node in block.body:
        if isinstance(node, ast.ImportFrom):
            imported |= {alias.asname: f"{node.module}:{alias.name}" for alias in node.names}
        else:
            renamed |= {node.targets[0].id: node.value.id}
    imported |= {public: imported.pop(private) for public, private in renamed.items()}
    full = {name: place if ":" in place else f"{place}:{name}" for name, place in table.items()}
    assert imported == full
