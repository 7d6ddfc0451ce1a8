"""The notebook of examples/: committed clean, and run from its first cell to its last on the embedded model."""

import ast
import os
import re
import shutil
from collections import Counter
from pathlib import Path

import nbformat
import pytest
from ipykernel.kernelspec import write_kernel_spec
from nbclient import NotebookClient
from nbformat import NotebookNode

from ddxgraph import read_cases
from ddxgraph.common.files import CACHE_VARIABLE
from ddxgraph.serving.weights import SMOLLM2, pull

EXAMPLES = Path(__file__).parents[1] / "examples"
TOUR = EXAMPLES / "tour.ipynb"
CASES = EXAMPLES / "cases.jsonl"
PARSE = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
"""A notebook may await outside functions."""


def read(path: Path) -> NotebookNode:
    return nbformat.read(path, as_version=4)


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_the_notebook_is_valid_and_committed_as_nbformat_writes_it():
    notebook = read(TOUR)
    nbformat.validate(notebook)
    assert TOUR.read_text(encoding="utf-8") == nbformat.writes(notebook)


def test_the_notebook_holds_no_outputs_and_nothing_of_the_machine():
    notebook = read(TOUR)
    assert notebook.metadata == {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in notebook.cells:
        assert cell.metadata == {}
    for cell in code_cells(notebook):
        assert (cell.outputs, cell.execution_count) == ([], None)


def test_every_code_cell_parses_and_names_no_path_of_a_machine():
    for cell in code_cells(read(TOUR)):
        tree = compile(cell.source, cell.id, "exec", PARSE, dont_inherit=True)
        texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
        assert not [text for text in texts if isinstance(text, str) and text.startswith(("/", "~", ".."))]


def test_what_the_notebook_points_to_is_there():
    told = "\n".join(cell.source for cell in read(TOUR).cells if cell.cell_type == "markdown")
    links = re.findall(r"\]\(([^)]+)\)", told)
    assert links
    assert [link for link in links if not (EXAMPLES / link).is_file()] == []
    assert "not a medical device" in told


def test_the_cases_have_gold_answers_and_balanced_letters():
    entries = list(read_cases(CASES))
    assert [entry.case.id for entry in entries] == [f"example-{number}" for number in range(1, 7)]
    for case, gold in entries:
        assert gold is not None
        assert list(case.options) == list("ABCD")
        assert case.source == "ddxgraph examples"
    letters = Counter(gold.answer for _, gold in entries if gold)
    assert set(letters) == set("ABCD")
    assert max(letters.values()) - min(letters.values()) <= 1


class Ran:
    """A notebook after its run: what each cell showed."""

    def __init__(self, notebook: NotebookNode, place: Path) -> None:
        self.cells = {cell.id: cell for cell in code_cells(notebook)}
        self.place = place

    def printed(self, cell: str) -> str:
        return "".join(one.text for one in self._outputs(cell, "stream") if one.name == "stdout")

    def shown(self, cell: str, kind: str) -> str:
        """What the cell's last expression is in a format."""
        [result] = self._outputs(cell, "execute_result")
        return result.data[kind]

    def complaints(self) -> list[str]:
        return [
            one.text for name in self.cells for one in self._outputs(name, "stream") if one.name == "stderr"
        ]

    def _outputs(self, cell: str, kind: str) -> list[NotebookNode]:
        return [one for one in self.cells[cell].outputs if one.output_type == kind]


def contents(folder: Path) -> dict[str, bytes]:
    """Files and what they hold; not what tools keep in folders of their own, such as `.ruff_cache`."""
    found = {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file()}
    return {str(name): path.read_bytes() for name, path in found.items() if not name.parts[0].startswith(".")}


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """The notebook, run in a copy of its folder by this very interpreter, away from the user's settings."""
    root = tmp_path_factory.mktemp("notebook")
    before = contents(EXAMPLES)
    shutil.copytree(EXAMPLES, root / "examples")
    write_kernel_spec(root / "jupyter" / "kernels" / "python3")  # it names sys.executable
    (root / "written").mkdir()
    (root / "cache").mkdir()
    (root / "cache" / "models").symlink_to(pull().parent)
    with pytest.MonkeyPatch.context() as patched:
        for name in [name for name in os.environ if name.startswith("DDXGRAPH_")]:
            patched.delenv(name)
        patched.setenv(CACHE_VARIABLE, str(root / "cache"))
        patched.setenv("PIP_NO_INDEX", "1")
        patched.setenv("TMPDIR", str(root / "written"))
        patched.setenv("JUPYTER_PATH", str(root / "jupyter"))
        for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
            patched.setenv(name, str(root / name.lower()))
        notebook = read(root / "examples" / TOUR.name)
        NotebookClient(
            notebook,
            timeout=900,
            kernel_name="python3",
            resources={"metadata": {"path": str(root / "examples")}},
        ).execute()
    assert contents(EXAMPLES) == before
    return Ran(notebook, root)


@pytest.mark.alone
def test_the_embedded_model_solves_the_case(ran):
    assert ran.printed("connect") == f"{SMOLLM2.name}\n"
    assert re.search(r"^answer [A-D], gold answer B$", ran.printed("solve"), re.MULTILINE)
    assert re.search(r"^[1-9]\d* calls, [1-9]\d* tokens written$", ran.printed("solve"), re.MULTILINE)


@pytest.mark.alone
def test_the_trace_shows_itself(ran):
    page = ran.shown("look", "text/html")
    assert "<iframe" in page
    assert "Bronchogenic carcinoma" in page
    assert "<svg" in ran.shown("draw", "image/svg+xml")
    assert re.search(r"^flowchart ", ran.printed("mermaid"))
    counts, *weighed = ran.printed("ask").splitlines()
    assert re.fullmatch(r"[1-9]\d* nodes, [1-9]\d* edges", counts)
    assert weighed
    assert all(re.match(r"[+-][0-2] on .+, by .+: ", line) for line in weighed)


@pytest.mark.alone
def test_every_case_is_taken_twice_and_scored(ran):
    told = re.findall(r"^(example-\d), sample (\d): answer [A-D],", ran.printed("batch"), re.MULTILINE)
    assert sorted(told) == [(f"example-{case}", str(sample)) for case in range(1, 3) for sample in range(2)]
    assert ran.printed("score").startswith("4 traversals, 0 unscored\naccuracy 0.")


@pytest.mark.alone
def test_the_moves_of_all_journeys_are_counted(ran):
    table = ran.shown("transitions", "text/markdown")
    assert re.search(r"^\| reflect \| conclude \| 4 \| [01]\.\d\d \|", table, re.MULTILINE)


@pytest.mark.alone
def test_the_gate_says_what_it_rejects(ran):
    [accepted, read_in] = map(int, re.findall(r"\d+", ran.printed("gate")))
    reasons = re.findall(r"^\| (\d+) \| .+ \|$", ran.shown("gate", "text/markdown"), re.MULTILINE)
    assert read_in == 4
    assert sum(map(int, reasons)) == 4 - accepted > 0


@pytest.mark.alone
def test_a_sample_to_train_on_is_compiled_and_printed(ran):
    assert ran.printed("relaxed") == "4 of 4 accepted\n"
    assert ran.printed("compile").startswith("4 samples\n")
    for name in ("README.md", "gate.json", "gate.md", "journeys.json", "train.jsonl"):
        assert f"  {name}\n" in ran.printed("compile")
    roles = re.findall(r"^--- (\w+)$", ran.printed("sample"), re.MULTILINE)
    assert roles[-2:] == ["user", "assistant"]
    assert re.search(r"^Answer: [A-D]", ran.printed("sample"), re.MULTILINE)
    assert ran.printed("card").startswith("# ")


@pytest.mark.alone
def test_it_complains_of_nothing_and_leaves_nothing_behind(ran):
    assert ran.complaints() == []
    assert contents(ran.place / "examples") == contents(EXAMPLES)
    assert list((ran.place / "written").glob("ddxgraph-tour-*")) == []
