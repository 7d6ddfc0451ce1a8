"""Find the model: explicit arguments, then the environment, then the embedded engine."""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from langchain_core.language_models import BaseChatModel
from pydantic import SecretStr

from ddxgraph.common.errors import AdapterError, EndpointError, ServerError, WeightsError
from ddxgraph.nodes.consultation import BRIEF_KEY
from ddxgraph.serving.adapters.files import read_adapter
from ddxgraph.serving.api import NO_KEY, ServerApi, is_sendable
from ddxgraph.serving.llamaserver import OWNER
from ddxgraph.serving.models import ServedModel, served_models
from ddxgraph.serving.weights import SMOLLM2, is_tiny, pull

URL_VARIABLE: Final = "DDXGRAPH_BASE_URL"
MODEL_VARIABLE: Final = "DDXGRAPH_MODEL"
KEY_VARIABLE: Final = "DDXGRAPH_API_KEY"


class Endpoint(NamedTuple):
    """Where the model is to be found."""

    base_url: str | None
    """None: the embedded engine."""
    model: str | None
    """None: whatever the server serves, if that is one model alone."""
    api_key: str | None


def resolve(
    base_url: str | None, model: str | None, api_key: str | None, environment: Mapping[str, str]
) -> Endpoint:
    """Settle the endpoint: each argument wins over its environment variable. Pure.

    Raises:
        EndpointError: the address is no http(s) URL, or the key cannot be sent.
    """
    url = base_url or environment.get(URL_VARIABLE) or None
    if url is not None and not _is_address(url):
        raise EndpointError(f"{url!r} is no address of a server: give a URL such as http://127.0.0.1:8000/v1")
    key = api_key or environment.get(KEY_VARIABLE) or None
    if key is not None and not is_sendable(key):
        raise EndpointError(
            f"the API key holds characters that cannot be sent in a header; check {KEY_VARIABLE}"
        )
    return Endpoint(
        base_url=url.rstrip("/") if url else None,
        model=model or environment.get(MODEL_VARIABLE) or None,
        api_key=key,
    )


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:  # a port or an IPv6 address that is none
        return False


def connect(
    base_url: str | None = None,
    model: str | None = None,
    api_key: str | None = None,
    *,
    concurrency: int = 4,
    temperature: float = 0.0,
    seed: int = 0,
    timeout_s: float = 600.0,
) -> BaseChatModel:
    """A chat model to build the graph on.

    With no address in the arguments or in `DDXGRAPH_BASE_URL`, the embedded engine is started in this process
    (extra `embedded`), on SmolLM2-135M-Instruct (fetched once) or on the GGUF file named by `model`. The
    embedded 135M model shows the machinery; it cannot practise medicine.

    Args:
        base_url: an OpenAI-compatible API such as vLLM's, `http://host:8000/v1`. Else `DDXGRAPH_BASE_URL`.
        model: the model's name there. Else `DDXGRAPH_MODEL`, else the only one served.
        api_key: sent as a bearer token. Else `DDXGRAPH_API_KEY`.
        concurrency: conversations that the embedded engine keeps at a time; no matter elsewhere.
        temperature: sampling temperature; 0 is greedy.
        seed: sampling seed.
        timeout_s: seconds to wait for one reply.

    The chat model makes each call once: `Patience`, a setting of the graph, decides what is tried again.

    Raises:
        EndpointError: no server answers, the model is not served there, or the embedded engine is missing.
    """
    endpoint = resolve(base_url, model, api_key, os.environ)
    sampling = {"temperature": temperature, "seed": seed}
    if endpoint.base_url is None:
        return _embedded(endpoint, concurrency, sampling)
    return _served(endpoint, endpoint.base_url, {**sampling, "timeout": timeout_s, "max_retries": 0})


