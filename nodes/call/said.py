"""What a server said: why a reply ended and where its text is, and the words, status and hints of an error.

Servers differ in where they put these. Everything that depends on a server's own words reads them here. Pure.
"""

import re
import ssl
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, Literal, NamedTuple

from langchain_core.messages import AIMessage

from ddxgraph.common.errors import ServerError
from ddxgraph.nodes.call.thoughts import Told, told

Ending = Literal["whole", "cut off", "filtered", "refused"]
"""How a reply ended. `cut off`: at its token limit; `filtered`: by the service; `refused`: by the model."""

_CAPPED: Final = frozenset({"length", "max_tokens", "max_output_tokens", "model_length"})
"""Finish reasons for a reply that reached its token limit."""
_FILTERED: Final = re.compile(
    r"content.?filter|safety|recitation|blocklist|prohibited|spii|blocked|guardrail", re.I
)
"""Finish reasons for what a service holds back."""
_HELD_BACK: Final = re.compile(
    r"content.?(filter|management|policy)|safety.?(filter|polic|system)|responsible.?ai", re.I
)
"""Words of errors for the same."""
_WORDS: Final = (
    "message",
    "msg",
    "error",
    "detail",
    "errors",
    "error_message",
    "reason",
    "title",
    "description",
)
"""Where servers put what they have to say, in the order in which it is told."""
_CODES: Final = ("code", "type", "status", "error_type")
_DEEPEST: Final = 5
_LONGEST_REASON: Final = 100
_LONGEST_CHAIN: Final = 12


class ErrorSaid(NamedTuple):
    """What an error of a server says."""

    status: int | None
    """HTTP status, of the answer or within its body."""
    words: str
    """The server's own words; empty if it gave none."""
    codes: str
    """The names that the server gives to the error, in one text."""
    retry_after_s: float | None
    """How long the server asks to wait, in seconds."""


def finish_reason_of(message: AIMessage) -> str:
    """Why a reply ended, in the server's word; empty if it gives none."""
    metadata = message.response_metadata
    return str(metadata.get("finish_reason") or metadata.get("stop_reason") or "")[:_LONGEST_REASON]


def ending_of(message: AIMessage) -> Ending:
    """How a reply ended."""
    reason = finish_reason_of(message).lower()
    if reason in _CAPPED:
        return "cut off"
    if reason and _FILTERED.search(reason):
        return "filtered"
    return "refused" if refusal_of(message) or reason == "refusal" else "whole"


def refusal_of(message: AIMessage) -> str:
    """The words in which a model refuses, where the server sets them apart; else empty."""
    refusal = message.additional_kwargs.get("refusal")
    return refusal if isinstance(refusal, str) and not str(message.text).strip() else ""


def reply_of(message: AIMessage) -> Told:
    """A reply in its two parts, text and thoughts, wherever the server put them.

    Reasoning parsers take a reply without thoughts for thoughts, and some servers answer a form by a call of a
    tool. So where the text is empty, a JSON object among the thoughts or the arguments is the reply.
    """
    text, thoughts = told(message)
    if text.strip():
        return Told(text, thoughts)
    for call in message.additional_kwargs.get("tool_calls") or ():
        arguments = call.get("function", {}).get("arguments") if isinstance(call, Mapping) else None
        if isinstance(arguments, str) and arguments.lstrip().startswith("{"):
            return Told(arguments, thoughts)
    bare = thoughts.strip()
    return Told(bare, "") if bare.endswith("}") and "{" in bare else Told(text, thoughts)


def tokens_of(message: AIMessage) -> Sequence[Mapping[str, Any]] | None:
    """OpenAI's `logprobs.content`; None if the server gives none, or something else."""
    logprobs = message.response_metadata.get("logprobs")
    if logprobs is None:
        return None
    content = logprobs.get("content") if isinstance(logprobs, Mapping) else None
    if not isinstance(content, Sequence) or not all(isinstance(token, Mapping) for token in content):
        return None
    return content


