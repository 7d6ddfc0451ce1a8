"""One base catches every error that ddxgraph raises on purpose, and the command line knows two kinds."""

import ast
import builtins
import pkgutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import typer

import ddxgraph
from ddxgraph.common import errors
from ddxgraph.common.errors import BadInput, DdxgraphError, NotDone, PortTaken, Stopped

PACKAGE = Path(ddxgraph.__file__).parent
OUTSIDE = {"ddxgraph.__main__", "ddxgraph.serving.launch"}
"""Modules that act when they are imported."""
PROGRAMMING = {
    "face",  # a package's own table of names is wrong
    "get",  # Python's own protocol for a missing attribute
    "_text",  # caught by the reader of a benchmark, which names the row
    "_postgres",  # becomes a CheckpointError
    "ask",  # a node was written wrongly
    "run_blocking",  # a node was written wrongly
    "row_of",  # caught by the table of a run, which leaves the trace out
}
"""Functions that raise a built-in exception on purpose."""


def exception_classes():
    classes = set()
    for module in pkgutil.walk_packages([str(PACKAGE)], "ddxgraph."):
        if module.name not in OUTSIDE:
            values = vars(import_module(module.name)).values()
            classes |= {
                value
                for value in values
                if isinstance(value, type)
                and issubclass(value, BaseException)
                and value.__module__.startswith("ddxgraph.")
            }
    return sorted(classes, key=lambda kind: (kind.__module__, kind.__name__))


def test_every_exception_is_of_one_base_and_one_kind():
    classes = exception_classes()
    assert len(classes) > 40
    for kind in classes:
        if not issubclass(kind, Exception) or kind is DdxgraphError:
            continue  # a request to stop, which nothing may take for a failure
        if kind.__name__.startswith("_"):
            continue  # control flow within one module
        assert issubclass(kind, BadInput) != issubclass(kind, NotDone), kind
        assert issubclass(kind, DdxgraphError), kind


def test_every_exception_is_documented():
    for kind in exception_classes():
        assert (kind.__dict__.get("__doc__") or "").strip(), kind


def test_today_s_built_in_bases_stay():
    assert issubclass(BadInput, ValueError)
    assert issubclass(NotDone, RuntimeError)
    assert issubclass(PortTaken, OSError)
    assert issubclass(errors.MissingExtra, ImportError)
    assert issubclass(errors.PromptError, FileNotFoundError)
    assert not issubclass(Stopped, Exception)


def test_public_exceptions_can_be_told_from_others_without_any_room():
    script = (
        "import sys, ddxgraph\n"
        "assert issubclass(ddxgraph.GateError, ddxgraph.DdxgraphError)\n"
        "rooms = {name.split('.')[1] for name in sys.modules if name.startswith('ddxgraph.')}\n"
        "assert rooms == {'common'}, rooms\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def speaking():
    """The file that turns errors into sentences and exit codes."""
    return next(path for path in (PACKAGE / "cli").rglob("*.py") if "def spoken(" in path.read_text("utf-8"))


def test_the_command_line_knows_two_kinds():
    tree = ast.parse(speaking().read_text("utf-8"))
    spoken = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "spoken")
    caught = {
        ast.unparse(node.type)
        for node in ast.walk(spoken)
        if isinstance(node, ast.ExceptHandler) and node.type
    }
    assert caught - {"OSError", "KeyboardInterrupt"} == {"BadInput", "NotDone"}


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.GateError("no"), 2),
        (errors.MissingExtra("no"), 2),
        (errors.TrainingError("no"), 1),
        (OSError("no"), 1),
        (Stopped("no"), 130),
    ],
)
def test_a_kind_is_an_exit_code(error, code, capsys):
    spoken = import_module(f"ddxgraph.cli.{speaking().stem}").spoken

    def command():
        raise error

    with pytest.raises(typer.Exit) as ended:
        spoken(command)()
    assert ended.value.exit_code == code
    assert "no" in capsys.readouterr().err


def python_files(folder):
    for entry in sorted(folder.iterdir()):  # `rglob` does not follow the links to the rooms
        if entry.is_dir():
            yield from python_files(entry)
        elif entry.suffix == ".py":
            yield entry


def raised_built_ins():
    """Functions with a `raise` of a built-in exception, other than pydantic's validators."""
    kinds = {name for name, value in vars(builtins).items() if isinstance(value, type)}
    kinds -= {"AssertionError", "KeyboardInterrupt", "StopIteration", "SystemExit"}
    for path in python_files(PACKAGE):
        for function in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            if any("validator" in ast.unparse(decorator) for decorator in function.decorator_list):
                continue
            for node in ast.walk(function):
                if isinstance(node, ast.Raise) and node.exc:
                    raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
                    if ast.unparse(raised) in kinds:
                        yield function.name


def test_input_is_never_blamed_by_a_built_in_exception():
    assert set(raised_built_ins()) == PROGRAMMING
