"""The gateway to the chat model: one call, one repair where it has a form, all accounted for and typed."""

import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, NamedTuple, TypeVar

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.runnables import RunnableConfig
from pydantic import BaseModel, ConfigDict, SecretStr

from ddxgraph.nodes.failure import (
    EngineFailed,
    Failure,
    FailureKind,
    Patience,
    engine_failure,
    window_failure,
)
from ddxgraph.nodes.reply import OutputT, cut_off, met_its_cap, read_reply, response_format, writable
from ddxgraph.nodes.settings import Sampling
from ddxgraph.nodes.usage import Usage, estimate_tokens, total_usage, usage_of
from ddxgraph.prompts.library import PromptSet

TOP_LOGPROBS: Final = 20
"""Alternatives at each token; the most that vLLM and OpenAI give by default."""
CONVERSATION_KEY: Final = "ddxgraph_conversation"
NODE_KEY: Final = "ddxgraph_node"
BRANCH_KEY: Final = "ddxgraph_branch"
"""Metadata that a call carries, as LangChain's callbacks and chat models see it (`run_manager.metadata`)."""

SERIAL_KEY: Final = "ddxgraph_serial"
"""In a chat model's own `metadata`: the engine runs the calls of one conversation in turn."""

BRIEF_KEY: Final = "ddxgraph_brief"
"""In a chat model's own `metadata`: the model is so small that it does best with `Limits.brief()`."""

MIN_REPLY_TOKENS: Final = 64
"""Room below which a reply cannot even close its braces."""


class Allowance(NamedTuple):
    """What one node visit may still spend."""

    calls: int
    tokens: int
    """Prompt and completion tokens together."""

    def less(self, calls: int, tokens: int) -> "Allowance":
        """What remains after so much; never negative."""
        return Allowance(max(self.calls - calls, 0), max(self.tokens - tokens, 0))


@dataclass(slots=True)
class Turn(Generic[OutputT]):
    """What a node asks of the model: its words and the form that the reply must have.

    `OutputT` of a free text is `Any`: it goes to `Consultation.write`, which reads nothing.
    """

    node: str
    """The node's name; where no trace holds the call, any label."""
    text: str
    output: type[OutputT] | None
    """None: free text."""
    max_tokens: int
    branch: str | None = None
    """The hypothesis under test, for an evidence check."""
    logprobs: int = 0
    """Alternatives asked for at each token of the reply; 0: no log-probabilities."""


class Attempt(BaseModel):
    """A reply that did not fit its schema, kept for the record."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: str
    error: str


@dataclass(slots=True)
class Reply(Generic[OutputT]):
    """What came of a turn."""

    turn: Turn[OutputT]
    text: str = ""
    output: OutputT | None = None
    usage: Usage = Usage()  # noqa: RUF009 - frozen
    latency_s: float = 0.0
    attempts: tuple[Attempt, ...] = ()
    failure: Failure | None = None
    logprobs: Sequence[Mapping[str, Any]] | None = None
    """OpenAI's `choices[0].logprobs.content`, where asked for and given."""
    truncated: bool = False
    """It met its cap, where the engine says so."""

    def take(self, message: AIMessage) -> None:
        """Write down what came."""
        self.text = writable(str(message.text))
        self.logprobs = (message.response_metadata.get("logprobs") or {}).get("content")
        self.truncated = met_its_cap(message)


class Wording(NamedTuple):
    """How to talk to the model, the same for a whole graph."""

    model: BaseChatModel
    prompts: PromptSet
    sampling: Sampling
    patience: Patience = Patience()

    def for_sample(self, sample: int) -> "Wording":
        """The same for the k-th sample of a case."""
        return self._replace(sampling=self.sampling.for_sample(sample)) if sample else self