def unusable(error: BaseException) -> str:
    """Why an answer is not used although something answers, and what to do; empty for any other error.

    Clients wrap the errors of a connection two and three times.
    """
    link: BaseException | None = error
    for _ in range(_LONGEST_CHAIN):
        match link:
            case None:
                return ""
            case ServerError():
                return str(link)
            case ssl.SSLCertVerificationError():
                return (
                    f"its certificate cannot be trusted ({link.verify_message}): correct the address or the "
                    "clock, or name the file of your authority in SSL_CERT_FILE"
                )
            case ssl.SSLError():
                return (
                    f"it does not speak TLS as this machine does ({link.reason or link}): is it https at all?"
                )
        link = link.__cause__ or link.__context__
    return ""


def error_said(error: BaseException) -> ErrorSaid:
    """What an error of a chat model says, from wherever the server and the client put it."""
    chain: list[Any] = [error, *([error.__cause__] if error.__cause__ else [])]
    bodies = [body for each in chain for body in _bodies(each)]
    codes = [code for body in bodies for code in _codes(body)]
    stated = (getattr(each, "status_code", None) for each in chain)
    status = next((known for known in stated if isinstance(known, int)), None)
    if status is None or status < 400:  # noqa: PLR2004
        inner = (int(code) for code in codes if code.isdigit() and 400 <= int(code) < 600)  # noqa: PLR2004
        status = next(inner, status)
    words = dict.fromkeys(word for body in bodies for word in _words(body))
    return ErrorSaid(status, "; ".join(words), " ".join(dict.fromkeys(codes)), _retry_after(chain, bodies))


def is_filtered(said: ErrorSaid) -> bool:
    """Whether the service held the request or the reply back for its content."""
    return said.status in {None, 400, 403, 422} and bool(_HELD_BACK.search(f"{said.codes} {said.words}"))


def _bodies(error: BaseException) -> Iterator[Any]:
    body = getattr(error, "body", None)
    if body:
        yield body
    elif error.args and isinstance(error.args[0], Mapping):  # an error within an answer of status 200
        yield error.args[0]


def _words(body: Any, depth: int = 0) -> Iterator[str]:
    """The sentences in a body, whatever its shape."""
    if isinstance(body, str):
        if body.strip():
            yield " ".join(body.split())
    elif depth > _DEEPEST:
        return
    elif isinstance(body, Mapping):
        for key in _WORDS:
            if key in body:
                place = body.get("loc")
                where = f"{'.'.join(map(str, place))}: " if isinstance(place, Sequence) and place else ""
                yield from (where + word for word in _words(body[key], depth + 1))
    elif isinstance(body, Sequence):
        for item in body:
            yield from _words(item, depth + 1)


def _codes(body: Any, depth: int = 0) -> Iterator[str]:
    if isinstance(body, Mapping) and depth <= _DEEPEST:
        for key in _CODES:
            if isinstance(body.get(key), str | int):
                yield str(body[key])
        for key in _WORDS:
            yield from _codes(body.get(key), depth + 1)


def _retry_after(chain: Sequence[BaseException], bodies: Sequence[Any]) -> float | None:
    for each in chain:
        headers = getattr(getattr(each, "response", None), "headers", None) or {}
        if (milliseconds := _number(headers.get("retry-after-ms"))) is not None:
            return milliseconds / 1_000
        hint = headers.get("retry-after")
        if hint is not None and (seconds := _seconds(str(hint))) is not None:
            return seconds
    for body in bodies:
        if isinstance(body, Mapping) and (seconds := _number(body.get("retry_after"))) is not None:
            return seconds
    return None


def _seconds(hint: str) -> float | None:
    """Seconds from now that a `Retry-After` header names, as a number or as a date."""
    number = _number(hint)
    if number is not None:
        return number
    try:
        then = parsedate_to_datetime(hint)
    except ValueError:
        return None
    aware = then if then.tzinfo else then.replace(tzinfo=UTC)
    return max((aware - datetime.now(UTC)).total_seconds(), 0.0)


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if 0 <= number < float("inf") else None
