"""The kind of failure that an error of a chat model is, by what the server said, and how to mend it. Pure."""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from langchain_core.exceptions import (
    ContextOverflowError,
    ModelAPIError,
    ModelAuthenticationError,
    ModelConnectionError,
    ModelNotFoundError,
    ModelPermissionDeniedError,
    ModelRateLimitError,
    ModelTimeoutError,
)

from ddxgraph.nodes.call.said import ErrorSaid, error_said, is_filtered, unusable
from ddxgraph.nodes.failure import Failure, FailureKind

_MOST_CHARS: Final = 500
_PAYMENT: Final = 402
_SERVER_ERRORS: Final = 500

_Typed = tuple[FailureKind, str]
"""A kind, and how to mend it."""
_TIMED_OUT: Final[_Typed] = (FailureKind.TIMEOUT, "raise the client's timeout or lower the concurrency")
_UNREACHED: Final[_Typed] = (FailureKind.CONNECTION, "is the server running at this address?")
_TOO_MANY: Final[_Typed] = (FailureKind.RATE_LIMIT, "lower the concurrency or wait")
_WRONG_KEY: Final[_Typed] = (FailureKind.AUTHENTICATION, "check the API key (DDXGRAPH_API_KEY)")
_NO_RIGHT: Final[_Typed] = (FailureKind.AUTHENTICATION, "this key may not use this model")
_NO_MODEL: Final[_Typed] = (FailureKind.MODEL_NOT_FOUND, "check the model's name (DDXGRAPH_MODEL)")
_AILS: Final[_Typed] = (FailureKind.SERVER, "see the server's log")

_BY_CLASS: Final[Mapping[type[Exception], _Typed]] = {
    ModelTimeoutError: _TIMED_OUT,
    TimeoutError: _TIMED_OUT,
    ModelConnectionError: _UNREACHED,
    ConnectionError: _UNREACHED,
    ModelRateLimitError: _TOO_MANY,
    ModelAuthenticationError: _WRONG_KEY,
    ModelPermissionDeniedError: _NO_RIGHT,
    ModelNotFoundError: _NO_MODEL,
    ModelAPIError: _AILS,
}
"""In this order: the first class counts."""
_OVERFLOW: Final = re.compile(
    r"context.{0,60}(exceed|maximum|too long|overflow|length of only|limit|not enough)"
    r"|(exceed|maximum|too long|overflow|longer than|larger than).{0,60}context"
    r"|(prompt|inputs?).{0,60}(too long|too large|exceed)|max_new_tokens|maximum.{0,20}(tokens|length)",
    re.IGNORECASE | re.DOTALL,
)
"""How servers say that a prompt and its reply do not fit the context window."""
_QUOTA: Final = re.compile(
    r"insufficient.?(quota|funds|balance|credit)|billing|exceeded your current quota|out of credits?|payment",
    re.IGNORECASE,
)
_BUSY: Final = re.compile(
    r"overload|unavailable|try again|at capacity|is loading|loading model|not ready|too many requests",
    re.IGNORECASE,
)
_SENT_ON: Final[_Typed] = (
    FailureKind.OTHER,
    "the server sends requests on to another address: name that one, if it is yours",
)
_BY_STATUS: Final[Mapping[int | None, _Typed]] = {
    401: _WRONG_KEY,
    403: _NO_RIGHT,
    404: _NO_MODEL,
    408: _TIMED_OUT,
    409: _AILS,
    413: (FailureKind.CONTEXT_LENGTH, "shorten the case or serve a longer context"),
    425: _AILS,
    429: _TOO_MANY,
    **dict.fromkeys((301, 302, 303, 307, 308), _SENT_ON),
}


def _typed(error: Exception) -> _Typed:
    """The kind of an error, and how to fix it. The server's own words go before its status."""
    said = error_said(error)
    told = f"{said.codes} {said.words} {'' if said.words else error}"
    if isinstance(error, ContextOverflowError) or (
        said.status not in {401, 404, 429} and _OVERFLOW.search(told)
    ):
        return FailureKind.CONTEXT_LENGTH, "shorten the case, serve a longer context, or lower the budget"
    if said.status == _PAYMENT or (said.status in {None, 400, 403, 429} and _QUOTA.search(told)):
        return FailureKind.QUOTA, "the account's quota is spent: add to it, or use another key"
    if is_filtered(said):
        return (
            FailureKind.FILTERED,
            "the service holds it back for its content; use a model that answers such cases",
        )
    if why := unusable(error):
        return FailureKind.OTHER, why
    by_class = next((typed for cls, typed in _BY_CLASS.items() if isinstance(error, cls)), None)
    return by_class or _typed_by_status(error, said, told)


