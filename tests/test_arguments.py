"""Arguments of another kind than the one documented are taken, or refused in a sentence."""

import asyncio
import json

import pytest
from journeys import CASE, OPTIONS, STRAIGHT, VIGNETTE

from ddxgraph import (
    GenerationStrategy,
    GraphStrategy,
    asolve,
    build_graph,
    read_cases,
    run,
    solve,
)
from ddxgraph.common.errors import BadInput
from ddxgraph.testing import ScriptedChatModel

FIELDS = {**CASE.model_dump(), "answer": "B"}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "cases.jsonl"
    path.write_text(json.dumps(FIELDS) + "\n", encoding="utf-8")
    return path


async def ran(cases, **settings):
    model = ScriptedChatModel(script=STRAIGHT)
    traces = [trace async for trace in run(cases, model, **settings)]
    return traces, json.dumps([str(request.messages) for request in model.requests])


@pytest.mark.parametrize("out", [None, "run"])
@pytest.mark.parametrize("form", ["file", "list", "mapping", "pair", "case", "generator"])
async def test_a_run_takes_cases_in_every_form(form, out, file, tmp_path):
    given = {
        "file": read_cases(file),
        "list": list(read_cases(file)),
        "mapping": [FIELDS],
        "pair": [(CASE, None)],
        "case": [CASE],
        "generator": (case for case, _ in read_cases(file)),
    }[form]
    traces, _ = await ran(given, out=tmp_path / out if out else None)
    assert [trace.case for trace in traces] == [CASE]
    assert traces[0].answer == "B"


async def test_a_gold_answer_in_a_mapping_reaches_no_prompt_and_no_trace():
    secret = {**FIELDS, "answer": "Zebra fever"}
    traces, prompts = await ran([secret])
    assert "Zebra" not in prompts
    assert "Zebra" not in traces[0].to_json()


@pytest.mark.parametrize("given", [FIELDS, (CASE, None), CASE], ids=["mapping", "pair", "case"])
def test_a_single_traversal_takes_them_too(given):
    graph = build_graph(ScriptedChatModel(script=STRAIGHT))
    assert solve(graph, given).case == asyncio.run(asolve(graph, given)).case == CASE


@pytest.mark.parametrize(
    ("cases", "said"),
    [
        ("cases.jsonl", r"cases is a path: give the cases of the file, `read_cases\('cases.jsonl'\)`"),
        (CASE, "cases is a single case: put it into a list"),
        (FIELDS, "cases is a single case: put it into a list"),
        (7, "cases is int: give a list of cases"),
        ([VIGNETTE], "str is no case: give a `Case`, a mapping of its fields, or what `read_cases` yields"),
        ([{"vignette": VIGNETTE, "option": OPTIONS}], r"this mapping is no case: option: Extra inputs"),
        ([{"options": OPTIONS}], r"this mapping is no case: vignette: Field required"),
        ([None], "NoneType is no case"),
    ],
)
async def test_what_is_no_case_is_refused_in_a_sentence(cases, said):
    with pytest.raises(BadInput, match=said):
        await ran(cases)


class NoSettle:
    def __call__(self, case, model, sample=0):
        raise AssertionError


@pytest.mark.parametrize(
    ("strategy", "said"),
    [
        (GraphStrategy, r"the strategy is the class GraphStrategy: give an instance, GraphStrategy\(\)"),
        (NoSettle(), r"NoSettle is no strategy: it needs the methods `settle` and `__call__`"),
        (lambda case, model: None, r"function is no strategy"),
        ("graph", r"str is no strategy"),
    ],
)
async def test_what_is_no_strategy_is_refused_in_a_sentence(strategy, said):
    with pytest.raises(BadInput, match=said):
        await ran([CASE], strategy=strategy)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (
            "gpt-4o",
            r"the model is the name 'gpt-4o': give .*`ddxgraph.connect\(model='gpt-4o'\)`",
        ),
        (ScriptedChatModel().bind(stop=["x"]), r"Binding, not a LangChain chat model"),
        (None, r"the model is NoneType, not"),
        (ScriptedChatModel, r"not a LangChain chat model"),
    ],
)
def test_what_is_no_chat_model_is_refused_in_a_sentence(model, said):
    with pytest.raises(BadInput, match=said):
        build_graph(model)
    with pytest.raises(BadInput, match=said):
        GraphStrategy().settle(model)
    with pytest.raises(BadInput, match=said):
        GenerationStrategy(style="vanilla").settle(model)
