"""Token usage of calls to a model, as the engine reports it."""

from collections.abc import Iterable, Sequence
from typing import Final

from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from pydantic import BaseModel, ConfigDict, Field

BYTES_PER_TOKEN = 3
"""A low estimate for clinical English (4 and more), JSON (about 3) and other scripts (3 bytes a character)."""
TOKENS_PER_MESSAGE = 8
"""A high estimate of what a chat template puts around a message."""


class Usage(BaseModel):
    """Calls and tokens, summed over calls; `+` adds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    calls: int = 0
    prompt_tokens: int = 0
    cached_tokens: int | None = None
    """Prompt tokens served from the engine's prefix cache; None if the engine does not report them."""
    completion_tokens: int = 0
    reasoning_tokens: int | None = Field(default=None, exclude_if=lambda tokens: tokens is None)
    """Those of the completion that were thoughts; None if the engine does not report them."""
    estimated: bool = False
    """Whether an engine reported no usage, so that counts were estimated from the length of the text."""

    @property
    def total_tokens(self) -> int:
        """Prompt and completion tokens together, cached ones included."""
        return self.prompt_tokens + self.completion_tokens

    @property
    def cache_share(self) -> float | None:
        """Share of prompt tokens that were cached, in 0..1; None if the engine does not report it."""
        if self.cached_tokens is None or not self.prompt_tokens:
            return None
        return self.cached_tokens / self.prompt_tokens

    def __add__(self, other: "Usage") -> "Usage":
        return total_usage((self, other))


def total_usage(parts: Iterable[Usage]) -> Usage:
    """Sum over calls; cached and reasoning tokens stay None if no engine reported any."""
    calls = prompt = completion = cached = thought = 0
    reported = estimated = thinks = False
    for part in parts:
        calls += part.calls
        prompt += part.prompt_tokens
        completion += part.completion_tokens
        estimated = estimated or part.estimated
        if part.cached_tokens is not None:
            cached += part.cached_tokens
            reported = True
        if part.reasoning_tokens is not None:
            thought += part.reasoning_tokens
            thinks = True
    return Usage(
        calls=calls,
        prompt_tokens=prompt,
        cached_tokens=cached if reported else None,
        completion_tokens=completion,
        reasoning_tokens=thought if thinks else None,
        estimated=estimated,
    )


def estimate_tokens(texts: Iterable[str]) -> int:
    """A high estimate of the tokens in some messages, since the client has no tokenizer."""
    tokens = 0
    for text in texts:
        size = len(text) if text.isascii() else len(text.encode("utf-8", "replace"))
        tokens += size // BYTES_PER_TOKEN + TOKENS_PER_MESSAGE
    return tokens


_TEMPLATE_TOKENS: Final = 4_096
"""More than any chat template adds to a prompt, the description of a form included."""


def usage_of(message: AIMessage, prompt: Sequence[BaseMessage]) -> Usage:
    """Usage of one call from the message's metadata; estimated if the engine reported none, or what cannot be."""
    reported = message.usage_metadata
    if reported is None or not _can_be(reported, message, prompt):
        return Usage(
            calls=1,
            prompt_tokens=estimate_tokens(str(m.text) for m in prompt),
            completion_tokens=estimate_tokens([str(message.text)]),
            estimated=True,
        )
    details, written = reported.get("input_token_details"), reported.get("output_token_details")
    return Usage(
        calls=1,
        prompt_tokens=reported["input_tokens"],
        cached_tokens=details.get("cache_read") if details else None,
        completion_tokens=reported["output_tokens"],
        reasoning_tokens=written.get("reasoning") if written else None,
    )


def _can_be(reported: UsageMetadata, message: AIMessage, prompt: Sequence[BaseMessage]) -> bool:
    """Whether a report is possible: a prompt has tokens, a reply too, and neither more than it has bytes."""
    spent, written = reported["input_tokens"], reported["output_tokens"]
    if spent <= 0 or written < 0 or (written == 0 and str(message.text)):
        return False
    if spent <= _TEMPLATE_TOKENS:  # without measuring the prompt, which takes longer than all else here
        return True
    size = sum(len(str(m.text).encode("utf-8", "replace")) for m in prompt)
    return spent <= size + _TEMPLATE_TOKENS
