"""Inspect AI's model as a chat model, through Inspect's agent bridge, with what the bridge would drop
restored."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from importlib.metadata import version
from typing import Any, Final, NamedTuple

from inspect_ai.agent import agent_bridge
from inspect_ai.model import ChatMessage, GenerateConfig, GenerateInput, Model, ModelName, ModelOutput

# Inspect has no public way to read the settings of the running evaluation.
from inspect_ai.model._generate_config import active_generate_config
from inspect_ai.tool import ToolChoice, ToolInfo
from inspect_ai.util import span
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatResult
from langchain_openai import ChatOpenAI
from pydantic import ConfigDict, SecretStr

from ddxgraph.nodes.call.consultation import BRANCH_KEY, BRIEF_KEY, NODE_KEY
from ddxgraph.nodes.call.reply import cut_off
from ddxgraph.nodes.settings import Sampling

WHOLE_SCHEMAS: Final = frozenset({"llama-cpp-python", "mockllm", "ollama", "openai-api", "sglang", "vllm"})
"""Inspect's providers whose servers get a form's whole JSON schema.

Inspect's own schema type lacks `minItems`, `maxItems` and `$ref`, and for most of these providers it drops
lengths and ranges too. Other providers get what it keeps, with references inlined.
"""
SHAPING: Final = (
    *Sampling.model_fields,
    "max_tokens",
    "top_k",
    "frequency_penalty",
    "presence_penalty",
    "logit_bias",
    "stop_seqs",
    "system_message",
    "effort",
    "reasoning_effort",
    "reasoning_mode",
    "reasoning_tokens",
    "verbosity",
    "extra_body",
)
"""Inspect's generation settings that affect a model's reply. Headers are left out, since they may hold keys."""

_UNKNOWN: Final = ("minItems", "maxItems")
"""Keywords of our forms that Inspect's schema type does not know."""
_SENT: Final = ("max_tokens", "logprobs", "top_logprobs", "stop")
"""Settings of a call that are sent; Inspect applies the others itself."""


class InspectSampling(Sampling):
    """The settings of an evaluation that affect the model's reply; None or absent: the model's default."""

    model_config = ConfigDict(extra="allow", frozen=True)


def sampling_of(model: Model) -> InspectSampling:
    """The user's settings for the running evaluation, such as `--temperature`."""
    config = model.config.merge(active_generate_config())
    settings = {key: getattr(config, key) for key in SHAPING}
    return InspectSampling(**{key: value for key, value in settings.items() if value is not None})


class _Asked(NamedTuple):
    """The parts of a call that the bridge drops."""

    form: Mapping[str, Any] | None = None
    """OpenAI's whole `response_format`."""
    seed: int | None = None
    """Of this sample; Inspect would send the same seed in every epoch."""


_ASKED: ContextVar[_Asked] = ContextVar("ddxgraph_asked", default=_Asked())  # noqa: B039 - a tuple
_TROUBLES: ContextVar[list[Exception] | None] = ContextVar("ddxgraph_troubles", default=None)


class BridgedChatModel(ChatOpenAI):
    """Inspect's model; works only within `bridged`, and only asynchronously.

    Inspect's transcript shows each call in a span with the node's name.
    """

    takes_whole_schemas: bool = False
    """Whether its provider is one of `WHOLE_SCHEMAS`."""

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        metadata = run_manager.metadata if run_manager else {}
        form = kwargs.get("response_format")
        sent: dict[str, Any] = {key: kwargs[key] for key in _SENT if key in kwargs}
        if form:
            # The whole schema is restored later, so Inspect need not complain about it here.
            sent["response_format"] = written_out(form, without=_UNKNOWN if self.takes_whole_schemas else ())
        place = _ASKED.set(_Asked(form, kwargs.get("seed")))
        try:
            async with span(_place(metadata)):
                return await super()._agenerate(messages, stop, run_manager, **sent)
        except Exception as error:
            troubles = _TROUBLES.get()
            if troubles is not None and cut_off(error) is None:
                troubles.append(error)
            raise
        finally:
            _ASKED.reset(place)


