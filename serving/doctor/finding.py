"""A finding of the doctor, and how it follows from an endpoint's answers. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, NamedTuple

from pydantic import BaseModel, ConfigDict, field_validator

from ddxgraph.common.words import cut
from ddxgraph.nodes.call.consultation import TOP_LOGPROBS
from ddxgraph.nodes.call.errorkind import in_one_line
from ddxgraph.nodes.call.reply import read_reply
from ddxgraph.nodes.call.usage import Usage
from ddxgraph.nodes.conclude import letter_probabilities
from ddxgraph.nodes.failure import FailureKind
from ddxgraph.serving.models import ServedModel


class Status(StrEnum):
    """Status of a finding."""

    OK = "ok"
    WARN = "warn"
    """The graph runs without it; the finding says what that costs."""
    MISSING = "missing"
    """The graph cannot run without it."""
    SKIPPED = "skipped"
    """Not checked, since something before it is missing."""


class Finding(BaseModel):
    """The result of one check."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    status: Status
    value: str
    """What was found."""
    cost: str = ""
    """What it costs the user; may be empty."""
    mend: str = ""
    """How to mend it; empty if nothing needs mending, or if `value` tells how."""

    @field_validator("value", "cost", "mend", mode="before")
    @classmethod
    def _printable(cls, value: Any) -> Any:
        """A server's words on one line, without characters that move a terminal's cursor."""
        if not isinstance(value, str):
            return value
        return "".join(c if c.isprintable() else " " for c in in_one_line(value))

    def without(self, secrets: Iterable[str]) -> "Finding":
        """The finding with secrets blotted out: a server may repeat them in its answers."""
        return self.model_copy(update={"value": in_one_line(self.value, secrets)})


class Remedy(NamedTuple):
    """What a bad finding costs, and how to mend it."""

    cost: str
    mend: str


class Window(NamedTuple):
    """What the graph needs of a model's context window, in tokens."""

    least: int
    """Below it, a case of ordinary length is refused."""
    ease: int
    """From it on, an ordinary journey keeps its whole conversation."""


REACHABLE: Final = "reachable"
MODELS: Final = "models"
CONTEXT: Final = "context length"
LORA: Final = "LoRA"
SCHEMA: Final = "JSON schema"
COMPACT: Final = "compact JSON"
CHOICE: Final = "choice"
LOGPROBS: Final = "log-probabilities"
JOURNEY: Final = "journey"
PREFIX: Final = "prefix cache"
SPEED: Final = "speed"
NAMES: Final = (REACHABLE, MODELS, CONTEXT, LORA, SCHEMA, COMPACT, CHOICE, LOGPROBS, JOURNEY, PREFIX, SPEED)
"""The endpoint's findings, in the order of the checks."""

_ESSENTIAL: Final = frozenset({SCHEMA, CHOICE, JOURNEY})
_LASTING: Final = frozenset(
    {FailureKind.TIMEOUT, FailureKind.CONNECTION, FailureKind.AUTHENTICATION, FailureKind.MODEL_NOT_FOUND}
)
"""Failures that the next call would meet as well."""

