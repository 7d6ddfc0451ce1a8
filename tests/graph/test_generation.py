"""Strategies of a single generation: their traces, what they may spend, and how they run in a folder."""

import asyncio
import json
import math

import jsonschema
import pytest
from journeys import AT_ONCE, CASE, FREE, timeless
from langchain_core.exceptions import ModelConnectionError, ModelTimeoutError
from langchain_core.messages import AIMessage

import ddxgraph
from ddxgraph import Budget, Case, CaseTooLong, GraphStrategy, Limits, Policy, Sampling, Strategy, Trace
from ddxgraph.graph.generation import GenerationStrategy, generation_prompts
from ddxgraph.nodes.call.consultation import BRIEF_KEY, CONVERSATION_KEY, MIN_REPLY_TOKENS
from ddxgraph.nodes.call.statement import STATEMENT_RULE
from ddxgraph.nodes.call.usage import estimate_tokens
from ddxgraph.nodes.strategies import generating, generation_names
from ddxgraph.testing import Request, ScriptedChatModel

STYLES = generation_names()

FREE_TEXT = tuple(style for style in STYLES if style != "vanilla")
ALL_SET = {
    "budget": Budget(max_calls=20),
    "limits": Limits.brief(),
    "policy": Policy(min_margin=0.2),
    "sampling": Sampling(temperature=0.5, seed=3),
    "context_window": 16_000,
}
every_style = pytest.mark.parametrize("style", STYLES)
every_free_text = pytest.mark.parametrize("style", FREE_TEXT)


def stating(style: str, answer: str = "B") -> str:
    """A reply in a style that states an answer."""
    return (
        json.dumps({"answer": answer})
        if style == "vanilla"
        else f"Crackles speak for it.\n\nAnswer: {answer}"
    )


def scripted(*replies, **settings) -> ScriptedChatModel:
    return ScriptedChatModel(script={"generate": list(replies)}, **settings)


def cut(text: str) -> AIMessage:
    return AIMessage(text, response_metadata={"finish_reason": "length"})


async def taken(style: str, *replies, case: Case = CASE, **settings) -> Trace:
    """The trace of one case, of which everything that holds for all is checked."""
    model = scripted(*replies)
    strategy = GenerationStrategy(style=style, patience=AT_ONCE, **settings)
    trace = await strategy(case, model, 2)
    (step,) = trace.steps
    assert trace.id == strategy.settle(model).trace_id(case, 2)
    assert (trace.sample, trace.case, trace.strategy.name) == (2, case, style)
    assert (step.node, step.index, step.parent, step.branch, step.move.to) == (
        "generate",
        0,
        None,
        None,
        "end",
    )
    assert trace.usage == step.usage
    assert trace.usage.calls == len(model.requests)
    assert trace.failure == step.failure
    assert (trace.backtracks, trace.trajectory(), trace.compactions) == (0, [{}], ())
    assert Trace.model_validate_json(trace.to_json()) == trace
    jsonschema.validate(json.loads(trace.to_json()), Trace.model_json_schema())
    return trace


@every_style
@pytest.mark.parametrize(("case", "answer"), [(CASE, "B"), (FREE, "Pneumonia")], ids=["options", "free"])
async def test_a_stated_answer_is_the_traces_answer(style, case, answer):
    trace = await taken(style, stating(style, answer), case=case)
    assert (trace.outcome, trace.ended, trace.answer, trace.failure) == (
        "answered",
        "concluded",
        answer,
        None,
    )
    (step,) = trace.steps
    assert step.move.trigger == "self"
    assert (step.output.kind, step.output.answer) == ("generation", answer)
    assert step.output.rule == ("" if style == "vanilla" else STATEMENT_RULE)
    assert step.text == stating(style, answer)
    assert step.prompt_hash == generation_prompts(style).hashes[style]
    assert trace.provenance.prompt_set == generation_prompts(style).hash
    assert trace.elapsed_s >= step.latency_s > 0


