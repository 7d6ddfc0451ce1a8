"""What the house rules say of a source tree: pure functions over the folders of a root."""

import ast
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import networkx as nx

MOST_MODULES = 16
MOST_LINES = 450
FEWEST_LINES = 30
SMALL_BECAUSE = "Apart because"
"""A module below `FEWEST_LINES` says in its docstring why it stands alone, with these words."""
LONG_SIGNATURE = 3
"""Public functions of so many parameters say what each is, and what comes back."""
FEW_NAMES = 3
"""So many names of a registry in one literal are a second list of them."""


class Import(NamedTuple):
    """An import of one module of the package by another, as dotted names below `ddxgraph`."""

    importer: str
    imported: str
    at_import: bool
    """It runs when the importer is loaded: neither in a function nor for the type checker alone."""


def modules(root: Path, rooms: Iterable[str]) -> dict[str, Path]:
    """Dotted name below `ddxgraph` -> file, for all modules of the rooms and their sub-packages."""
    return {
        ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path
        for room in rooms
        for path in sorted((root / room).rglob("*.py"))
    }


def imports(known: Mapping[str, Path]) -> list[Import]:
    """All imports of known modules by known modules."""
    return [
        Import(name, imported, at_import)
        for name, path in known.items()
        for names, at_import in _imported(ast.parse(path.read_text(encoding="utf-8")))
        for imported in {_module_of(each, known) for each in names}
        if imported and imported != name
    ]


def upward(found: Iterable[Import], may_import: Mapping[str, Collection[str]]) -> list[str]:
    """Imports that the table does not allow.

    Args:
        found: the imports.
        may_import: a room, or a sub-package with a rule of its own, to the rooms that it may import.
    """
    return [
        f"{each.importer} imports {each.imported}"
        for each in found
        if (room := each.imported.split(".")[0]) != each.importer.split(".")[0]
        and room not in _rule_of(each.importer, may_import)
    ]


def circles(found: Iterable[Import]) -> list[list[str]]:
    """Modules that import one another in a circle, a list each."""
    graph = nx.DiGraph((each.importer, each.imported) for each in found if each.at_import)
    return [sorted(group) for group in nx.strongly_connected_components(graph) if len(group) > 1]


def enumerations(known: Mapping[str, Path], names: Collection[str], registry: Collection[str]) -> list[str]:
    """Places outside the registry that list the names again.

    Args:
        known: the modules.
        names: what the registry holds.
        registry: modules that may list them.
    """
    return [
        f"{module}:{line}"
        for module, path in known.items()
        if module not in registry
        for line in _lists(ast.parse(path.read_text(encoding="utf-8")), set(names))
    ]


def crowded(root: Path, rooms: Iterable[str]) -> list[str]:
    """Folders with more modules than a reader takes in, `__init__` left out."""
    folders = {path.parent for path in modules(root, rooms).values()}
    counts = {folder: sum(p.name != "__init__.py" for p in folder.glob("*.py")) for folder in sorted(folders)}
    return [f"{folder}: {count}" for folder, count in counts.items() if count > MOST_MODULES]


def misfits(known: Mapping[str, Path]) -> list[str]:
    """Modules that are too long, or so short that they should say why they stand alone."""
    sizes = {name: path.read_text(encoding="utf-8") for name, path in known.items()}
    return [
        f"{name}: {len(text.splitlines())} lines"
        for name, text in sizes.items()
        if len(text.splitlines()) > MOST_LINES
        or (
            len(text.splitlines()) < FEWEST_LINES
            and known[name].name not in {"__init__.py", "__main__.py"}
            and SMALL_BECAUSE not in text
        )
    ]


def _rule_of(importer: str, may_import: Mapping[str, Collection[str]]) -> Collection[str]:
    """The rule of the narrowest package that has one."""
    parts = importer.split(".")
    names = (".".join(parts[:count]) for count in range(len(parts), 0, -1))
    return next((may_import[name] for name in names if name in may_import), ())


def _imported(tree: ast.AST, at_import: bool = True) -> Iterator[tuple[list[str], bool]]:
    for node in ast.iter_child_nodes(tree):
        match node:
            case ast.ImportFrom(module=str(module), names=names):
                yield [f"{module}.{alias.name}" for alias in names], at_import
            case ast.Import(names=names):
                yield [alias.name for alias in names], at_import
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
                yield from _imported(node, at_import=False)
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                yield from _imported(node, at_import=False)
            case _:
                yield from _imported(node, at_import)


def _module_of(name: str, known: Mapping[str, Path]) -> str | None:
    """The known module that an imported name is, or is taken from."""
    below = name.removeprefix("ddxgraph.")
    if below == name:
        return None
    return below if below in known else next((b for b in (below.rpartition(".")[0],) if b in known), None)


def _lists(tree: ast.AST, names: set[str]) -> Iterator[int]:
    """Lines of literals, dictionaries, `Literal` types and `match` statements that hold several of the names."""
    for node in ast.walk(tree):
        match node:
            case ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Set(elts=parts):
                held = [_texts(part) for part in parts]
            case ast.Dict(keys=keys):
                held = [_texts(key) for key in keys if key]
            case ast.Match(cases=cases):
                held = [_texts(case.pattern) for case in cases]
            case _:
                continue
        if len(names & set().union(*held)) >= FEW_NAMES:
            yield node.lineno


def _texts(node: ast.AST) -> set[str]:
    """String constants of an element, itself a constant or a pattern or a tuple's first part."""
    return {
        each.value
        for each in ast.walk(node)
        if isinstance(each, ast.Constant) and isinstance(each.value, str)
    }


def undocumented(known: Mapping[str, Path]) -> list[str]:
    """Public functions of three parameters or more whose docstring lacks a section that it should have."""
    return [
        f"{name}.{function.name}: {', '.join(lacking)}"
        for name, path in known.items()
        for function in _public_functions(ast.parse(path.read_text(encoding="utf-8")))
        if (lacking := _lacking(function))
    ]


def _public_functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.iter_child_nodes(tree):
        match node:
            case ast.ClassDef(name=name) if not name.startswith("_"):
                yield from _public_functions(node)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) if not name.startswith("_"):
                yield node
            case _:
                pass


def _lacking(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """Sections that a docstring lacks: `Raises` is wanted where the body itself raises something."""
    given = function.args
    names = [each.arg for each in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    if len([name for name in names if name not in {"self", "cls"}]) < LONG_SIGNATURE:
        return []
    if any(isinstance(each, ast.Name) and each.id == "override" for each in function.decorator_list):
        return []  # documented where it is first declared
    text = ast.get_docstring(function) or ""
    returns = ast.unparse(function.returns) if function.returns else "None"
    raises = any(isinstance(node, ast.Raise) and node.exc for node in _own_nodes(function))
    wanted = {
        "Args:": True,
        "Returns:": returns not in {"None", "NoReturn"}
        and not returns.startswith(("Iterator", "AsyncIterator", "AsyncGenerator")),
        "Raises:": raises,
    }
    return [section for section, needed in wanted.items() if needed and section not in text]


def _own_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function without those of functions inside it."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield child
            yield from _own_nodes(child)
