"""A finding of the doctor, and how it follows from what an endpoint answered. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, NamedTuple

from pydantic import BaseModel, ConfigDict, field_validator

from ddxgraph.nodes.conclude import letter_probabilities
from ddxgraph.nodes.consultation import TOP_LOGPROBS
from ddxgraph.nodes.failure import FailureKind, in_one_line
from ddxgraph.nodes.reading import read_reply
from ddxgraph.nodes.usage import Usage
from ddxgraph.serving.models import ServedModel


class Status(StrEnum):
    """How a finding stands."""

    OK = "ok"
    WARN = "warn"
    """The graph runs without; the finding says what that costs."""
    MISSING = "missing"
    """The graph cannot run without."""
    SKIPPED = "skipped"
    """Not looked at, since something before it is missing."""


class Finding(BaseModel):
    """One thing that was looked at."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    status: Status
    value: str
    """What was found."""
    cost: str = ""
    """What it costs the user; empty where nothing."""
    mend: str = ""
    """How to mend it; empty where nothing is to be mended, or `value` says so."""

    @field_validator("value", "cost", "mend", mode="before")
    @classmethod
    def _printable(cls, value: Any) -> Any:
        """A server's words, on one line and without what would move a terminal's cursor."""
        if not isinstance(value, str):
            return value
        return "".join(c if c.isprintable() else " " for c in in_one_line(value))

    def without(self, secrets: Iterable[str]) -> "Finding":
        """The same with secrets blotted out: a server may repeat them in what it answers."""
        return self.model_copy(update={"value": in_one_line(self.value, secrets)})


class Remedy(NamedTuple):
    """What a finding that is not well costs, and how to mend it."""

    cost: str
    mend: str


class Window(NamedTuple):
    """What the graph needs of a model's context window, in tokens."""

    least: int
    """Below it a case of ordinary length is refused."""
    ease: int
    """Above it an ordinary journey keeps its whole conversation."""


REACHABLE: Final = "reachable"
MODELS: Final = "models"
CONTEXT: Final = "context length"
LORA: Final = "LoRA"
SCHEMA: Final = "JSON schema"
COMPACT: Final = "compact JSON"
CHOICE: Final = "choice"
LOGPROBS: Final = "log-probabilities"
PREFIX: Final = "prefix cache"
SPEED: Final = "speed"
NAMES: Final = (REACHABLE, MODELS, CONTEXT, LORA, SCHEMA, COMPACT, CHOICE, LOGPROBS, PREFIX, SPEED)
"""The endpoint's findings, in the order in which they are looked at."""

_ESSENTIAL: Final = frozenset({SCHEMA, CHOICE})
_LASTING: Final = frozenset(
    {FailureKind.TIMEOUT, FailureKind.CONNECTION, FailureKind.AUTHENTICATION, FailureKind.MODEL_NOT_FOUND}
)
"""Failures that the next call would meet too."""

REMEDIES: Final[Mapping[str, Remedy]] = {
    SCHEMA: Remedy(
        "no node's reply can be read",
        "serve the model with an engine that enforces `response_format` json_schema, such as vLLM's or the "
        "embedded one",
    ),
    COMPACT: Remedy(
        "white space is paid for as tokens, and a small model fills its replies with it",
        "start vLLM with --structured-outputs-config "
        '\'{"backend": "xgrammar", "disable_any_whitespace": true}\'',
    ),
    CHOICE: Remedy(
        "an answer may be the letter of no option",
        "serve the model with an engine that enforces `enum` in a JSON schema",
    ),
    LOGPROBS: Remedy(
        "the distribution over the options comes from the credence, not from the model's own probabilities",
        f"start vLLM with --max-logprobs {TOP_LOGPROBS}",
    ),
    PREFIX: Remedy(
        "every call may pay for the whole conversation again, and no trace can tell",
        "start vLLM with --enable-prefix-caching --enable-prompt-tokens-details",
    ),
    LORA: Remedy(
        "a new adapter takes a restart of the server",
        "use `ddxgraph serve --lora-rank 16`, or start vLLM with --enable-lora and "
        "VLLM_ALLOW_RUNTIME_LORA_UPDATING=True",
    ),
}
_THINKING_MEND: Final = (
    "give a model that thinks first its thinking off, such as vLLM's --default-chat-template-kwargs "
    "'{\"enable_thinking\": false}'"
)
_MOST_NAMED: Final = 8
_HALF: Final = 0.5
_FEW: Final = 10

