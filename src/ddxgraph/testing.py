"""A scripted chat model: drives the real graph without an engine, deterministically.

For the tests of this package and of programs that build on it.
"""

import json
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, Final, NamedTuple, cast

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import RunnableConfig
from pydantic import InstanceOf

from ddxgraph.nodes.call.consultation import BRANCH_KEY, NODE_KEY


class Request(NamedTuple):
    """A call to the model."""

    node: str
    branch: str | None
    """The hypothesis under test, for an evidence check."""
    messages: Sequence[BaseMessage]
    schema: Mapping[str, Any]
    """JSON schema that the reply must fit; empty if none was given."""
    options: Mapping[str, Any]
    """The call's keyword arguments: `max_tokens`, `seed`, `logprobs`, ..."""


_MESSAGES: Final = frozenset({SystemMessage, HumanMessage, AIMessage})
"""What a chat model is usually given."""

Scripted = Mapping[str, Any] | str | InstanceOf[AIMessage] | Exception
"""A reply: an object (sent as JSON), raw text, or a whole message with its metadata (log-probabilities, finish
reason) and perhaps its usage; or an exception to raise."""
Line = Scripted | Callable[[Request], Scripted]

_FREE_TEXT: Final = "Answer: A"


class ScriptedChatModel(BaseChatModel):
    """Answers node prompts from a script.

    `script` maps a node (`"reflect"`), or a node and branch (`"check_evidence:B"`, which takes precedence), to a
    reply or to a list of replies that are taken in turn; the last one repeats. For a node without a script the
    reply is the smallest object that fits its schema, so that the graph concludes at once with the first option.
    For free text it states the answer A.

    Four characters count as one token, rounded up.

    Example:
        >>> from ddxgraph import Case, build_graph
        >>> model = ScriptedChatModel(script={"conclude": {"justification": "fits", "answer": "B"}})
        >>> case = Case(vignette="Fever and cough.", options={"A": "Influenza", "B": "Pneumonia"})
        >>> build_graph(model).invoke({"case": case})["conclusion"].answer
        'B'
    """

    script: Mapping[str, Line | Sequence[Line]] = {}
    model_name: str = "scripted"
    record: bool = True
    """Keep every request in `requests`. Turn it off for very long runs."""

    def model_post_init(self, context: Any, /) -> None:
        """Prepare to read the script."""
        super().model_post_init(context)
        _ = self._prompter  # now, rather than in the threads of the first calls

    @cached_property  # a private attribute of pydantic's takes longer to look up
    def _prompter(self) -> "_Prompter":
        return _Prompter(self.script, self.record)

    @property
    def requests(self) -> list[Request]:
        """The requests so far, in order."""
        return self._prompter.requests

    @property
    def _llm_type(self) -> str:
        return "ddxgraph-scripted"

    @property
    def _identifying_params(self) -> Mapping[str, Any]:
        return {"model_name": self.model_name}

    # LangChain's bookkeeping around a call costs more than a scripted reply. Without a callback handler (so
    # without tracer and token stream) it has no effect, and is skipped.

    def invoke(
        self,
        input: LanguageModelInput,  # noqa: A002
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AIMessage:
        """Reply to the messages."""
        if config is None or self.callbacks or _listened_to(config):
            return super().invoke(input, config, stop=stop, **kwargs)
        return self._prompter.reply(self._messages(input), config.get("metadata") or {}, kwargs)

    async def ainvoke(
        self,
        input: LanguageModelInput,  # noqa: A002
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AIMessage:
        """Reply to the messages."""
        if config is None or self.callbacks or _listened_to(config):
            return await super().ainvoke(input, config, stop=stop, **kwargs)
        return self._prompter.reply(self._messages(input), config.get("metadata") or {}, kwargs)

    def _messages(self, given: LanguageModelInput) -> Sequence[BaseMessage]:
        if isinstance(given, list) and _MESSAGES.issuperset(map(type, given)):
            return cast(list[BaseMessage], given)
        return self._convert_input(given).to_messages()

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,  # noqa: ARG002
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        metadata = run_manager.metadata if run_manager else {}
        message = self._prompter.reply(messages, metadata, kwargs)
        return ChatResult(generations=[ChatGeneration(message=message)])

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,  # noqa: ARG002
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        metadata = run_manager.metadata if run_manager else {}
        message = self._prompter.reply(messages, metadata, kwargs)
        return ChatResult(generations=[ChatGeneration(message=message)])


class _Prompter:
    """Reads the script: which reply comes next, and how many tokens it has."""

    def __init__(self, script: Mapping[str, Line | Sequence[Line]], record: bool) -> None:
        self.requests: list[Request] = []
        self._script, self._record = script, record
        self._taken: Counter[str] = Counter()
        self._smallest: dict[int, tuple[Mapping[str, Any], str]] = {}
        self._lock = threading.Lock()

    def reply(
        self, messages: Sequence[BaseMessage], metadata: Mapping[str, Any], options: Mapping[str, Any]
    ) -> AIMessage:
        wanted = options.get("response_format")
        schema = wanted["json_schema"]["schema"] if wanted else {}
        node, branch = metadata.get(NODE_KEY, ""), metadata.get(BRANCH_KEY)
        line = self._next(node, branch, schema)
        if self._record or callable(line):
            request = Request(node, branch, messages, schema, options)
            if self._record:
                self.requests.append(request)
            if callable(line):
                line = line(request)
        if isinstance(line, Exception):
            raise line
        if isinstance(line, AIMessage) and line.usage_metadata is not None:
            return line
        text = _text_of(line)
        prompt = sum([-(-len(message.content) // 4) for message in messages])
        completion = -(-len(text) // 4)
        usage = UsageMetadata(input_tokens=prompt, output_tokens=completion, total_tokens=prompt + completion)
        known = line.response_metadata if isinstance(line, AIMessage) else {}
        return AIMessage(text, usage_metadata=usage, response_metadata=known)

    def _next(self, node: str, branch: str | None, schema: Mapping[str, Any]) -> Line:
        key = f"{node}:{branch}"
        key = key if key in self._script else node
        lines = self._script.get(key)
        if lines is None:
            return self._smallest_text(schema) if schema else _FREE_TEXT
        if isinstance(lines, str) or not isinstance(lines, Sequence):
            return lines
        with self._lock:
            place = self._taken[key]
            self._taken[key] += 1
        return lines[min(place, len(lines) - 1)]

    def _smallest_text(self, schema: Mapping[str, Any]) -> str:
        known = self._smallest.get(id(schema))
        if known is None or known[0] is not schema:
            known = self._smallest[id(schema)] = (schema, json.dumps(smallest(schema), ensure_ascii=False))
        return known[1]


def _text_of(line: Mapping[str, Any] | str | AIMessage) -> str:
    if isinstance(line, AIMessage):
        return str(line.text)
    return line if isinstance(line, str) else json.dumps(line, ensure_ascii=False)


def _listened_to(config: RunnableConfig) -> bool:
    callbacks = config.get("callbacks")
    return bool(callbacks if isinstance(callbacks, list) else getattr(callbacks, "handlers", None))


def smallest(schema: Mapping[str, Any]) -> Any:
    """The smallest value that fits a JSON schema as pydantic writes it: first enum values, shortest lists."""
    return _smallest(schema, schema.get("$defs", {}))


def _smallest(schema: Mapping[str, Any], defs: Mapping[str, Any]) -> Any:
    value: Any
    match schema:
        case {"$ref": reference}:
            value = _smallest(defs[reference.rsplit("/", 1)[1]], defs)
        case {"const": only} | {"enum": [only, *_]}:
            value = only
        case {"type": "object", "properties": fields}:
            value = {key: _smallest(field, defs) for key, field in fields.items()}
        case {"type": "array", "items": item}:
            value = [_smallest(item, defs)] * schema.get("minItems", 0)
        case {"type": "integer" | "number"}:
            value = schema.get("minimum", 0)
        case _:
            value = "x" * schema.get("minLength", 0)
    return value
