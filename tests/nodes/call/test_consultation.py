import asyncio
import json

import openai
import pytest
from langchain_core.exceptions import ModelTimeoutError
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from openai.types.chat import ChatCompletion
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ddxgraph.nodes.call.consultation import Allowance, Turn, run_blocking
from ddxgraph.nodes.call.reply import read_reply
from ddxgraph.nodes.call.usage import Usage
from ddxgraph.nodes.failure import EngineFailed, FailureKind
from ddxgraph.nodes.settings import Sampling
from ddxgraph.testing import ScriptedChatModel


class Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")

    justification: str = Field(max_length=30)
    answer: str


FITS = {"justification": "since", "answer": "B"}
JSON = json.dumps(FITS)
TURN = Turn("conclude", "Conclude now.", Answer, max_tokens=50)


def scripted(*replies, **settings) -> ScriptedChatModel:
    return ScriptedChatModel(script={"conclude": list(replies)}, **settings)


def cut_off(text: str | None, *, usage: bool = True) -> openai.LengthFinishReasonError:
    """What the OpenAI client raises where a structured reply met its token limit."""
    message = {"role": "assistant", "content": text}
    counts = {"prompt_tokens": 70, "completion_tokens": 50, "total_tokens": 120}
    completion = ChatCompletion.model_validate(
        {
            "id": "1",
            "object": "chat.completion",
            "created": 0,
            "model": "m",
            "choices": [{"index": 0, "finish_reason": "length", "message": message, "logprobs": None}],
            "usage": counts if usage else None,
        }
    )
    return openai.LengthFinishReasonError(completion=completion)


@pytest.mark.parametrize(
    "text",
    [
        JSON,
        f"  \n{JSON}\n ",
        f"```json\n{JSON}\n```",
        f"```\n{JSON}\n```",
        f"\n```json\n{json.dumps(FITS, indent=2)}\n```\n",
        f"<think>\nHm. {{}} ```json\n</think>\n\n{JSON}",
        f"<think></think>{JSON}",
        f"<think>\nHm.\n</think>\n```json\n{JSON}\n```",
    ],
)
def test_a_reply_is_read_out_of_what_stands_around_it(text):
    output, error = read_reply(text, Answer)
    assert output == Answer(**FITS)
    assert error == ""


def test_a_reply_that_speaks_of_thinking_or_fences_is_left_as_it_is():
    said = {"justification": "<think>x</think> ```y```", "answer": "```"}
    assert read_reply(json.dumps(said), Answer).output == Answer(**said)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("", "reply"),
        ("I think it is B.", "reply"),
        (JSON + " So the answer is B.", "reply"),
        (JSON + JSON, "reply"),
        (JSON[:-1], "reply"),
        (JSON[:20], "reply"),
        (f"```json\n{JSON[:-4]}", "reply"),
        ("<think>It goes on and on", "reply"),
        (f"[{JSON}]", "reply"),
        ("null", "reply"),
        ('{"justification": "since"}', "answer"),
        ('{"justification": 4, "answer": "B"}', "justification"),
        ('{"justification": "since", "answer": "B", "more": 1}', "more"),
        ('{"justification": "' + "x" * 31 + '", "answer": "B"}', "justification"),
        ('{"justification": "\\ud83d", "answer": "B"}', "reply"),
        ("[" * 50_000, "reply"),
    ],
    ids=lambda text: text[:24],
)
def test_a_reply_that_does_not_fit_says_where(text, where):
    output, error = read_reply(text, Answer)
    assert output is None
    assert error.startswith(f"{where}: ")
    assert len(error) <= 300


