"""The doctor: checks what the graph needs of an endpoint, with the requests that the graph makes."""

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.runnables import RunnableConfig
from pydantic import BaseModel

from ddxgraph.common.errors import EndpointError, ServerError
from ddxgraph.nodes import conclude
from ddxgraph.nodes.call.consultation import CONVERSATION_KEY, TOP_LOGPROBS, secrets_of
from ddxgraph.nodes.call.errorkind import engine_failure, kind_of
from ddxgraph.nodes.call.inwords import FORM
from ddxgraph.nodes.call.patience import Patience
from ddxgraph.nodes.call.reply import form, list_of, one_of, response_format, whole, writable
from ddxgraph.nodes.call.said import ending_of, reply_of, tokens_of
from ddxgraph.nodes.call.tolerance import CHANCES, KEYWORDS, tolerance_for
from ddxgraph.nodes.call.usage import total_usage, usage_of
from ddxgraph.nodes.failure import FailureKind
from ddxgraph.nodes.settings import Limits
from ddxgraph.serving.address import without_password
from ddxgraph.serving.api import NO_KEY, ServerApi
from ddxgraph.serving.connect import KEY_VARIABLE, Endpoint, connect, resolve
from ddxgraph.serving.doctor import finding
from ddxgraph.serving.doctor.finding import Finding, Pace, Status, Travelled, Window, amiss, skipped, well
from ddxgraph.serving.models import served_models
from ddxgraph.serving.transport import told
from ddxgraph.serving.weights import CAVEAT, is_tiny

AT_ONCE: Final = 8
"""Requests at a time when speed is measured."""
PACE_TOKENS: Final = 64
"""Completion tokens of each request when speed is measured."""
_REPLY_TOKENS: Final = 256
_MOST_CALLS: Final = 8

_SYSTEM: Final = "You are a helpful assistant."
_GREET: Final = (
    "Greet the reader in one friendly sentence of plain English. If you write a list or an object, put every "
    "item and every bracket on a line of its own and indent it by eight blanks."
)
_WORDS: Final = ("zibblewick", "quorvex", "mundrel")
_SKY: Final = (
    "What colour is a clear sky by day? Answer with one common English word for a colour. Never say "
    f"{', '.join(_WORDS)}: these are no words."
)
_LETTERS: Final = ("A", "B", "C", "D")
_FRUIT: Final = (
    "Which of these can be eaten? A: granite. B: an apple. C: copper wire. D: a brick. Say why in five words, "
    "then give the letter."
)
_DIARY: Final = " ".join(
    f"Day {n}: slept well, walked {n} miles, pulse {50 + n} a minute." for n in range(40)
)

_ODD: Final = form(
    "Odd",
    glimtarn=one_of(_WORDS[:1]),
    vosk_tally=list_of(whole(41, 43), 4, least=4),
    pruddle=one_of(_WORDS[1:]),
)
"""A form that no model would write unasked."""
_CHOSEN: Final = form("Chosen", colour=one_of(_WORDS))
_COUNT: Final = form("Count", numbers=list_of(whole(1, 9), PACE_TOKENS, least=PACE_TOKENS))
"""A form longer than `PACE_TOKENS` tokens, so that every request for it takes exactly so many."""


class Reached(NamedTuple):
    """The outcome of the attempt to reach an endpoint."""

    shown: str
    """The endpoint for messages; empty if its address is malformed."""
    chat: BaseChatModel | None
    """None if there is no model to talk to."""
    findings: Sequence[Finding]
    """What the endpoint tells of itself."""
    egress: str = ""
    """Where text goes, as a remark."""


def reach(
    base_url: str | None, model: str | None, window: Callable[[BaseChatModel], Window], timeout_s: float
) -> Reached:
    """Reach the endpoint that `connect` would take: arguments, environment, else the embedded engine.

    Args:
        base_url: see `connect`.
        model: see `connect`.
        window: tells what the graph needs of a model's context window.
        timeout_s: seconds to wait for a reply. The client itself waits longer, so that the clock of `examine`
            decides, which a server that sends its answer in drips cannot hold up.

    Returns:
        The endpoint and the first findings.
    """
    try:
        endpoint = resolve(base_url, model, None, os.environ)
    except EndpointError as error:
        return Reached("", None, _unreached(str(error)))
    shown = without_password(endpoint.base_url) if endpoint.base_url else "the embedded engine"
    secrets = [endpoint.api_key] if endpoint.api_key else []
    try:
        chat = connect(base_url, model, concurrency=AT_ONCE, timeout_s=2 * timeout_s)
    except EndpointError as error:
        refused = [each.without(secrets) for each in _refused(endpoint, shown, error)]
        return Reached(shown, None, refused, told(endpoint.base_url))
    engine = (chat.metadata or {}).get("engine")
    reachable = well(finding.REACHABLE, f"{shown}, {engine}" if engine else shown)
    context = finding.window_found((chat.profile or {}).get("max_input_tokens"), window(chat))
    findings = [reachable, _models(endpoint, chat), context, _lora(endpoint)]
    return Reached(shown, chat, [each.without(secrets) for each in findings], told(endpoint.base_url))


