"""The graph as a strategy: what it settles, what it shares, what it keeps."""

import pytest
from journeys import AT_ONCE, CASE, STRAIGHT, course, timeless
from langchain_core.exceptions import ModelConnectionError
from langgraph.checkpoint.memory import InMemorySaver

from ddxgraph import (
    Budget,
    CaseTooLong,
    GraphStrategy,
    Limits,
    Patience,
    Policy,
    Sampling,
    Strategy,
    asolve,
    build_graph,
)
from ddxgraph.testing import ScriptedChatModel

SETTINGS = {
    "budget": Budget(max_calls=20),
    "limits": Limits.brief(),
    "policy": Policy(min_margin=0.2),
    "sampling": Sampling(temperature=0.5, seed=3),
    "context_window": 16_000,
}


def test_the_graph_is_a_strategy():
    assert isinstance(GraphStrategy(), Strategy)


def test_what_cannot_settle_is_no_strategy():
    assert not isinstance(lambda case, model, sample=0: None, Strategy)


@pytest.mark.parametrize("settings", [{}, SETTINGS], ids=["default", "all set"])
async def test_it_walks_as_a_graph_of_the_same_settings_does(settings):
    model = ScriptedChatModel(script=STRAIGHT)
    direct = await asolve(build_graph(model, **settings), CASE, 2)
    assert timeless(await GraphStrategy(**settings)(CASE, model, 2)) == timeless(direct)


@pytest.mark.parametrize("sample", [0, 1, 7])
@pytest.mark.parametrize("settings", [{}, SETTINGS], ids=["default", "all set"])
async def test_a_trace_is_what_was_settled_before(settings, sample):
    model, strategy = ScriptedChatModel(), GraphStrategy(**settings)
    settled = strategy.settle(model)
    trace = await strategy(CASE, model, sample)
    assert trace.id == settled.trace_id(CASE, sample)
    assert trace.strategy == settled.strategy
    assert trace.provenance.model_copy(update={"started_at": ""}) == settled.provenance
    assert trace.sample == sample


@pytest.mark.parametrize("setting", [*SETTINGS, "model"])
def test_whatever_decides_a_traversal_changes_its_id(setting):
    plain = GraphStrategy().settle(ScriptedChatModel()).trace_id(CASE)
    model = ScriptedChatModel(model_name="another" if setting == "model" else "scripted")
    strategy = GraphStrategy(**{key: value for key, value in SETTINGS.items() if key == setting})
    assert strategy.settle(model).trace_id(CASE) != plain


@pytest.mark.parametrize("settings", [{"patience": Patience(away_s=1)}, {"checkpointer": InMemorySaver()}])
def test_how_it_is_done_does_not_change_its_id(settings):
    model = ScriptedChatModel()
    assert GraphStrategy(**settings).settle(model).trace_id(CASE) == GraphStrategy().settle(model).trace_id(
        CASE
    )


def test_the_graph_is_compiled_once_for_each_model():
    strategy, one, other = GraphStrategy(), ScriptedChatModel(), ScriptedChatModel()
    assert strategy.settle(one) is strategy.settle(one)
    assert strategy.settle(one) is not strategy.settle(other)
    assert strategy.settle(other).wording.model is other


async def test_an_engines_failure_is_no_exception():
    model = ScriptedChatModel(script={"reflect": ModelConnectionError("refused")})
    trace = await GraphStrategy(patience=AT_ONCE)(CASE, model)
    assert (trace.outcome, trace.failure.kind) == ("error", "connection")


async def test_its_patience_is_the_one_it_was_given():
    troubled = [ModelConnectionError("refused"), STRAIGHT["reflect"]]
    model = ScriptedChatModel(script=STRAIGHT | {"reflect": troubled})
    trace = await GraphStrategy(patience=Patience(away_s=30, first_wait_s=0.001))(CASE, model)
    assert trace.outcome == "answered"


async def test_a_case_that_does_not_fit_the_window_is_an_exception():
    with pytest.raises(CaseTooLong):
        await GraphStrategy(context_window=1_000)(CASE, ScriptedChatModel())


async def test_with_a_checkpointer_what_an_engine_broke_goes_on_from_there():
    troubled = [ModelConnectionError("refused"), STRAIGHT["reflect"]]
    model = ScriptedChatModel(script=STRAIGHT | {"reflect": troubled})
    strategy = GraphStrategy(patience=AT_ONCE, checkpointer=InMemorySaver())
    broken = await strategy(CASE, model)
    assert (broken.outcome, len(model.requests)) == ("error", 7)
    mended = await strategy(CASE, model)
    assert (mended.outcome, mended.answer, mended.id) == ("answered", "B", broken.id)
    assert len(model.requests) == 9
    straight = await GraphStrategy()(CASE, ScriptedChatModel(script=STRAIGHT))
    assert course(mended) == course(straight)


async def test_with_a_checkpointer_the_samples_of_a_case_are_kept_apart():
    model, strategy = ScriptedChatModel(script=STRAIGHT), GraphStrategy(checkpointer=InMemorySaver())
    first, second = await strategy(CASE, model, 0), await strategy(CASE, model, 1)
    assert (first.sample, second.sample) == (0, 1)
    assert first.id != second.id
    assert len(model.requests) == 16