def bridged_model(model: Model, *, brief: bool) -> BridgedChatModel:
    """A chat model that calls Inspect's `model`; `brief` for one that does best with `Limits.brief()`."""
    return BridgedChatModel(
        model="inspect",
        api_key=SecretStr("none"),
        use_responses_api=False,
        max_retries=0,
        takes_whole_schemas=ModelName(model).api in WHOLE_SCHEMAS,
        metadata={"base_model": str(model), "engine": f"inspect {version('inspect-ai')}", BRIEF_KEY: brief},
    )


@asynccontextmanager
async def bridged(*, logprobs: bool = True) -> AsyncIterator[Sequence[Exception]]:
    """Connect `BridgedChatModel` to Inspect's model.

    Args:
        logprobs: whether nodes may ask for log-probabilities; some providers refuse such a request.

    Yields:
        The exceptions of its calls so far, Inspect's limits included.
    """
    troubles: list[Exception] = []

    async def put_back(
        model: Model,
        messages: list[ChatMessage],
        tools: list[ToolInfo],
        tool_choice: ToolChoice | None,
        config: GenerateConfig,
    ) -> GenerateInput:
        return GenerateInput(
            messages, tools, tool_choice, completed(config, ModelName(model).api, _ASKED.get(), logprobs)
        )

    place = _TROUBLES.set(troubles)
    try:
        # Without `forward_generation_config`, caps and log-probabilities would be dropped.
        async with agent_bridge(
            filter=put_back, response_filter=_without_thoughts, forward_generation_config=True
        ):
            yield troubles
    finally:
        _TROUBLES.reset(place)


def completed(config: GenerateConfig, provider: str, asked: _Asked, logprobs: bool) -> GenerateConfig:
    """A call's settings with what the bridge had dropped. Pure.

    Args:
        config: the settings.
        provider: Inspect's name of the model's provider.
        asked: what was dropped.
        logprobs: whether log-probabilities may be asked for.

    Returns:
        The settings to send.
    """
    update: dict[str, Any] = {}
    if asked.seed is not None:
        update["seed"] = asked.seed
    if not logprobs or config.logprobs is False:
        update |= {"logprobs": None, "top_logprobs": None}
    if asked.form and provider in WHOLE_SCHEMAS:
        update["extra_body"] = {"response_format": asked.form, **(config.extra_body or {})}
    return config.model_copy(update=update)


def written_out(form: Mapping[str, Any], without: Collection[str] = ()) -> dict[str, Any]:
    """OpenAI's `response_format` as Inspect's schema type can hold it: without references, with `enum` for
    `const`.

    `without` names further keywords to leave out.
    """
    named = form["json_schema"]
    schema = named["schema"]
    inlined = _inlined(schema, schema.get("$defs", {}), {"$defs", "const", *without})
    return {**form, "json_schema": {**named, "schema": inlined}}


def _inlined(schema: Any, defs: Mapping[str, Any], without: Collection[str]) -> Any:
    match schema:
        case {"$ref": str(reference)}:
            return _inlined(defs[reference.rsplit("/", 1)[1]], defs, without)
        case Mapping():
            kept = {
                key: {name: _inlined(field, defs, without) for name, field in value.items()}
                if key == "properties"
                else _inlined(value, defs, without)
                for key, value in schema.items()
                if key not in without
            }
            return {**kept, "enum": [schema["const"]]} if "const" in schema else kept
        case list():
            return [_inlined(value, defs, without) for value in schema]
        case _:
            return schema


async def _without_thoughts(
    model: Model,  # noqa: ARG001 - Inspect's interface
    output: ModelOutput,
    asked: GenerateInput,  # noqa: ARG001
) -> ModelOutput | None:
    """A reasoning model's reply without its thoughts, as servers return it; Inspect's transcript keeps them."""
    if all(isinstance(choice.message.content, str) for choice in output.choices):
        return None
    for choice in output.choices:
        choice.message.content = choice.message.text
    return output


def _place(metadata: Mapping[str, Any]) -> str:
    """The name of a call's span, such as `check_evidence B`."""
    parts = (metadata.get(NODE_KEY), metadata.get(BRANCH_KEY))
    return " ".join(str(part) for part in parts if part) or "call"