@every_style
async def test_a_trace_gives_the_conversation_back(style):
    model = scripted(stating(style))
    trace = await GenerationStrategy(style=style)(CASE, model)
    asked = model.requests[0].messages
    assert [message.type for message in asked] == ["system", "human"]
    assert trace.messages() == [*asked, AIMessage(stating(style))]
    assert trace.steps[0].prompt in asked[-1].text


async def test_the_distribution_of_a_trace_is_its_generations():
    top = [{"token": " B", "logprob": math.log(0.5)}, {"token": " A", "logprob": math.log(0.3)}]
    content = [
        {"token": "Answer:", "logprob": 0.0},
        {"token": " B", "logprob": math.log(0.5), "top_logprobs": top},
    ]
    trace = await taken("cot", AIMessage("Answer: B", response_metadata={"logprobs": {"content": content}}))
    assert trace.distribution_from == "logprobs"
    assert trace.distribution == pytest.approx({"A": 0.3, "B": 0.5, "C": 0.1, "D": 0.1})


@every_free_text
async def test_a_text_that_states_nothing_is_unparsed_after_one_call(style):
    trace = await taken(style, "It is pneumonia.", stating(style))
    assert (trace.outcome, trace.ended, trace.answer, trace.usage.calls) == ("unparsed", "concluded", None, 1)
    assert trace.failure.boundary == "parse"
    assert trace.steps[0].text == "It is pneumonia."


async def test_a_bare_answer_is_repaired_once_and_then_unparsed():
    mended = await taken("vanilla", "B", stating("vanilla"))
    assert (mended.outcome, mended.usage.calls, len(mended.steps[0].attempts)) == ("answered", 2, 1)
    broken = await taken("vanilla", "B", "B", stating("vanilla"))
    assert (broken.outcome, broken.ended, broken.usage.calls) == ("unparsed", "concluded", 2)
    assert broken.failure.boundary == "parse"


@every_style
async def test_a_reply_that_is_cut_off_at_its_cap_is_unparsed_for_want_of_tokens(style):
    trace = await taken(style, cut('{"answer": "B'))
    assert (trace.outcome, trace.ended, trace.answer) == ("unparsed", "budget_tokens", None)
    assert trace.steps[0].output.truncated


@every_style
@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ModelTimeoutError("30 s"), "timeout"),
        (ModelConnectionError("refused"), "connection"),
        (KeyError("x"), "other"),
    ],
)
async def test_an_engines_failure_is_unscored(style, error, kind):
    trace = await taken(style, error)
    assert (trace.outcome, trace.ended, trace.answer) == ("error", "failure", None)
    assert (trace.failure.boundary, trace.failure.kind, trace.failure.node) == ("engine", kind, "generate")
    assert trace.steps[0].move.trigger == "engine"


@every_style
async def test_a_failed_call_is_made_again_with_patience(style):
    model = scripted(ModelConnectionError("refused"), stating(style))
    patience = ddxgraph.Patience(away_s=30, first_wait_s=0.001)
    trace = await GenerationStrategy(style=style, patience=patience)(CASE, model)
    assert (trace.outcome, len(model.requests)) == ("answered", 2)


@every_style
async def test_a_budget_without_calls_makes_none(style):
    trace = await taken(style, stating(style), budget=Budget(max_calls=0))
    assert (trace.outcome, trace.ended, trace.usage.calls) == ("abstained", "budget_calls", 0)
    assert (trace.steps[0].prompt, trace.steps[0].text, trace.failure) == ("", "", None)


@every_style
async def test_a_budget_of_tokens_caps_the_reply_or_forbids_it(style):
    plain = await taken(style, stating(style))
    prompt = estimate_tokens((plain.system, plain.opening, plain.steps[0].prompt))
    outcomes = set()
    for spare in range(0, 200, 20):
        model = scripted(stating(style))
        trace = await GenerationStrategy(style=style, budget=Budget(max_tokens=prompt + spare))(CASE, model)
        outcomes.add((trace.outcome, trace.ended))
        assert bool(model.requests) == (spare >= MIN_REPLY_TOKENS)
        if model.requests:
            assert model.requests[0].options["max_tokens"] == min(spare, generating(style).most_tokens())
    assert outcomes == {("abstained", "budget_tokens"), ("answered", "concluded")}