def _refused(endpoint: Endpoint, shown: str, error: EndpointError) -> list[Finding]:
    """The findings without a model: no server answers, or the server lacks the model."""
    if endpoint.base_url is None or isinstance(error.__cause__, ServerError):
        return _unreached(str(error))
    missing = Finding(name=finding.MODELS, status=Status.MISSING, value=str(error))
    return [well(finding.REACHABLE, shown), missing, *_skipped_from(finding.CONTEXT, "no model to ask")]


def _models(endpoint: Endpoint, chat: BaseChatModel) -> Finding:
    name = str(getattr(chat, "model_name", ""))
    try:
        served = served_models(_api(endpoint, endpoint.base_url)) if endpoint.base_url else []
    except ServerError as error:
        return amiss(finding.MODELS, str(error))
    models = finding.models_found(name, served)
    return models.model_copy(update={"cost": CAVEAT}) if is_tiny(name) else models


def _lora(endpoint: Endpoint) -> Finding:
    if endpoint.base_url is None:
        return amiss(finding.LORA, "the embedded engine loads no adapters while it runs")
    try:
        _api(endpoint, endpoint.base_url).get("/load_lora_adapter")
    except ServerError as error:
        return finding.lora_found(error.status, str(error))
    return finding.lora_found(200, "it answers as if that were a page")


def _api(endpoint: Endpoint, base_url: str) -> ServerApi:
    return ServerApi(base_url, endpoint.api_key, KEY_VARIABLE)


def _skipped_from(name: str, why: str) -> list[Finding]:
    return [skipped(later, why) for later in finding.NAMES[finding.NAMES.index(name) :]]


def _unreached(why: str) -> list[Finding]:
    missing = Finding(name=finding.REACHABLE, status=Status.MISSING, value=why)
    return [missing, *_skipped_from(finding.MODELS, "not reached")]


BRIEFLY: Final = Patience(away_s=1.0, attempts=2, first_wait_s=0.1)
"""A failure that passes at once says nothing about an endpoint."""
Travel = Callable[[BaseChatModel], Awaitable[Travelled]]
"""Takes a made-up case through the graph, which stands above this room."""


class _Patient(NamedTuple):
    """An endpoint under examination."""

    chat: BaseChatModel
    timeout_s: float
    travel: Travel

    async def ask(
        self,
        text: str,
        output: type[BaseModel],
        max_tokens: int,
        *,
        conversation: str = "doctor",
        **kwargs: Any,
    ) -> AIMessage:
        """Make one call as the graph makes it.

        Args:
            text: the prompt.
            output: the form of the reply.
            max_tokens: cap of the reply.
            conversation: the conversation that the call belongs to.
            kwargs: more settings of the call.

        Returns:
            The reply.

        Raises:
            Exception: whatever the chat model raises; `TimeoutError` if the reply takes too long.
        """
        messages = [SystemMessage(_SYSTEM), HumanMessage(text)]
        config: RunnableConfig = {"metadata": {CONVERSATION_KEY: conversation}}
        settings = {
            "response_format": response_format(output, output.__name__.lower()),
            "max_tokens": max_tokens,
            **kwargs,
        }
        tolerance = tolerance_for(self.chat)
        chances = CHANCES
        while True:
            chances -= 1
            chat, fitted = tolerance.fitted(self.chat, settings)
            try:
                async with asyncio.timeout(self.timeout_s):
                    asked = tolerance.worded(messages, settings)
                    return await BRIEFLY.through(partial(chat.ainvoke, asked, config, **fitted))
            except Exception as error:
                if not chances or not tolerance.learns_from(error, fitted, chat):
                    raise


async def _schema(patient: _Patient) -> list[Finding]:
    message = await patient.ask(_GREET, _ODD, _REPLY_TOKENS)
    text = _text(message)
    schema = finding.schema_found(text, _ODD, cut=_cut(message))
    refused = tolerance_for(patient.chat).left_out
    if schema.status is Status.OK and FORM in refused:
        value = f"asked for in words, and not enforced: the endpoint refuses {FORM}"
        return [amiss(finding.SCHEMA, value, Status.WARN), skipped(finding.COMPACT, "nothing is enforced")]
    left_out = KEYWORDS.intersection(refused)
    if schema.status is Status.MISSING and left_out:
        value = f"enforced at most in part: the endpoint refuses {', '.join(sorted(left_out))}"
        schema = amiss(finding.SCHEMA, value, Status.WARN)
    if schema.status is Status.OK:
        return [schema, finding.compact_found(text)]
    return [schema, skipped(finding.COMPACT, "no JSON to look at")]