REMEDIES: Final[Mapping[str, Remedy]] = {
    SCHEMA: Remedy(
        "no node's reply can be read",
        "serve the model with an engine that enforces `response_format` json_schema, such as vLLM's or the "
        "embedded one",
    ),
    COMPACT: Remedy(
        "white space costs tokens, and a small model fills its replies with it",
        "start vLLM with --structured-outputs-config "
        '\'{"backend": "xgrammar", "disable_any_whitespace": true}\'',
    ),
    CHOICE: Remedy(
        "an answer may be a letter that no option has",
        "serve the model with an engine that enforces `enum` in a JSON schema",
    ),
    LOGPROBS: Remedy(
        "the distribution over the options comes from the credence, not from the model's own probabilities",
        f"start vLLM with --max-logprobs {TOP_LOGPROBS}",
    ),
    JOURNEY: Remedy("what goes wrong here goes wrong with every case", "see what the finding says"),
    PREFIX: Remedy(
        "every call may pay for the whole conversation again, and no trace can tell",
        "start vLLM with --enable-prefix-caching --enable-prompt-tokens-details",
    ),
    LORA: Remedy(
        "a new adapter needs a restart of the server",
        "use `ddxgraph serve --lora-rank 16`, or start vLLM with --enable-lora and "
        "VLLM_ALLOW_RUNTIME_LORA_UPDATING=True",
    ),
}
_THINKING_MEND: Final = (
    "turn off a reasoning model's thoughts, such as with vLLM's --default-chat-template-kwargs "
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
    """A bad finding, with its cost and how to mend it.

    Args:
        name: one of `NAMES`.
        value: what was found.
        status: by default that of the name: `MISSING` if the graph cannot run without it, else `WARN`.

    Returns:
        The finding.
    """
    cost, mend = REMEDIES.get(name, Remedy("", ""))
    status = status or (Status.MISSING if name in _ESSENTIAL else Status.WARN)
    return Finding(name=name, status=status, value=value, cost=cost, mend=mend)


def skipped(name: str, why: str) -> Finding:
    """The finding of a check that was not made."""
    return Finding(name=name, status=Status.SKIPPED, value=why)


def lasts(kind: FailureKind) -> bool:
    """Whether the next call would fail likewise."""
    return kind in _LASTING


def unanswered(name: str, kind: FailureKind, sentence: str) -> Finding:
    """The finding of a check that got no reply.

    An engine that is gone or refuses access cannot run the graph, whichever check found out. One that is too
    slow for the measurement of speed may still be fast enough.

    Args:
        name: one of `NAMES`.
        kind: how the call failed.
        sentence: the failure in words.

    Returns:
        The finding.
    """
    if not lasts(kind):
        return amiss(name, sentence)
    slow = kind is FailureKind.TIMEOUT and name == SPEED
    return Finding(name=name, status=Status.WARN if slow else Status.MISSING, value=sentence)


def models_found(chosen: str, served: Sequence[ServedModel]) -> Finding:
    """The model in use, the others, and which of them are adapters."""
    shown = {model.name: _shown(model) for model in served}
    first = shown.pop(chosen, chosen)
    if not shown:
        return well(MODELS, first)
    more = len(shown) - _MOST_NAMED
    others = ", ".join([*shown.values()][:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
    return well(MODELS, f"{first} in use; also served: {others}")


def _shown(model: ServedModel) -> str:
    return f"{model.name} (adapter of {model.base})" if model.base else model.name


def window_found(window: int | None, needs: Window) -> Finding:
    """Whether the context window holds a journey."""
    if window is None:
        return Finding(
            name=CONTEXT,
            status=Status.WARN,
            value="the server does not tell",
            cost="a conversation that outgrows the window ends with an error instead of being shortened in time",
            mend="give `build_graph` a context_window",
        )
    value = f"{window:,} tokens; a case of ordinary length needs about {needs.least:,}"
    mend = "start vLLM with a larger --max-model-len, or use a model with a longer context"
    if window < needs.least:
        return Finding(name=CONTEXT, status=Status.MISSING, value=value, mend=mend)
    if window < needs.ease:
        cost = f"below {needs.ease:,} a conversation is shortened to a summary on its way"
        return Finding(name=CONTEXT, status=Status.WARN, value=value, cost=cost, mend=mend)
    return well(CONTEXT, value)


def schema_found(text: str, form: type[BaseModel], *, cut: bool) -> Finding:
    """Whether a reply has the requested form.

    Args:
        text: the reply.
        form: the form.
        cut: the reply reached its token limit.

    Returns:
        The finding.
    """
    if read_reply(text, form).output is not None:
        return well(SCHEMA, "enforced")
    finding = amiss(SCHEMA, "")
    if cut and not text.strip():
        value = "the reply reached its token limit before its JSON began"
        return finding.model_copy(update={"value": value, "mend": _THINKING_MEND})
    if cut and text.lstrip().startswith("{") and not compact(text):
        value = "the reply reached its token limit in white space"
        return finding.model_copy(update={"value": value, "mend": REMEDIES[COMPACT].mend})
    return amiss(SCHEMA, f"not enforced: the reply was {_excerpt(text)}")


def compact(text: str) -> bool:
    """Whether JSON is free of line breaks, tabs and runs of blanks outside its strings."""
    return not _LOOSE.search(_STRING.sub('""', text.strip()))


def compact_found(text: str) -> Finding:
    """Whether the engine kept white space out of a reply whose prompt asked for plenty of it."""
    if compact(text):
        return well(COMPACT, "no free white space")
    blank = sum(map(str.isspace, _STRING.sub("", text)))
    return amiss(COMPACT, f"{blank} of {len(text)} characters are white space between tokens")


def choice_found(text: str, form: type[BaseModel], choices: Sequence[str]) -> Finding:
    """Whether a reply kept to the choices, which its prompt forbade.

    Args:
        text: the reply.
        form: its form.
        choices: the words to choose from.

    Returns:
        The finding.
    """
    if read_reply(text, form).output is not None:
        return well(CHOICE, f"kept to {len(choices)} words that the prompt forbade")
    return amiss(CHOICE, f"not kept: the reply was {_excerpt(text)}")


def logprobs_found(text: str, tokens: Sequence[Mapping[str, Any]] | None, letters: Sequence[str]) -> Finding:
    """Whether a conclusion tells the probability of each option.

    Args:
        text: the reply.
        tokens: OpenAI's `choices[0].logprobs.content`.
        letters: the options.

    Returns:
        The finding.
    """
    if not tokens:
        return amiss(LOGPROBS, "none given")
    most = max(len(token.get("top_logprobs") or ()) for token in tokens)
    if letter_probabilities(text, tokens, letters) is None:
        return amiss(LOGPROBS, "given, but the answer's letter is not found among them")
    value = f"{most} alternatives a token"
    if most < TOP_LOGPROBS:
        finding = amiss(LOGPROBS, f"{value}; the graph asks for {TOP_LOGPROBS}")
        cost = "options that are not among them share what these leave"
        return finding.model_copy(update={"cost": cost})
    return well(LOGPROBS, value)


class Travelled(NamedTuple):
    """What became of a short journey through the graph."""

    outcome: str
    """Of its trace."""
    trouble: str
    """What went wrong, in a sentence; empty if nothing did."""
    left_out: Sequence[str]
    """What the calls left out, since the endpoint refuses it."""
    calls: int
    seconds: float


def journey_found(travelled: Travelled) -> Finding:
    """Whether a made-up case came to its answer."""
    if travelled.outcome != "answered":
        return amiss(JOURNEY, travelled.trouble or f"a made-up case came to no answer ({travelled.outcome})")
    value = f"a made-up case came to its answer in {travelled.calls} calls and {travelled.seconds:.1f} s"
    if travelled.trouble:
        return amiss(JOURNEY, f"{value}; {travelled.trouble}", Status.WARN)
    if travelled.left_out:
        return amiss(JOURNEY, f"{value}, without {', '.join(travelled.left_out)}", Status.WARN)
    return well(JOURNEY, value)


def prefix_found(again: Usage) -> Finding:
    """Whether the engine reports cached tokens, from the usage of a repeated prompt."""
    cached, share = again.cached_tokens, again.cache_share
    if again.estimated:
        finding = amiss(PREFIX, "the server reports no token usage at all")
        cost = "budgets count estimates, and traces cannot tell what was cached"
        return finding.model_copy(update={"cost": cost})
    if cached is None:
        return amiss(PREFIX, "not reported, or nothing is cached")
    value = f"{cached:,} of {again.prompt_tokens:,} prompt tokens of a repeated prompt were cached"
    if share is None or share < _HALF:
        return amiss(PREFIX, value)
    return well(PREFIX, value)


def lora_found(status: int | None, answer: str) -> Finding:
    """Whether adapters can be loaded while the server runs, from its answer to a GET where vLLM takes a POST.

    Args:
        status: HTTP status, if any. vLLM answers 405 (wrong method) if the route is on, and 404 if it is off.
        answer: the answer in words.
    """
    match status:
        case 405:
            return well(LORA, "adapters can be loaded while it runs")
        case 404:
            return amiss(LORA, "adapters cannot be loaded while it runs")
        case _:
            return amiss(LORA, f"no sign that adapters can be loaded while it runs: {answer}")


class Pace(NamedTuple):
    """How fast replies came."""

    requests: int
    usage: Usage
    """Over all of them."""
    seconds: float

    @property
    def rate(self) -> str:
        """Completion tokens a second, including the time for the prompts; one decimal below ten."""
        tokens_per_s = self.usage.completion_tokens / max(self.seconds, 1e-6)
        return f"{tokens_per_s:.1f}" if tokens_per_s < _FEW else f"{tokens_per_s:,.0f}"


def speed_found(one: Pace, many: Pace) -> Finding:
    """Tokens a second for one request and for several at once."""
    each = round((one.usage.completion_tokens + many.usage.completion_tokens) / (1 + many.requests))
    source = (
        "estimated, since the server reports no usage" if one.usage.estimated else "as the server reports"
    )
    return well(
        SPEED,
        f"{one.rate} tokens/s for one request, {many.rate} for {many.requests} at once "
        f"(some {each} tokens each, {source})",
    )


def cannot_run(findings: Iterable[Finding]) -> list[str]:
    """Names of the findings without which the graph cannot run; empty if it can."""
    return [finding.name for finding in findings if finding.status is Status.MISSING]


def verdict(findings: Sequence[Finding]) -> str:
    """The closing line."""
    missing = cannot_run(findings)
    warnings = sum(finding.status is Status.WARN for finding in findings)
    count = f"{warnings} warning{'' if warnings == 1 else 's'}" if warnings else "no warnings"
    if missing:
        return f"The graph cannot run here: {', '.join(missing)}."
    return f"The graph can run here ({count})."


def _excerpt(text: str, most: int = 60) -> str:
    line = in_one_line(text)
    return repr(cut(line, most)) if line else "empty"
