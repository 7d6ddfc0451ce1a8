"""The line to the chat model: one call, one repair if the reply has a form; cost and failures are recorded."""

import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, NamedTuple, TypeVar

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.runnables import RunnableConfig
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from ddxgraph.common.errors import BadInput
from ddxgraph.nodes.call.errorkind import engine_failure, held_back, window_failure
from ddxgraph.nodes.call.patience import Patience
from ddxgraph.nodes.call.reply import OutputT, bounded, cut_off, read_reply, response_format, writable
from ddxgraph.nodes.call.said import (
    ending_of,
    finish_reason_of,
    refusal_of,
    reply_of,
    tokens_of,
)
from ddxgraph.nodes.call.tolerance import CHANCES, tolerance_for
from ddxgraph.nodes.call.usage import Usage, estimate_tokens, total_usage, usage_of
from ddxgraph.nodes.failure import EngineFailed, Failure, FailureKind
from ddxgraph.nodes.settings import Sampling
from ddxgraph.prompts.library import PromptSet, disarm

TOP_LOGPROBS: Final = 20
"""Alternatives at each token: the default maximum of vLLM and OpenAI."""
CONVERSATION_KEY: Final = "ddxgraph_conversation"
NODE_KEY: Final = "ddxgraph_node"
BRANCH_KEY: Final = "ddxgraph_branch"
"""Keys of a call's metadata, which LangChain's callbacks and chat models see (`run_manager.metadata`)."""

SERIAL_KEY: Final = "ddxgraph_serial"
"""Key in a chat model's `metadata`: the engine runs the calls of one conversation one after another."""

BRIEF_KEY: Final = "ddxgraph_brief"
"""Key in a chat model's `metadata`: the model is so small that it does best with `Limits.brief()`."""

MIN_REPLY_TOKENS: Final = 64
"""With fewer tokens, a reply cannot even close its braces."""


class Allowance(NamedTuple):
    """What a visit to a node may still spend."""

    calls: int
    tokens: int
    """Prompt and completion tokens together."""

    def less(self, calls: int, tokens: int) -> "Allowance":
        """What remains after spending; never negative."""
        return Allowance(max(self.calls - calls, 0), max(self.tokens - tokens, 0))


@dataclass(slots=True)
class Turn(Generic[OutputT]):
    """What a node asks the model: the text, and the form of the reply.

    For a free text, `OutputT` is `Any`: `Consultation.write` does not parse it.
    """

    node: str
    """Name of the node; any label for a call that no trace holds."""
    text: str
    output: type[OutputT] | None
    """None: free text."""
    max_tokens: int
    branch: str | None = None
    """The hypothesis under test, for an evidence check."""
    logprobs: int = 0
    """Number of alternatives to report at each token of the reply; 0: no log-probabilities."""


class Attempt(BaseModel):
    """A reply that did not fit its schema."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: str
    error: str
    thoughts: str = Field(default="", exclude_if=lambda thoughts: not thoughts)
    """What a reasoning model thought before it."""


@dataclass(slots=True)
class Reply(Generic[OutputT]):
    """The reply to a turn, and what it cost."""

    turn: Turn[OutputT]
    text: str = ""
    output: OutputT | None = None
    usage: Usage = Usage()  # noqa: RUF009 - frozen
    latency_s: float = 0.0
    attempts: tuple[Attempt, ...] = ()
    failure: Failure | None = None
    logprobs: Sequence[Mapping[str, Any]] | None = None
    """OpenAI's `choices[0].logprobs.content`, if requested and returned."""
    truncated: bool = False
    """Whether it reached its token limit, as far as the engine says."""
    finish_reason: str = ""
    """Why it ended, in the engine's word."""
    left_out: tuple[str, ...] = ()
    """What the call left out, since the endpoint refuses it."""
    thoughts: str = ""
    """What a reasoning model thought before it answered."""

    def take(self, message: AIMessage) -> None:
        """Take over the text and metadata of a message.

        Raises:
            EngineFailed: the service or the model held the reply back.
        """
        text, thoughts = reply_of(message)
        self.text, too_long = bounded(writable(text), self.turn.max_tokens)
        self.logprobs = tokens_of(message)
        self.finish_reason = finish_reason_of(message)
        self.thoughts = bounded(writable(thoughts), self.turn.max_tokens)[0]
        ending = ending_of(message)
        self.truncated = too_long or ending == "cut off"
        if ending in {"filtered", "refused"}:
            words = refusal_of(message) or self.finish_reason
            raise EngineFailed(held_back(self.turn.node, ending, words), called=False)


