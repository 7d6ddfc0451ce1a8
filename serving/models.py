"""The models that an OpenAI-compatible server lists."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from ddxgraph.common.errors import ServerError
from ddxgraph.serving.adapters.files import sha256_in
from ddxgraph.serving.api import ServerApi

LLAMACPP: Final = "llamacpp"
"""`ServedModel.engine` of a llama.cpp server."""


_ANSWERED: Final = 200


class ServedModel(NamedTuple):
    """A model of a server."""

    name: str
    engine: str
    """Who serves it, by the server's own word (`owned_by`), such as `vllm` or `llamacpp`."""
    context_tokens: int | None
    """Its context window, if the server tells; an adapter has its base model's."""
    base: str | None = None
    """The model that it adapts, for a LoRA adapter; None for a base model."""
    path: str | None = None
    """Where the server read it from, on the server's own machine, if it tells."""

    @property
    def stored_sha256(self) -> str | None:
        """The adapter's SHA-256, if it was loaded from an adapter store."""
        return sha256_in(self.path) if self.base and self.path else None


def served_models(api: ServerApi) -> list[ServedModel]:
    """Ask a server for its models and adapters.

    Raises:
        ServerError: it does not answer, refuses the key, or answers something else.
    """
    try:
        answer = api.get("/models")
    except ServerError as error:
        if error.status == 403:  # noqa: PLR2004
            raise ServerError(api.key_refused, error.status) from error
        if error.status == 404:  # noqa: PLR2004
            raise ServerError(
                f"{api.shown} answers, but has no model list below it; the address usually ends in /v1", 404
            ) from error
        raise
    models = [_served(entry, api.shown) for entry in _entries(answer, api.shown)]
    windows = {model.name: model.context_tokens for model in models}
    return [
        model._replace(context_tokens=model.context_tokens or windows.get(model.base))
        if model.base
        else model
        for model in models
    ]


def _entries(answer: Any, shown: str) -> list[Any]:
    entries = answer.get("data") if isinstance(answer, Mapping) else None
    if not isinstance(entries, list):
        raise ServerError(_no_list(shown), _ANSWERED)
    if answer.get("has_more"):
        raise ServerError(f"{shown} lists its models on several pages; name one", _ANSWERED)
    return entries


def _served(entry: Any, shown: str) -> ServedModel:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("id"), str):
        raise ServerError(_no_list(shown), _ANSWERED)
    meta = entry.get("meta")
    window = entry.get("max_model_len") or (meta.get("n_ctx") if isinstance(meta, Mapping) else None)
    return ServedModel(
        name=entry["id"],
        engine=str(entry.get("owned_by") or ""),
        context_tokens=window if isinstance(window, int) and window > 0 else None,
        base=_text(entry.get("parent")),
        path=_text(entry.get("root")),
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _no_list(shown: str) -> str:
    return f"{shown} answers, but not with a model list; is it an OpenAI-compatible server?"
