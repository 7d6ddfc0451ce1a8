"""The strategies that the command line knows by name."""

import pytest

from ddxgraph import Budget, Patience, Sampling
from ddxgraph.cli.strategies import StrategyName, strategy_of
from ddxgraph.graph.generation import STYLES
from ddxgraph.testing import ScriptedChatModel

SETTINGS = {
    "budget": Budget(max_tokens=5_000),
    "sampling": Sampling(temperature=0.5, seed=3),
    "patience": Patience(away_s=7),
}


@pytest.mark.parametrize("name", StrategyName)
def test_a_name_gives_the_strategy_of_that_name_with_the_runs_settings(name):
    settled = strategy_of(name, **SETTINGS).settle(ScriptedChatModel())
    assert settled.strategy.name == name
    assert settled.strategy.budget.max_tokens == 5_000
    assert settled.provenance.sampling == {"temperature": 0.5, "seed": 3}
    assert settled.wording.patience == Patience(away_s=7)


def test_there_is_a_name_for_the_graph_and_for_each_style():
    assert list(StrategyName) == ["graph", *STYLES]


@pytest.mark.parametrize("style", STYLES)
def test_the_cap_of_a_reply_is_a_single_generations(style):
    settled = strategy_of(StrategyName(style), **SETTINGS, reply_tokens=99).settle(ScriptedChatModel())
    assert settled.strategy.reply_tokens == 99
