"""What an endpoint refuses although a call can do without it: left out once it is refused, and remembered."""

import re
from collections.abc import Hashable, Iterator, Mapping
from typing import Any, Final
from weakref import finalize

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage

from ddxgraph.nodes.call.errorkind import kind_of
from ddxgraph.nodes.call.inwords import FORM, asked_in_words, refuses_form
from ddxgraph.nodes.call.patience import LOG
from ddxgraph.nodes.call.said import error_said
from ddxgraph.nodes.call.systemturn import SYSTEM_TURN, refuses_system, without_system
from ddxgraph.nodes.failure import FailureKind

_PARAMETERS: Final[Mapping[str, str]] = {
    "temperature": "temperature",
    "top_p": "top_p",
    "seed": "seed",
    "stream_options": "stream_usage",
}
"""Parameters that may stand in the call or in the chat model itself, with the names that they have there."""
_LIMITS: Final[Mapping[str, str]] = {
    "max_completion_tokens": "max_tokens",
    "max_tokens": "max_completion_tokens",
}
"""The token limit of a reply: the newer and the older name, each with the other one."""
KEYWORDS: Final = frozenset(
    {"maxLength", "minLength", "maxItems", "minItems", "maximum", "minimum", "pattern"}
)
"""Keywords of a JSON schema that narrow what a form takes. Without them a reply is read as strictly as before."""
_REFUSALS: Final = frozenset({400, 404, 415, 422, 501})
"""Statuses by which a server refuses a request for what stands in it."""
_OF_ANOTHER_KIND: Final = frozenset(
    {FailureKind.CONTEXT_LENGTH, FailureKind.FILTERED, FailureKind.QUOTA, FailureKind.RATE_LIMIT}
)
"""Errors that may name a parameter, but do not refuse it."""
_MOST: Final = re.compile(
    r"(?:max(?:imum)?(?: allowed)?|at most|up to|less than or equal to|<=|between 0 and)\D{0,20}?(\d+)", re.I
)


CHANCES: Final = 12
"""Attempts of one call: more than there is to leave out."""


