"""The registry of strategies, and what is made by their names."""

import pytest

from ddxgraph import Budget, Patience, Sampling
from ddxgraph.common.errors import BadInput
from ddxgraph.graph.strategy import strategy_of
from ddxgraph.nodes.strategies import UnknownStrategy, generating, generation_names, strategy_names
from ddxgraph.testing import ScriptedChatModel

SETTINGS = {
    "budget": Budget(max_tokens=5_000),
    "sampling": Sampling(temperature=0.5, seed=3),
    "patience": Patience(away_s=7),
}


@pytest.mark.parametrize("name", strategy_names())
def test_a_name_gives_the_strategy_of_that_name_with_the_runs_settings(name):
    settled = strategy_of(name, **SETTINGS).settle(ScriptedChatModel())
    assert settled.strategy.name == name
    assert settled.strategy.budget.max_tokens == 5_000
    assert settled.provenance.sampling == {"temperature": 0.5, "seed": 3}
    assert settled.wording.patience == Patience(away_s=7)


def test_there_is_a_name_for_the_graph_and_for_each_style():
    assert strategy_names() == ("graph", *generation_names())
    assert generation_names() == (
        "vanilla",
        "cot",
        "longstep",
        "straight",
        "shortcut",
        "longmonolog",
    )


def test_a_name_that_is_unknown_is_refused_with_the_known_ones():
    with pytest.raises(UnknownStrategy, match="there is no strategy 'tot': use one of graph, vanilla, cot"):
        strategy_of("tot")
    with pytest.raises(UnknownStrategy, match="no strategy of one generation 'graph': use one of vanilla"):
        generating("graph")


def test_the_cap_of_a_reply_is_not_for_the_graph():
    with pytest.raises(BadInput, match="for a single generation"):
        strategy_of("graph", reply_tokens=99)


@pytest.mark.parametrize("style", generation_names())
def test_the_cap_of_a_reply_is_a_single_generations(style):
    settled = strategy_of(style, **SETTINGS, reply_tokens=99).settle(ScriptedChatModel())
    assert settled.strategy.reply_tokens == 99
