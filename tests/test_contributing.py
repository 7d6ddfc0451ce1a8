"""CONTRIBUTING.md: its recipes, followed to the letter in a copy of the checkout, work."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
RECIPES = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("\n## Recipes\n")[2]


class Instruction(NamedTuple):
    """A numbered step of a recipe."""

    words: str
    blocks: list[str]

    @property
    def path(self) -> str:
        """The file that the step is about: the first that it names."""
        return re.findall(r"`([\w/]+\.(?:py|jinja))`", self.words)[0]


def instructions(title: str) -> list[Instruction]:
    recipe = re.search(rf"^### {title}\n(.*?)(?=^### |\Z)", RECIPES, re.MULTILINE | re.DOTALL).group(1)
    steps = re.split(r"^(?=\d\. )", recipe, flags=re.MULTILINE)[1:]
    blocks = re.compile(r"^```(?:python|jinja|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    return [Instruction(step.partition("```")[0], blocks.findall(step)) for step in steps]


def assignment(source: str, name: str) -> ast.AnnAssign:
    """The statement of a module that defines a registry."""
    found = [
        node
        for node in ast.parse(source).body
        if isinstance(node, ast.AnnAssign) and getattr(node.target, "id", "") == name
    ]
    return found[0]


def edited(source: str, block: str, words: str) -> str:
    """A module with a fragment where the step puts it: an import, a function, a statement or an entry."""
    lines = source.splitlines(keepends=True)
    if block.startswith("from "):
        last = max(number for number, line in enumerate(lines) if line.startswith("from ddxgraph"))
        return "".join([*lines[: last + 1], block, *lines[last + 1 :]])
    if block.startswith("def "):
        above = assignment(source, re.search(r"above `(\w+)`", words).group(1)).lineno - 1
        return "".join([*lines[:above], block, "\n\n", *lines[above:]])
    if block[0].isalpha():
        old = assignment(source, block.partition(":")[0])
        return "".join([*lines[: old.lineno - 1], block, *lines[old.end_lineno :]])
    registry = assignment(source, re.search(r"`(_?[A-Z]+)`", words).group(1)).value
    entries, bracket = ast.get_source_segment(source, registry)[:-1].rstrip(" \n,"), source.splitlines()
    close = bracket[registry.end_lineno - 1][registry.end_col_offset - 1]
    return source.replace(ast.get_source_segment(source, registry), f"{entries},\n{block}{close}")


def follow(step: Instruction, checkout: Path) -> None:
    place = checkout / step.path
    if place.exists():
        for block in step.blocks:
            source = place.read_text(encoding="utf-8")
            place.write_text(edited(source, block, step.words), encoding="utf-8")
    else:
        place.write_text(step.blocks[0], encoding="utf-8")


@pytest.fixture
def checkout(tmp_path) -> Path:
    """A copy of the files that git knows."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True
    )
    if listed.returncode:
        pytest.skip("not a git checkout: there is no list of its files")
    for name in filter(None, listed.stdout.decode().split("\0")):
        target = tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_symlink():
            target.symlink_to((ROOT / name).readlink())
        elif (ROOT / name).is_file():
            target.write_bytes((ROOT / name).read_bytes())
    return tmp_path


def run(checkout: Path, *args: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *args],
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": str(checkout / "src")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("title", "command", "shown"),
    [
        ("Add a stop", ("graph",), "check_evidence -> order_tests\norder_tests -> reflect, conclude, end"),
        ("Add a style", ("journeys", "--help"), "case_note"),
        ("Add a benchmark", ("data", "fetch", "bedside", "--from", "examples/cases.jsonl"), "as published"),
        ("Add a form of training data", ("journeys", "--help"), "preferences"),
    ],
)
def test_a_recipe_works_as_it_stands(title, command, shown, checkout, monkeypatch):
    monkeypatch.setenv("DDXGRAPH_CACHE", str(checkout / "cache"))
    steps = instructions(title)
    for step in steps:
        follow(step, checkout)
    changed = [step.path for step in steps if step.path.endswith(".py")]
    run(checkout, "ruff", "check", "--fix", *changed)
    run(checkout, "ruff", "format", *changed)
    assert "1 passed" in run(checkout, "pytest", "-q", steps[-1].path)
    assert shown in run(checkout, "ddxgraph", *command)