class Wording(NamedTuple):
    """How to talk to the model; the same for a whole graph."""

    model: BaseChatModel
    prompts: PromptSet
    sampling: Sampling
    patience: Patience = Patience()

    def for_sample(self, sample: int) -> "Wording":
        """The same for the k-th sample of a case."""
        return self._replace(sampling=self.sampling.for_sample(sample)) if sample else self


@dataclass(slots=True)
class Consultation:
    """The line of one visit to the model.

    A node awaits `ask`. With `blocking`, the call is synchronous and the coroutine never suspends, so that
    `run_blocking` can drive the same node function without an event loop.
    """

    wording: Wording
    messages: Callable[[str], list[BaseMessage]]
    """Makes the conversation so far, with the text of a turn at its end."""
    allowance: Allowance
    config: RunnableConfig
    conversation: str
    """Name of the conversation, for engines that keep each one in its own slot."""
    window: int | None = None
    """Size of the model's context in tokens; None: unbounded."""
    blocking: bool = False
    news: str = ""
    """What an expert changed since the last reply; the next turn begins with it."""
    reply: Reply[Any] | None = field(default=None, init=False)
    """The last reply, which the visit's step records."""

    @property
    def prompts(self) -> PromptSet:
        """The prompt set in force."""
        return self.wording.prompts

    async def ask(self, turn: Turn[OutputT]) -> OutputT | None:
        """Ask the model; None if its reply could not be parsed, even after one repair.

        Raises:
            EngineFailed: the model gave no reply. `reply` holds what was spent until then.
            ValueError: the turn has no form.
        """
        if turn.output is None:
            raise ValueError("the turn has no form to parse its reply into: use `write`")
        start = time.perf_counter()
        messages = self._opened(turn)
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
                attempts.append(Attempt(text=reply.text, error=error, thoughts=reply.thoughts))
                messages = self._repair(messages, reply.text, error)
                if len(attempts) > 1 or not self._affords_repair(spent, turn, messages):
                    reply.failure = _unread(reply, turn.max_tokens, attempts)
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
        """Ask the model for a free text, which is taken as it is, without a repair.

        Raises:
            EngineFailed: the model gave no reply.
        """
        start = time.perf_counter()
        messages = self._opened(turn)
        reply: Reply[Any] = Reply(turn)
        self.reply = reply
        try:
            message = await self._call(turn, messages)
        except EngineFailed as error:
            reply.failure, reply.usage = error.failure, Usage(calls=int(error.called))
            raise
        finally:
            reply.latency_s = time.perf_counter() - start
        reply.usage = usage_of(message, messages)
        try:
            reply.take(message)
        except EngineFailed as error:
            reply.failure = error.failure
            raise
        return reply

    def _opened(self, turn: Turn[Any]) -> list[BaseMessage]:
        """The conversation up to a turn, which from now on begins with the news."""
        if self.news:
            turn.text, self.news = f"{self.news}\n\n{turn.text}", ""
        return self.messages(turn.text)

    def _repair(self, messages: list[BaseMessage], text: str, error: str) -> list[BaseMessage]:
        asked = HumanMessage(self.prompts.render("repair", error=error))
        return [*messages, AIMessage(disarm(text) or "(empty)"), asked]

    def _affords_repair(self, spent: list[Usage], turn: Turn[Any], messages: list[BaseMessage]) -> bool:
        usage = total_usage(spent)
        prompt = estimate_tokens(str(m.text) for m in messages)
        needed = usage.total_tokens + prompt + turn.max_tokens
        fits = self.window is None or prompt + MIN_REPLY_TOKENS <= self.window
        return fits and usage.calls < self.allowance.calls and needed <= self.allowance.tokens

    def _cap(self, turn: Turn[Any], messages: list[BaseMessage]) -> int:
        """Token limit of the reply, within the window: servers refuse a prompt whose limit exceeds it."""
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
        tolerance = tolerance_for(self.wording.model)
        chances = CHANCES
        while True:
            chances -= 1
            model, fitted = tolerance.fitted(self.wording.model, kwargs)
            try:
                return await self._through(model, tolerance.worded(messages, kwargs), config, fitted)
            except Exception as error:
                truncated = cut_off(error)
                if truncated is not None:
                    return truncated
                if chances and tolerance.learns_from(error, fitted, model):
                    continue
                # Any error of a chat model is a failure of the engine.
                raise EngineFailed(engine_failure(error, turn.node, secrets_of(model))) from error
            finally:
                if self.reply is not None:
                    self.reply.left_out = tolerance.left_out

    async def _through(
        self,
        model: BaseChatModel,
        messages: list[BaseMessage],
        config: RunnableConfig,
        settings: Mapping[str, Any],
    ) -> AIMessage:
        """The call itself, with the patience for a failing engine."""
        patience = self.wording.patience
        if self.blocking:
            return patience.through_blocking(lambda: model.invoke(messages, config, **settings))
        return await patience.through(lambda: model.ainvoke(messages, config, **settings))

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
    """API keys of the chat model: a server may repeat them in an error, and no trace may hold them."""
    held = (value for value in vars(model).values() if isinstance(value, SecretStr))
    return [secret.get_secret_value() for secret in held if secret.get_secret_value()]