def _typed_by_status(error: Exception, said: ErrorSaid, told: str) -> _Typed:
    if said.status in _BY_STATUS:
        return _BY_STATUS[said.status]
    if (said.status or 0) >= _SERVER_ERRORS or (said.words and _BUSY.search(told)):
        return _AILS
    if isinstance(error, TypeError) and "choices" in str(error):  # how LangChain puts it
        return FailureKind.SERVER, "the answer of the server holds no reply; see the server's log"
    return FailureKind.OTHER, "see the server's log"


def kind_of(error: Exception) -> FailureKind:
    """The kind of failure that an error of a chat model is."""
    return _typed(error)[0]


def window_failure(node: str, window: int) -> Failure:
    """The failure of a prompt that leaves no room for a reply; known before the call."""
    return Failure(
        boundary="engine",
        kind=FailureKind.CONTEXT_LENGTH,
        node=node,
        message=f"{node}: the prompt leaves no room for a reply in the context window of {window} tokens; "
        "shorten the case or serve a longer context",
    )


def held_back(node: str, ending: str, words: str) -> Failure:
    """The failure of a reply that was held back.

    Args:
        node: the node that called.
        ending: `filtered` (by the service) or `refused` (by the model).
        words: the server's own.

    Returns:
        The failure.
    """
    kind = FailureKind.FILTERED if ending == "filtered" else FailureKind.REFUSED
    who = "the service held the reply back" if ending == "filtered" else "the model refused"
    return Failure(
        boundary="engine",
        kind=kind,
        node=node,
        message=f"{node}: {who} ({in_one_line(words)}); use a model that answers such cases",
    )


def in_one_line(text: str, secrets: Iterable[str] = ()) -> str:
    """Text of others as part of a message: short, on one line, without secrets or halves of characters."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return " ".join(text.encode("utf-8", "replace").decode().split())[:_MOST_CHARS]


def engine_failure(error: Exception, node: str, secrets: Iterable[str] = ()) -> Failure:
    """Type an error of a chat model.

    Args:
        error: what the model raised.
        node: the node that called it.
        secrets: texts to mask in the message.

    Returns:
        The failure, with the error's message and how to fix it.
    """
    kind, mend = _typed(error)
    said = error_said(error)
    whole = str(error)
    bare = any(isinstance(part, Mapping) for part in error.args)  # an error that holds the body alone
    message = in_one_line(said.words if said.words and (bare or said.words not in whole) else whole, secrets)
    if said.status and str(said.status) not in message:
        message = f"HTTP status {said.status}: {message}"
    if said.retry_after_s and kind in AWAY | AILING:
        asked = f"the server asks to wait {said.retry_after_s:.0f} s"
        mend = f"{asked}: run it again then, or raise the patience (`away_s`)"
    return Failure(
        boundary="engine",
        kind=kind,
        node=node,
        message=f"{node}: the model gave no reply ({type(error).__name__}: {message}); {mend}",
    )


AWAY: Final = frozenset({FailureKind.CONNECTION, FailureKind.RATE_LIMIT})
AILING: Final = frozenset({FailureKind.TIMEOUT, FailureKind.SERVER})
_AWAY_STATUS: Final = frozenset({425, 502, 503, 504, 529})
"""Status codes of a proxy without its server, and of an engine that is still loading or overloaded."""


def is_trouble(error: BaseException) -> bool:
    """Whether an error may pass, so that the call is worth repeating."""
    return isinstance(error, Exception) and kind_of(error) in AWAY | AILING


def is_away(error: BaseException) -> bool:
    """Whether the engine is away: it refuses connections, restarts or is overloaded."""
    kind = kind_of(error) if isinstance(error, Exception) else None
    return kind in AWAY or error_said(error).status in _AWAY_STATUS