class Tolerance:
    """What calls to one endpoint leave out, since it refused it."""

    def __init__(self) -> None:
        self._dropped: set[str] = set()
        self._most_logprobs: int | None = None
        self._fitted: BaseChatModel | None = None

    @property
    def left_out(self) -> tuple[str, ...]:
        """What calls leave out, in words; empty at first."""
        if not self._dropped and self._most_logprobs is None:
            return ()
        fewer = () if self._most_logprobs is None else (f"top_logprobs above {self._most_logprobs}",)
        return (*sorted(self._dropped), *fewer)

    def fitted(
        self, model: BaseChatModel, settings: Mapping[str, Any]
    ) -> tuple[BaseChatModel, dict[str, Any]]:
        """The chat model and the keyword arguments of a call, without what was refused."""
        if not self.left_out:
            return model, dict(settings)
        kept = {key: value for key, value in settings.items() if key not in self._dropped}
        if "logprobs" in self._dropped:
            kept.pop("top_logprobs", None)
        elif self._most_logprobs is not None and "top_logprobs" in kept:
            kept["top_logprobs"] = min(kept["top_logprobs"], self._most_logprobs)
        if "max_completion_tokens" in self._dropped and "max_tokens" in settings:
            # LangChain's clients send either name as the newer one.
            kept.pop("max_tokens", None)
            kept["extra_body"] = {**(kept.get("extra_body") or {}), "max_tokens": settings["max_tokens"]}
        if "response_format" in kept:
            kept["response_format"] = without_keywords(kept["response_format"], self._dropped & KEYWORDS)
        return self._model(model), kept

    def learns_from(self, error: Exception, sent: Mapping[str, Any], model: BaseChatModel) -> bool:
        """Note what a server refuses of a call.

        Args:
            error: what the call raised.
            sent: its keyword arguments.
            model: the chat model.

        Returns:
            Whether the call is worth repeating without it.
        """
        said = error_said(error)
        told = said.words or str(error)
        if said.status is not None and SYSTEM_TURN not in self._dropped and refuses_system(told):
            self._drop(SYSTEM_TURN)
            return True
        unknown_to_client = isinstance(error, TypeError) and "unexpected keyword" in told
        if (said.status not in _REFUSALS and not unknown_to_client) or kind_of(error) in _OF_ANOTHER_KIND:
            return False
        refused = next((name for name in self._sent(sent, model) if _names(told, name)), None)
        if refused is None and FORM in sent and refuses_form(told):
            refused = FORM
        if refused is None:
            return False
        self._note(refused, told, sent)
        return True

    def worded(self, messages: list[BaseMessage], settings: Mapping[str, Any]) -> list[BaseMessage]:
        """The messages of a call: without a system turn, and with the form in words, where these are refused.

        Args:
            messages: the conversation.
            settings: the keyword arguments of the call, before anything is left out of them.
        """
        if FORM in self._dropped and FORM in settings:
            messages = asked_in_words(messages, settings[FORM])
        return without_system(messages) if SYSTEM_TURN in self._dropped else messages

    def _drop(self, refused: str) -> None:
        if refused not in self._dropped:
            self._dropped.add(refused)
            self._told(refused)

    def _told(self, refused: str) -> None:
        self._fitted = None
        LOG.warning("the endpoint refuses %s: left out from now on", refused, extra={"kind": "refused"})

    def _note(self, refused: str, told: str, sent: Mapping[str, Any]) -> None:
        if refused in {"logprobs", "top_logprobs"}:
            most = _MOST.search(told)
            asked = sent.get("top_logprobs", 0)
            if most and 0 < int(most[1]) < asked:
                if self._most_logprobs != int(most[1]):
                    self._most_logprobs = int(most[1])
                    self._told(refused)
                return
            refused = "logprobs"
        self._drop(refused)

    def _sent(self, sent: Mapping[str, Any], model: BaseChatModel) -> Iterator[str]:
        """Names of what the call held and could have done without."""
        if "logprobs" in sent:
            yield from ("top_logprobs", "logprobs")
        if "response_format" in sent:
            held = str(sent["response_format"])
            yield from (keyword for keyword in sorted(KEYWORDS) if f"'{keyword}'" in held)
        yield from (
            name for name, own in _PARAMETERS.items() if name in sent or getattr(model, own, None) is not None
        )
        yield from (name for name in _LIMITS if "max_tokens" in sent and name not in self._dropped)

    def _model(self, model: BaseChatModel) -> BaseChatModel:
        """The chat model without parameters of its own that are refused."""
        own = [
            attribute
            for name, attribute in _PARAMETERS.items()
            if name in self._dropped and getattr(model, attribute, None) is not None
        ]
        if not own:
            return model
        if self._fitted is None:
            self._fitted = model.model_copy(update=dict.fromkeys(own))
        return self._fitted


def without_keywords(value: Any, keywords: set[str]) -> Any:
    """A JSON schema without some keywords; names of properties stay."""
    if not keywords:
        return value
    if isinstance(value, Mapping):
        return {
            key: {name: without_keywords(each, keywords) for name, each in inner.items()}
            if key == "properties"
            else without_keywords(inner, keywords)
            for key, inner in value.items()
            if key not in keywords
        }
    if isinstance(value, list):
        return [without_keywords(each, keywords) for each in value]
    return value


def _names(told: str, name: str) -> bool:
    return re.search(rf"(?<![\w$]){re.escape(name)}(?!\w)", told) is not None


_KNOWN: Final[dict[Hashable, Tolerance]] = {}


def tolerance_for(model: BaseChatModel) -> Tolerance:
    """What is known of a chat model's endpoint: by its address and model, or of this very object."""
    known = _KNOWN.get(id(model))
    if known is None:  # each call asks, and a pydantic object is slow to say that it lacks an attribute
        address = getattr(model, "openai_api_base", None)
        known = Tolerance()
        if isinstance(address, str):
            known = _KNOWN.setdefault((address, getattr(model, "model_name", "")), known)
        _KNOWN[id(model)] = known
        finalize(model, _KNOWN.pop, id(model), None)
    return known