_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*"?')
_LOOSE: Final = re.compile(r"[\r\n\t]| {2}")


def well(name: str, value: str) -> Finding:
    """A finding with nothing to mend."""
    return Finding(name=name, status=Status.OK, value=value)


def amiss(name: str, value: str, status: Status | None = None) -> Finding:
    """A finding that is not well, with what that costs and its mend."""
    cost, mend = REMEDIES.get(name, Remedy("", ""))
    settled = status or (Status.MISSING if name in _ESSENTIAL else Status.WARN)
    return Finding(name=name, status=settled, value=value, cost=cost, mend=mend)


def skipped(name: str, why: str) -> Finding:
    """A finding that was not looked for."""
    return Finding(name=name, status=Status.SKIPPED, value=why)


def lasts(kind: FailureKind) -> bool:
    """Whether the next call would fail in the same way."""
    return kind in _LASTING


def unanswered(name: str, kind: FailureKind, sentence: str) -> Finding:
    """The finding where the engine gave no reply.

    An engine that is gone, or that no longer lets the user in, cannot run the graph, whatever it was asked.
    One that is too slow for the measure of its speed may still be fast enough.
    """
    if not lasts(kind):
        return amiss(name, sentence)
    slow = kind is FailureKind.TIMEOUT and name == SPEED
    return Finding(name=name, status=Status.WARN if slow else Status.MISSING, value=sentence)