def _embedded(endpoint: Endpoint, concurrency: int, settings: dict[str, Any]) -> BaseChatModel:
    named = Path(endpoint.model).expanduser() if endpoint.model else None
    if named is not None and named.suffix != ".gguf":
        raise EndpointError(
            f"model {endpoint.model!r} but no server: set {URL_VARIABLE} (or base_url) to where it is served; "
            "the embedded engine takes a .gguf file"
        )
    if named is not None and not named.is_file():
        raise EndpointError(f"no file {str(named)!r}")
    try:
        from ddxgraph.serving.embedded import EmbeddedChatModel  # noqa: PLC0415 - loads the OpenAI client

        return EmbeddedChatModel.start(
            named or pull(SMOLLM2),
            name=named.stem if named else SMOLLM2.name,
            slots=concurrency,
            context_tokens=SMOLLM2.context_tokens,
            brief=named is None,
            **settings,
        )
    except ImportError as error:
        raise EndpointError(
            f"no server is named and the embedded engine is not installed ({error}); run "
            f"`pip install 'ddxgraph[embedded]'`, or set {URL_VARIABLE} to an OpenAI-compatible server"
        ) from error
    except WeightsError as error:
        raise EndpointError(str(error)) from error
    except RuntimeError as error:
        raise EndpointError(f"the embedded engine cannot load {named or SMOLLM2.name}: {error}") from error


def _served(endpoint: Endpoint, base_url: str, settings: dict[str, Any]) -> BaseChatModel:
    from ddxgraph.serving.llamacpp import LlamaCppChatModel  # noqa: PLC0415 - takes a second to import
    from ddxgraph.serving.served import ServedChatModel  # noqa: PLC0415

    api = ServerApi(base_url, endpoint.api_key, KEY_VARIABLE)
    found = _find_model(endpoint, api)
    window = {"max_input_tokens": found.context_tokens} if found.context_tokens else {}
    chat_model = LlamaCppChatModel.reach if found.engine == OWNER else ServedChatModel
    return chat_model(
        model=found.name,
        base_url=base_url,
        api_key=SecretStr(endpoint.api_key or NO_KEY),
        use_responses_api=False,
        metadata={
            "engine": _release(found, api, base_url),
            BRIEF_KEY: is_tiny(found.base or found.name),
            **_adapter(found),
        },
        profile=window,
        **settings,
    )


def _release(found: ServedModel, api: ServerApi, base_url: str) -> str:
    """The engine's name and, where vLLM tells it, its version."""
    if found.engine == "vllm":
        with suppress(ServerError):
            answer = api.get(f"{base_url.removesuffix('/v1')}/version")
            if isinstance(answer, Mapping) and isinstance(answer.get("version"), str):
                return f"vllm {answer['version']}"
    return found.engine


def _adapter(found: ServedModel) -> dict[str, str]:
    """What traces say of a LoRA adapter; empty for a base model."""
    if not found.base:
        return {}
    try:
        sha256 = found.stored_sha256 or read_adapter(_here(found)).sha256
    except AdapterError as error:
        raise EndpointError(
            f"nothing tells which files the adapter {found.name!r} is made of, so that no trace could: the "
            f"server read it from {found.path}; load it with `ddxgraph adapters load {found.name}=PATH`"
        ) from error
    return {"base_model": found.base, "adapter": found.name, "adapter_sha256": sha256}


def _here(adapter: ServedModel) -> Path:
    """The folder that a server names, which may lie on this machine as well."""
    path = Path(adapter.path or "")
    if not path.is_absolute():
        raise AdapterError(f"{adapter.path!r} is relative to wherever the server was started")
    return path


def _find_model(endpoint: Endpoint, api: ServerApi) -> ServedModel:
    """The model that was named, or the only one that the server has."""
    try:
        models = {m.name: m for m in served_models(api)}
    except ServerError as error:
        raise EndpointError(str(error)) from error
    if not models:
        raise EndpointError(f"{api.shown} serves no model; load one there first")
    name = endpoint.model or (next(iter(models)) if len(models) == 1 else None)
    if name is None or name not in models:
        wish = f"model {name!r} is not served" if name else "several models are served"
        raise EndpointError(f"{wish} at {api.shown}; set {MODEL_VARIABLE} to one of: {', '.join(models)}")
    return models[name]