def _cut(message: AIMessage) -> bool:
    return ending_of(message) == "cut off"


async def _choice(patient: _Patient) -> list[Finding]:
    message = await patient.ask(_SKY, _CHOSEN, _REPLY_TOKENS)
    return [finding.choice_found(_text(message), _CHOSEN, _WORDS)]


async def _logprobs(patient: _Patient) -> list[Finding]:
    """Check the graph's own conclusion, whose letter must be found among the tokens."""
    brief = Limits.brief()
    output = conclude.output_model(_LETTERS, brief)
    message = await patient.ask(
        _FRUIT, output, conclude.room(brief), logprobs=True, top_logprobs=TOP_LOGPROBS
    )
    return [finding.logprobs_found(_text(message), tokens_of(message), _LETTERS)]


async def _journey(patient: _Patient) -> list[Finding]:
    async with asyncio.timeout(_MOST_CALLS * patient.timeout_s):
        return [finding.journey_found(await patient.travel(patient.chat))]


def _text(message: AIMessage) -> str:
    return writable(reply_of(message).text)


async def _prefix(patient: _Patient) -> list[Finding]:
    text = f"{_DIARY}\n\nWhat colour is a clear sky by day?"
    for _ in range(2):
        message = await patient.ask(text, _CHOSEN, _REPLY_TOKENS)
    return [finding.prefix_found(usage_of(message, [HumanMessage(text)]))]


async def _speed(patient: _Patient) -> list[Finding]:
    await _pace(patient, 1)  # the engine compiles a form's grammar at its first reply
    return [finding.speed_found(await _pace(patient, 1), await _pace(patient, AT_ONCE))]


async def _pace(patient: _Patient, requests: int) -> Pace:
    texts = [f"Person {n} counts sheep. Write down the numbers." for n in range(requests)]
    start = time.perf_counter()
    calls = [
        patient.ask(text, _COUNT, PACE_TOKENS, conversation=f"doctor {n}") for n, text in enumerate(texts)
    ]
    replies = await asyncio.gather(*calls, return_exceptions=True)
    seconds = time.perf_counter() - start
    usages = []
    for text, reply in zip(texts, replies, strict=True):
        if isinstance(reply, BaseException):
            raise reply
        usages.append(usage_of(reply, [HumanMessage(text)]))
    return Pace(requests, total_usage(usages), seconds)


class _Check(NamedTuple):
    names: tuple[str, ...]
    """Names of its findings."""
    look: Callable[[_Patient], Awaitable[list[Finding]]]


_CHECKS: Final = (
    _Check((finding.SCHEMA, finding.COMPACT), _schema),
    _Check((finding.CHOICE,), _choice),
    _Check((finding.LOGPROBS,), _logprobs),
    _Check((finding.JOURNEY,), _journey),
    _Check((finding.PREFIX,), _prefix),
    _Check((finding.SPEED,), _speed),
)


async def examine(
    chat: BaseChatModel, timeout_s: float, note: Callable[[str], None], travel: Travel
) -> AsyncGenerator[Finding, None]:
    """Run the checks that ask the model for replies, one after the other.

    Args:
        chat: the model.
        timeout_s: seconds to wait for a reply.
        note: called with the name of each check before it is made.
        travel: takes a made-up case through the graph.

    Yields:
        The findings. A check that gets no reply is a finding too; if the next one would fail alike, the
        others are skipped.
    """
    patient = _Patient(chat, timeout_s, travel)
    secrets = [secret for secret in secrets_of(chat) if secret != NO_KEY]
    gone = ""
    for check in _CHECKS:
        if gone:
            findings = [skipped(name, gone) for name in check.names]
        else:
            note(check.names[0])
            try:
                findings = await check.look(patient)
            except Exception as error:  # any exception here is a failure of the engine
                kind = kind_of(error)
                gone = f"no reply to the check of {check.names[0]}" if finding.lasts(kind) else ""
                failed = finding.unanswered(check.names[0], kind, _sentence(error, kind, patient, secrets))
                findings = [failed, *(skipped(name, "no reply") for name in check.names[1:])]
        for each in findings:
            yield each.without(secrets)


def _sentence(error: Exception, kind: FailureKind, patient: _Patient, secrets: Sequence[str]) -> str:
    """Why there was no reply."""
    if kind is FailureKind.TIMEOUT:
        return (
            f"no reply within {patient.timeout_s:g} s; is the server stuck, or does it need a longer timeout?"
        )
    if kind is FailureKind.OTHER and not hasattr(error, "status_code"):
        return f"the server's answer cannot be read ({type(error).__name__}); is it OpenAI-compatible?"
    return engine_failure(error, "doctor", secrets).message.removeprefix("doctor: ")