@every_style
async def test_the_window_caps_the_reply(style):
    model = scripted(stating(style))
    trace = await GenerationStrategy(style=style, context_window=1_500)(CASE, model)
    cap = model.requests[0].options["max_tokens"]
    assert trace.outcome == "answered"
    assert cap <= generating(style).most_tokens()
    assert cap + estimate_tokens(str(m.text) for m in model.requests[0].messages) <= 1_500


@every_style
async def test_a_case_that_does_not_fit_the_window_is_an_exception(style):
    with pytest.raises(CaseTooLong, match="context window"):
        await GenerationStrategy(style=style, context_window=300)(CASE, ScriptedChatModel())


@every_style
@pytest.mark.parametrize("brief", [True, False])
def test_replies_are_as_long_as_the_style_and_the_model_allow(style, brief):
    model = ScriptedChatModel(metadata={BRIEF_KEY: brief})
    settled = GenerationStrategy(style=style).settle(model).strategy
    assert settled.reply_tokens == generating(style).most_tokens(brief=brief)
    assert GenerationStrategy(style=style, reply_tokens=33).settle(model).strategy.reply_tokens == 33


@every_style
async def test_a_cap_of_its_own_is_sent(style):
    model = scripted(stating(style))
    await GenerationStrategy(style=style, reply_tokens=33)(CASE, model)
    assert model.requests[0].options["max_tokens"] == 33


@every_style
def test_the_settings_tell_what_may_be_spent(style):
    settled = GenerationStrategy(style=style, budget=Budget(max_tokens=9_000)).settle(ScriptedChatModel())
    calls = 2 if style == "vanilla" else 1
    assert settled.strategy.budget == Budget(max_tokens=9_000, max_calls=calls, max_backtracks=0)


@every_style
async def test_a_sample_has_its_seed_and_its_conversation(style):
    seen: list[Request] = []

    class Listening(ScriptedChatModel):
        async def ainvoke(self, given, config=None, **kwargs):
            seen.append(config["metadata"][CONVERSATION_KEY])
            return await super().ainvoke(given, config, **kwargs)

    model = Listening(script={"generate": stating(style)})
    strategy = GenerationStrategy(style=style, sampling=Sampling(temperature=0.7, seed=5))
    traces = [await strategy(CASE, model, sample) for sample in (0, 3)]
    assert [request.options["seed"] for request in model.requests] == [5, 8]
    assert seen == [trace.id for trace in traces]
    assert len(set(seen)) == 2


def test_each_style_is_a_strategy_of_its_own():
    strategies = [GraphStrategy(), *(GenerationStrategy(style=style) for style in STYLES)]
    assert all(isinstance(strategy, Strategy) for strategy in strategies)
    assert len({strategy.settle(ScriptedChatModel()).trace_id(CASE) for strategy in strategies}) == len(
        strategies
    )


@pytest.mark.parametrize(
    "setting",
    [
        {"sampling": Sampling(seed=1)},
        {"reply_tokens": 99},
        {"budget": Budget(max_tokens=9_000)},
        {"context_window": 9_000},
    ],
    ids=lambda setting: next(iter(setting)),
)
def test_whatever_decides_a_generation_changes_its_id(setting):
    model = ScriptedChatModel()
    plain, other = GenerationStrategy(style="cot"), GenerationStrategy(style="cot", **setting)
    assert plain.settle(model).trace_id(CASE) != other.settle(model).trace_id(CASE)