@dataclass(slots=True)
class Consultation:
    """One node visit's line to the model.

    A node awaits `ask`. With `blocking` the call is made on the spot and the coroutine never suspends, so
    that `run_blocking` can drive the same node function where no event loop may run.
    """

    wording: Wording
    messages: Callable[[str], list[BaseMessage]]
    """The conversation so far, with a turn's text put last."""
    allowance: Allowance
    config: RunnableConfig
    conversation: str
    """Names the conversation to engines that keep one in a place of its own."""
    window: int | None = None
    """Tokens that the model's context holds; None: unbounded."""
    blocking: bool = False
    reply: Reply[Any] | None = field(default=None, init=False)
    """The last reply; what the visit's trace step records."""

    @property
    def prompts(self) -> PromptSet:
        """The prompt set in force."""
        return self.wording.prompts

    async def ask(self, turn: Turn[OutputT]) -> OutputT | None:
        """Put a turn to the model; None where the reply could not be read, even after one repair.

        Raises:
            EngineFailed: the model gave no reply at all. `reply` then holds what was spent until then.
            ValueError: the turn has no form.
        """
        if turn.output is None:
            raise ValueError("the turn has no form that its reply could be read into: use `write`")
        start = time.perf_counter()
        messages = self.messages(turn.text)
        spent: list[Usage] = []
        attempts: list[Attempt] = []
        reply: Reply[OutputT] = Reply(turn)
        self.reply = reply
        try:
            while True:
                message = await self._call(turn, messages)
                spent.append(usage_of(message, messages))
                reply.take(message)
                output, error = read_reply(reply.text, turn.output)
                if output is not None:
                    reply.output = output
                    return output
                attempts.append(Attempt(text=reply.text, error=error))
                messages = self._repair(messages, reply.text, error)
                if len(attempts) > 1 or not self._affords_repair(spent, turn, messages):
                    reply.failure = _malformed(turn.node, attempts)
                    return None
        except EngineFailed as error:
            reply.failure = error.failure
            spent.append(Usage(calls=int(error.called)))
            raise
        finally:
            reply.usage = spent[0] if len(spent) == 1 else total_usage(spent)
            reply.latency_s = time.perf_counter() - start
            reply.attempts = tuple(attempts)

    async def write(self, turn: Turn[Any]) -> Reply[Any]:
        """Put a turn to the model and take what it writes, as it comes; there is nothing to repair.

        Raises:
            EngineFailed: the model gave no reply at all.
        """
        start = time.perf_counter()
        messages = self.messages(turn.text)
        reply: Reply[Any] = Reply(turn)
        self.reply = reply
        try:
            message = await self._call(turn, messages)
        except EngineFailed as error:
            reply.failure, reply.usage = error.failure, Usage(calls=int(error.called))
            raise
        finally:
            reply.latency_s = time.perf_counter() - start
        reply.take(message)
        reply.usage = usage_of(message, messages)
        return reply

    def _repair(self, messages: list[BaseMessage], text: str, error: str) -> list[BaseMessage]:
        asked = HumanMessage(self.prompts.render("repair", error=error))
        return [*messages, AIMessage(text or "(empty)"), asked]

    def _affords_repair(self, spent: list[Usage], turn: Turn[Any], messages: list[BaseMessage]) -> bool:
        usage = total_usage(spent)
        prompt = estimate_tokens(str(m.text) for m in messages)
        needed = usage.total_tokens + prompt + turn.max_tokens
        fits = self.window is None or prompt + MIN_REPLY_TOKENS <= self.window
        return fits and usage.calls < self.allowance.calls and needed <= self.allowance.tokens

    def _cap(self, turn: Turn[Any], messages: list[BaseMessage]) -> int:
        """The reply's cap, within the window: servers refuse a prompt whose cap would reach beyond it."""
        if self.window is None:
            return turn.max_tokens
        room = self.window - estimate_tokens(str(m.text) for m in messages)
        if room < MIN_REPLY_TOKENS:
            raise EngineFailed(window_failure(turn.node, self.window), called=False)
        return min(turn.max_tokens, room)

    async def _call(self, turn: Turn[Any], messages: list[BaseMessage]) -> AIMessage:
        form: type[BaseModel] | None = turn.output
        kwargs: dict[str, Any] = {
            "max_tokens": self._cap(turn, messages),
            **self.wording.sampling.as_kwargs(),
        }
        if form is not None:
            kwargs["response_format"] = response_format(form, turn.node)
        if turn.logprobs:
            kwargs |= {"logprobs": True, "top_logprobs": turn.logprobs}
        config = self._config(turn)
        model, patience = self.wording.model, self.wording.patience
        try:
            if self.blocking:
                return patience.through_blocking(lambda: model.invoke(messages, config, **kwargs))
            return await patience.through(lambda: model.ainvoke(messages, config, **kwargs))
        except Exception as error:
            truncated = cut_off(error)
            if truncated is not None:
                return truncated
            # Whatever a chat model raises is, by definition, the engine's boundary breaking.
            raise EngineFailed(engine_failure(error, turn.node, secrets_of(model))) from error

    def _config(self, turn: Turn[Any]) -> RunnableConfig:
        metadata = {
            **(self.config.get("metadata") or {}),
            CONVERSATION_KEY: self.conversation,
            NODE_KEY: turn.node,
        }
        if turn.branch:
            metadata[BRANCH_KEY] = turn.branch
        config = self.config.copy()
        config["metadata"] = metadata
        return config


def secrets_of(model: BaseChatModel) -> list[str]:
    """Keys that the chat model holds: a server may repeat them in its error, and no trace may."""
    held = (value for value in vars(model).values() if isinstance(value, SecretStr))
    return [secret.get_secret_value() for secret in held if secret.get_secret_value()]


def _malformed(node: str, attempts: Sequence[Attempt]) -> Failure:
    return Failure(
        boundary="parse",
        kind=FailureKind.MALFORMED,
        node=node,
        message=f"{node}: {len(attempts)} replies did not fit the schema (last: {attempts[-1].error}); "
        "serve the model with JSON-schema output enforced",
    )


ResultT = TypeVar("ResultT")


def run_blocking(visit: Coroutine[Any, Any, ResultT]) -> ResultT:
    """Drive a node function whose consultation is blocking: it never suspends, so no event loop is needed.

    Raises:
        RuntimeError: the function awaited something else than its consultation.
    """
    try:
        visit.send(None)
    except StopIteration as done:
        result: ResultT = done.value
        return result
    visit.close()
    raise RuntimeError("a node awaited something other than its consultation: it cannot run synchronously")
