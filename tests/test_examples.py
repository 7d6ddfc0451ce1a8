"""The examples in the docstrings of public names run, and show what they say."""

import doctest
import sys

import pytest

import ddxgraph

EXAMPLES = {
    name: found[0]
    for name in ddxgraph.__all__
    if (found := doctest.DocTestFinder(recurse=False).find(getattr(ddxgraph, name), name))
    and found[0].examples
}


def test_the_twenty_most_used_names_have_an_example():
    assert len(EXAMPLES) >= 20
    assert {"Case", "Trace", "build_graph", "compile_journey", "gate", "run", "score_run", "solve"} <= set(
        EXAMPLES
    )


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_shows_what_it_says(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    failed, tried = runner.run(EXAMPLES[name], out=sys.stdout.write)
    assert (failed, tried) == (0, len(EXAMPLES[name].examples))