@pytest.mark.parametrize(
    "setting", [{"budget": Budget(max_calls=40, max_backtracks=9)}, {"patience": AT_ONCE}]
)
def test_what_decides_nothing_does_not_change_its_id(setting):
    model = ScriptedChatModel()
    plain, other = GenerationStrategy(style="cot"), GenerationStrategy(style="cot", **setting)
    assert plain.settle(model).trace_id(CASE) == other.settle(model).trace_id(CASE)


@pytest.mark.parametrize(
    ("settings", "digest", "trace_id"),
    [
        ({}, "7438320709fb99ef3d91e18d218dd355f47925eb49b62bfd9a7323d967251ac9", "ec3c380ca38ea80f"),
        (ALL_SET, "f062fc78dcf12bf6074b8ca59cda684d6cb42ac4e2d86873a13050cf07aadef3", "756f7523ab443c02"),
        (
            {"sampling": Sampling(temperature=0.0, seed=0)},
            "b2044e74110900e41f570cd2bab288584e13be3d9a60fed18038ff9dacf47a14",
            "11b306fb772fada2",
        ),
    ],
    ids=["default", "all set", "as the command line has it"],
)
def test_the_graphs_traces_keep_their_ids(settings, digest, trace_id):
    """Runs that were paid for go on: a setting or a prompt of another strategy is not the graph's."""
    settled = GraphStrategy(**settings).settle(ScriptedChatModel())
    assert settled.digest == digest
    assert settled.trace_id(Case(id="x", vignette="Fever.")) == trace_id


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"style": "tot"}, "vanilla, cot"), ({"style": "cot", "reply_tokens": 0}, "one token")],
)
def test_settings_that_make_no_sense_are_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        GenerationStrategy(**settings)


def cases(count: int) -> list[Case]:
    return [Case(id=f"case-{n}", vignette=f"Fever for {n} days.", options=CASE.options) for n in range(count)]


async def run_all(model: ScriptedChatModel, style: str, out) -> list[Trace]:
    strategy = GenerationStrategy(style=style, patience=AT_ONCE)
    return [trace async for trace in ddxgraph.run(cases(6), model, strategy=strategy, samples=2, out=out)]


@every_style
async def test_a_run_goes_on_where_it_was_broken_off(style, tmp_path):
    def troubled(request: Request) -> str | Exception:
        return ModelTimeoutError("slow") if "for 3 days" in request.messages[-1].text else stating(style)

    first = await run_all(ScriptedChatModel(script={"generate": troubled}), style, tmp_path / "run")
    assert sorted(trace.outcome for trace in first) == ["answered"] * 10 + ["error"] * 2
    model = scripted(stating(style))
    again = await run_all(model, style, tmp_path / "run")
    assert [trace.case.id for trace in again] == ["case-3"] * 2
    assert len(model.requests) == 2
    kept = list(ddxgraph.read_traces(tmp_path / "run" / "traces.jsonl"))
    assert len({trace.id for trace in kept}) == len(kept) == 12
    assert {trace.answer for trace in kept} == {"B"}


async def test_another_style_is_another_run(tmp_path):
    await run_all(scripted(stating("cot")), "cot", tmp_path / "run")
    with pytest.raises(ddxgraph.RunFolderError, match=r"strategy\.name was cot, now longstep"):
        await run_all(scripted(stating("longstep")), "longstep", tmp_path / "run")


@every_style
async def test_a_generation_can_be_cancelled(style):
    begun = asyncio.Event()

    class Stuck(ScriptedChatModel):
        async def ainvoke(self, *_args, **_kwargs):
            begun.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(GenerationStrategy(style=style)(CASE, Stuck()))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@every_style
async def test_the_same_work_gives_the_same_trace(style):
    one, other = [await taken(style, stating(style)) for _ in range(2)]
    assert timeless(one) == timeless(other)


async def test_a_scripted_model_without_a_script_answers_with_the_first_option():
    for style in STYLES:
        assert (await GenerationStrategy(style=style)(CASE, ScriptedChatModel())).answer == "A"