def models_found(chosen: str, served: Sequence[ServedModel]) -> Finding:
    """The model in force, the others, and which of them are adapters."""
    shown = {model.name: _shown(model) for model in served}
    first = shown.pop(chosen, chosen)
    if not shown:
        return well(MODELS, first)
    more = len(shown) - _MOST_NAMED
    beside = ", ".join([*shown.values()][:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
    return well(MODELS, f"{first} in force; beside it {beside}")


def _shown(model: ServedModel) -> str:
    return f"{model.name} (adapter of {model.base})" if model.base else model.name


def window_found(window: int | None, needs: Window) -> Finding:
    """Whether the context window holds a journey."""
    if window is None:
        return Finding(
            name=CONTEXT,
            status=Status.WARN,
            value="the server does not say",
            cost="a conversation that outgrows the window ends with an error instead of being cut down in time",
            mend="give `build_graph` a context_window",
        )
    value = f"{window:,} tokens; a case of ordinary length needs about {needs.least:,}"
    mend = "start vLLM with a larger --max-model-len, or take a model with a longer context"
    if window < needs.least:
        return Finding(name=CONTEXT, status=Status.MISSING, value=value, mend=mend)
    if window < needs.ease:
        cost = f"below {needs.ease:,} a conversation is cut down to a summary on its way"
        return Finding(name=CONTEXT, status=Status.WARN, value=value, cost=cost, mend=mend)
    return well(CONTEXT, value)


def schema_found(text: str, form: type[BaseModel], *, cut: bool) -> Finding:
    """Whether a reply has the form that was asked for.

    Args:
        text: the reply.
        form: the form.
        cut: the reply ran into its token limit.
    """
    if read_reply(text, form).output is not None:
        return well(SCHEMA, "enforced")
    finding = amiss(SCHEMA, "")
    if cut and not text.strip():
        value = "the reply ran into its token limit before its JSON began"
        return finding.model_copy(update={"value": value, "mend": _THINKING_MEND})
    if cut and text.lstrip().startswith("{") and not compact(text):
        value = "the reply ran into its token limit in white space"
        return finding.model_copy(update={"value": value, "mend": REMEDIES[COMPACT].mend})
    return amiss(SCHEMA, f"not enforced: the reply was {_excerpt(text)}")


def compact(text: str) -> bool:
    """Whether JSON is free of line breaks, tabs and runs of blanks outside its strings."""
    return not _LOOSE.search(_STRING.sub('""', text.strip()))


def compact_found(text: str) -> Finding:
    """Whether the engine kept white space out of a reply that was asked to be full of it."""
    if compact(text):
        return well(COMPACT, "no free white space")
    blank = sum(map(str.isspace, _STRING.sub("", text)))
    return amiss(COMPACT, f"{blank} of {len(text)} characters are white space between tokens")


def choice_found(text: str, form: type[BaseModel], choices: Sequence[str]) -> Finding:
    """Whether a reply kept to the choices, which its prompt had argued against."""
    if read_reply(text, form).output is not None:
        return well(CHOICE, f"kept to {len(choices)} words that the prompt forbade")
    return amiss(CHOICE, f"not kept: the reply was {_excerpt(text)}")


def logprobs_found(text: str, tokens: Sequence[Mapping[str, Any]] | None, letters: Sequence[str]) -> Finding:
    """Whether the probability of each option can be read from a conclusion.

    Args:
        text: the reply.
        tokens: OpenAI's `choices[0].logprobs.content`.
        letters: the options.
    """
    if not tokens:
        return amiss(LOGPROBS, "none given")
    most = max(len(token.get("top_logprobs") or ()) for token in tokens)
    if letter_probabilities(text, tokens, letters) is None:
        return amiss(LOGPROBS, "given, but the answer's letter is not found among them")
    value = f"{most} alternatives a token"
    if most < TOP_LOGPROBS:
        finding = amiss(LOGPROBS, f"{value}; the graph asks for {TOP_LOGPROBS}")
        cost = "options that are not among them get the probability of the last that is"
        return finding.model_copy(update={"cost": cost})
    return well(LOGPROBS, value)


def prefix_found(again: Usage) -> Finding:
    """Whether the engine tells what it had cached, from the usage of a prompt that it had seen before."""
    cached, share = again.cached_tokens, again.cache_share
    if again.estimated:
        finding = amiss(PREFIX, "the server reports no token usage at all")
        cost = "budgets count estimates, and no trace can tell what is cached"
        return finding.model_copy(update={"cost": cost})
    if cached is None:
        return amiss(PREFIX, "not reported, or nothing is cached")
    value = f"{cached:,} of {again.prompt_tokens:,} prompt tokens of a repeated prompt were cached"
    if share is None or share < _HALF:
        return amiss(PREFIX, value)
    return well(PREFIX, value)


def lora_found(status: int | None, said: str) -> Finding:
    """Whether adapters can be loaded while the server runs, from its answer to a GET where vLLM takes a POST.

    Args:
        status: HTTP status; None where there was none. vLLM answers 405 (wrong method) where the route is on, 404
            where it is off.
        said: the answer in words.
    """
    match status:
        case 405:
            return well(LORA, "adapters can be loaded while it runs")
        case 404:
            return amiss(LORA, "adapters cannot be loaded while it runs")
        case _:
            return amiss(LORA, f"no sign that adapters can be loaded while it runs: {said}")


class Pace(NamedTuple):
    """How fast replies came."""

    requests: int
    usage: Usage
    """Over all of them."""
    seconds: float

    @property
    def rate(self) -> str:
        """Completion tokens a second, the prompts' own time included; one decimal below ten."""
        tokens_per_s = self.usage.completion_tokens / max(self.seconds, 1e-6)
        return f"{tokens_per_s:.1f}" if tokens_per_s < _FEW else f"{tokens_per_s:,.0f}"


def speed_found(one: Pace, many: Pace) -> Finding:
    """Tokens a second for one request and for several at once."""
    each = round((one.usage.completion_tokens + many.usage.completion_tokens) / (1 + many.requests))
    told = "estimated, since the server reports no usage" if one.usage.estimated else "as the server reports"
    return well(
        SPEED,
        f"{one.rate} tokens/s for one request, {many.rate} for {many.requests} at once "
        f"(some {each} tokens each, {told})",
    )


def cannot_run(findings: Iterable[Finding]) -> list[str]:
    """Names of what the graph cannot run without; empty where it can run."""
    return [finding.name for finding in findings if finding.status is Status.MISSING]


def verdict(findings: Sequence[Finding]) -> str:
    """The closing line."""
    lacking = cannot_run(findings)
    warnings = sum(finding.status is Status.WARN for finding in findings)
    count = f"{warnings} warning{'' if warnings == 1 else 's'}" if warnings else "no warnings"
    if lacking:
        return f"The graph cannot run here: {', '.join(lacking)}."
    return f"The graph can run here ({count})."


def _excerpt(text: str, most: int = 60) -> str:
    said = in_one_line(text)
    return repr(said if len(said) <= most else said[: most - 1] + "…") if said else "empty"