async def test_a_reply_that_fits_is_given_back_and_accounted_for(line_to):
    line = line_to(scripted(FITS))
    assert await line.ask(TURN) == Answer(**FITS)
    reply = line.reply
    assert (reply.text, reply.output, reply.failure, reply.attempts) == (JSON, Answer(**FITS), None, ())
    assert reply.usage.calls == 1
    assert reply.usage.completion_tokens == -(-len(JSON) // 4)
    assert reply.latency_s > 0


async def test_a_call_carries_form_caps_sampling_and_names(line_to):
    model = scripted(FITS)
    turn = Turn("conclude", "Check.", Answer, max_tokens=77, branch="H1", logprobs=20)
    config = {"metadata": {"mine": 1}}
    await line_to(model, sampling=Sampling(temperature=0.6, seed=3), config=config).ask(turn)
    request = model.requests[0]
    assert (request.node, request.branch, request.schema) == ("conclude", "H1", Answer.model_json_schema())
    sent = {key: request.options[key] for key in request.options if key != "response_format"}
    assert sent == {"max_tokens": 77, "temperature": 0.6, "seed": 3, "logprobs": True, "top_logprobs": 20}
    assert config == {"metadata": {"mine": 1}}, "the caller's own config is left as it was"


async def test_a_reply_that_does_not_fit_is_repaired_once(line_to):
    model = scripted("not JSON", FITS)
    line = line_to(model)
    assert await line.ask(TURN) == Answer(**FITS)
    first, second = (request.messages for request in model.requests)
    assert second[: len(first)] == first
    said, asked = second[len(first) :]
    assert said == AIMessage("not JSON")
    assert isinstance(asked, HumanMessage)
    assert f"<data>{line.reply.attempts[0].error}</data>" in asked.text
    assert [attempt.text for attempt in line.reply.attempts] == ["not JSON"]
    assert line.reply.failure is None
    assert (line.reply.text, line.reply.usage.calls) == (JSON, 2)


async def test_an_empty_reply_is_repaired_without_an_empty_message(line_to):
    model = scripted("", FITS)
    assert await line_to(model).ask(TURN) == Answer(**FITS)
    assert all(message.text for message in model.requests[1].messages)


async def test_a_second_reply_that_does_not_fit_is_a_typed_failure(line_to):
    model = scripted("not JSON", '{"answer": "B"}', FITS)
    line = line_to(model)
    assert await line.ask(TURN) is None
    assert len(model.requests) == 2
    failure = line.reply.failure
    assert (failure.boundary, failure.kind, failure.node) == ("parse", FailureKind.MALFORMED, "conclude")
    assert "justification" in failure.message
    assert [attempt.text for attempt in line.reply.attempts] == ["not JSON", '{"answer": "B"}']
    assert line.reply.usage.calls == 2


@pytest.mark.parametrize("allowance", [Allowance(calls=1, tokens=100_000), Allowance(calls=9, tokens=60)])
async def test_a_repair_that_cannot_be_paid_for_is_not_made(line_to, allowance):
    model = scripted("not JSON", FITS)
    line = line_to(model, allowance=allowance)
    assert await line.ask(TURN) is None
    assert len(model.requests) == 1
    assert line.reply.failure.kind is FailureKind.MALFORMED


async def test_a_repair_stays_within_the_allowance(line_to):
    async def spends(tokens: int) -> Usage:
        line = line_to(scripted("not JSON", FITS), allowance=Allowance(calls=2, tokens=tokens))
        await line.ask(TURN)
        return line.reply.usage

    for tokens in range(0, 400, 5):
        usage = await spends(tokens)
        assert usage.calls == 1 or usage.total_tokens <= tokens
    assert usage.calls == 2


async def test_an_engine_that_gives_no_reply_is_a_typed_failure(line_to):
    line = line_to(scripted(ModelTimeoutError("slow")))
    with pytest.raises(EngineFailed, match="the model gave no reply") as raised:
        await line.ask(TURN)
    assert raised.value.failure.kind is FailureKind.TIMEOUT
    assert line.reply.failure == raised.value.failure
    assert line.reply.usage == Usage(calls=1)
    assert line.reply.output is None


async def test_an_engine_that_breaks_during_the_repair_keeps_what_was_spent(line_to):
    line = line_to(scripted("not JSON", ConnectionError("gone")))
    with pytest.raises(EngineFailed):
        await line.ask(TURN)
    assert line.reply.failure.kind is FailureKind.CONNECTION
    assert line.reply.usage.calls == 2
    assert line.reply.usage.prompt_tokens > 0
    assert [attempt.text for attempt in line.reply.attempts] == ["not JSON"]


@pytest.mark.parametrize("stop", [KeyboardInterrupt, asyncio.CancelledError, SystemExit])
async def test_the_users_own_stop_is_no_engine_failure(line_to, stop):
    def stopping(_request):
        raise stop

    line = line_to(ScriptedChatModel(script={"conclude": stopping}), blocking=True)
    with pytest.raises(stop):
        run_blocking(line.ask(TURN))
    assert line.reply.failure is None


@pytest.mark.parametrize("blocking", [False, True])
@pytest.mark.parametrize("text", [JSON[:20], "", None])
async def test_a_reply_that_met_its_token_limit_is_repaired_like_any_other(line_to, text, blocking):
    model = scripted(cut_off(text), FITS)
    line = line_to(model, blocking=blocking)
    assert await line.ask(TURN) == Answer(**FITS)
    reply = line.reply
    assert reply.failure is None
    assert [attempt.text for attempt in reply.attempts] == [text or ""]
    assert reply.usage.calls == 2
    assert reply.usage.prompt_tokens > 70


async def test_two_replies_that_met_their_token_limit_are_said_to_be_cut_off(line_to):
    line = line_to(scripted(cut_off(JSON[:20])))
    assert await line.ask(TURN) is None
    assert line.reply.failure.kind is FailureKind.CUT_OFF
    assert f"did not end within {TURN.max_tokens} tokens" in line.reply.failure.message
    assert (line.reply.usage.calls, line.reply.usage.completion_tokens) == (2, 100)


async def test_a_cut_off_reply_without_usage_is_estimated(line_to):
    line = line_to(scripted(cut_off(JSON[:20], usage=False)))
    await line.ask(TURN)
    assert line.reply.usage.estimated
    assert line.reply.usage.prompt_tokens > 0


def test_a_blocking_line_needs_no_event_loop(line_to):
    line = line_to(scripted("not JSON", FITS), blocking=True)
    assert run_blocking(line.ask(TURN)) == Answer(**FITS)


def test_a_node_that_awaits_something_else_cannot_run_blocking():
    cleaned = []

    async def waits():
        try:
            await asyncio.sleep(0)
        finally:
            cleaned.append(True)

    with pytest.raises(RuntimeError, match="something other than its consultation"):
        run_blocking(waits())
    assert cleaned


def test_an_error_passes_through_a_blocking_run():
    async def breaks():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_blocking(breaks())


@pytest.mark.parametrize(("seed", "sample", "wanted"), [(7, 0, 7), (7, 3, 10), (0, 2, 2), (None, 3, None)])
def test_a_sample_differs_by_its_seed_alone(seed, sample, wanted):
    sampling = Sampling(temperature=0.7, top_p=0.9, seed=seed)
    assert sampling.for_sample(sample) == Sampling(temperature=0.7, top_p=0.9, seed=wanted)


def test_what_is_not_set_is_not_sent():
    assert Sampling().as_kwargs() == {}
    assert Sampling(temperature=0, seed=0).as_kwargs() == {"temperature": 0, "seed": 0}


@pytest.mark.parametrize(
    "setting", [{"temperature": -1}, {"temperature": 3}, {"top_p": 0}, {"top_p": 2}, {"topp": 1}]
)
def test_a_sampling_setting_out_of_range_is_refused(setting):
    with pytest.raises(ValidationError, match=next(iter(setting))):
        Sampling.model_validate(setting)


async def test_the_conversation_is_put_before_the_turn(line_to):
    model = scripted(FITS)
    await line_to(model).ask(TURN)
    assert model.requests[0].messages == [SystemMessage("You think in JSON."), HumanMessage("Conclude now.")]