def _unread(reply: Reply[Any], cap: int, attempts: Sequence[Attempt]) -> Failure:
    """The failure of replies that could not be read, by what the server said of the last one."""
    node, tried = reply.turn.node, f"{len(attempts)} {'reply' if len(attempts) == 1 else 'replies'}"
    kind = FailureKind.CUT_OFF if reply.truncated else FailureKind.MALFORMED
    if reply.truncated:
        told = (
            f"{tried} did not end within {cap} tokens; give replies more room (`Limits`, the context window)"
        )
    elif not reply.text.strip() and reply.thoughts:
        told = (
            f"{tried} held thoughts and nothing else; serve the model with its thoughts off, or without a "
            "reasoning parser"
        )
    elif not reply.text.strip():
        told = f"{tried} came empty; see the server's log"
    else:
        told = (
            f"{tried} did not fit the schema (last: {attempts[-1].error}); serve the model with JSON-schema "
            "output enforced"
        )
    return Failure(boundary="parse", kind=kind, node=node, message=f"{node}: {told}")


ResultT = TypeVar("ResultT")


def run_blocking(visit: Coroutine[Any, Any, ResultT]) -> ResultT:
    """Run a node function whose consultation is blocking: it never suspends, so it needs no event loop.

    Raises:
        RuntimeError: the function awaited something other than its consultation.
    """
    try:
        visit.send(None)
    except StopIteration as done:
        result: ResultT = done.value
        return result
    visit.close()
    raise RuntimeError("a node awaited something other than its consultation: it cannot run synchronously")


def as_chat_model(model: object) -> BaseChatModel:
    """A chat model, checked before anything is asked of it.

    Raises:
        BadInput: it is something else, such as a model's name.
    """
    if isinstance(model, BaseChatModel):
        return model
    if isinstance(model, str):
        raise BadInput(
            f"the model is the name {model!r}: give a chat model, such as `ddxgraph.connect(model={model!r})` "
            f"for a server, or LangChain's `init_chat_model({model!r})`"
        )
    raise BadInput(
        f"the model is {type(model).__name__}, not a LangChain chat model (`BaseChatModel`); one that was bound "
        "or piped no longer is: give the chat model itself, and its settings to it"
    )
