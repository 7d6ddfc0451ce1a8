"""Finds the model: by arguments, else by the environment, else the embedded engine."""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from langchain_core.language_models import BaseChatModel
from pydantic import SecretStr

from ddxgraph.common.errors import AdapterError, EndpointError, ServerError, WeightsError
from ddxgraph.common.extras import install
from ddxgraph.nodes.call.consultation import BRIEF_KEY
from ddxgraph.serving.adapters.files import read_adapter
from ddxgraph.serving.api import NO_KEY, ServerApi, is_sendable
from ddxgraph.serving.models import LLAMACPP, ServedModel, served_models
from ddxgraph.serving.weights import SMOLLM2, is_tiny, pull

URL_VARIABLE: Final = "DDXGRAPH_BASE_URL"
MODEL_VARIABLE: Final = "DDXGRAPH_MODEL"
_KEY_REFUSED: Final = 401
_SERVER_ERRORS: Final = 500
KEY_VARIABLE: Final = "DDXGRAPH_API_KEY"


class Endpoint(NamedTuple):
    """Where the model is."""

    base_url: str | None
    """None: the embedded engine."""
    model: str | None
    """None: the only model that the server has."""
    api_key: str | None


def resolve(
    base_url: str | None, model: str | None, api_key: str | None, environment: Mapping[str, str]
) -> Endpoint:
    """Settle the endpoint: each argument wins over its environment variable. Pure.

    Args:
        base_url: wins over `DDXGRAPH_BASE_URL`.
        model: wins over `DDXGRAPH_MODEL`.
        api_key: wins over `DDXGRAPH_API_KEY`.
        environment: the environment variables.

    Returns:
        The endpoint.

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
    except ValueError:  # a malformed port or IPv6 address
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
    """Connect to a chat model to build the graph on.

    With no address in the arguments or in `DDXGRAPH_BASE_URL`, this starts the embedded engine in this process
    (extra `embedded`), on SmolLM2-135M-Instruct (fetched once) or on the GGUF file that `model` names. The
    embedded 135M model shows the machinery; it cannot practise medicine.

    The chat model makes each call once: `Patience`, a setting of the graph, decides what is tried again.

    Args:
        base_url: an OpenAI-compatible API such as vLLM's, `http://host:8000/v1`. Default: `DDXGRAPH_BASE_URL`.
        model: the model's name there. Default: `DDXGRAPH_MODEL`, else the only one served.
        api_key: sent as a bearer token. Default: `DDXGRAPH_API_KEY`.
        concurrency: conversations that the embedded engine keeps at a time; ignored by servers.
        temperature: sampling temperature; 0 is greedy.
        seed: sampling seed.
        timeout_s: seconds to wait for a reply.

    Returns:
        The chat model.

    Raises:
        EndpointError: no server answers, the model is not served there, or the embedded engine is missing.
        OfflineError: text would leave the machine, which `DDXGRAPH_OFFLINE` forbids.
    """
    endpoint = resolve(base_url, model, api_key, os.environ)
    from ddxgraph.serving.transport import check_offline  # noqa: PLC0415 - loads the OpenAI client

    check_offline(endpoint.base_url)
    sampling = {"temperature": temperature, "seed": seed}
    if endpoint.base_url is None:
        return _embedded(endpoint, concurrency, sampling)
    return _served(endpoint, endpoint.base_url, {**sampling, "timeout": timeout_s, "max_retries": 0})


def _embedded(endpoint: Endpoint, concurrency: int, settings: dict[str, Any]) -> BaseChatModel:
    file = Path(endpoint.model).expanduser() if endpoint.model else None
    if file is not None and file.suffix != ".gguf":
        raise EndpointError(
            f"model {endpoint.model!r} but no server: set {URL_VARIABLE} (or base_url) to where it is served; "
            "the embedded engine takes a .gguf file"
        )
    if file is not None and not file.is_file():
        raise EndpointError(f"no file {str(file)!r}")
    try:
        from ddxgraph.serving.embedded import EmbeddedChatModel  # noqa: PLC0415 - loads the OpenAI client

        return EmbeddedChatModel.start(
            file or pull(SMOLLM2),
            name=file.stem if file else SMOLLM2.name,
            slots=concurrency,
            context_tokens=SMOLLM2.context_tokens,
            brief=file is None,
            **settings,
        )
    except ImportError as error:
        raise EndpointError(
            f"no server is named and the embedded engine is not installed ({error}); run "
            f"`{install('embedded')}`, or set {URL_VARIABLE} to an OpenAI-compatible server"
        ) from error
    except WeightsError as error:
        raise EndpointError(str(error)) from error
    except RuntimeError as error:
        raise EndpointError(f"the embedded engine cannot load {file or SMOLLM2.name}: {error}") from error


def _served(endpoint: Endpoint, base_url: str, settings: dict[str, Any]) -> BaseChatModel:
    from ddxgraph.serving.llamacpp import LlamaCppChatModel  # noqa: PLC0415 - takes a second to import
    from ddxgraph.serving.served import ServedChatModel  # noqa: PLC0415

    api = ServerApi(base_url, endpoint.api_key, KEY_VARIABLE)
    served = _find_model(endpoint, api)
    window = {"max_input_tokens": served.context_tokens} if served.context_tokens else {}
    chat_model = LlamaCppChatModel.reach if served.engine == LLAMACPP else ServedChatModel
    return chat_model(
        model=served.name,
        base_url=base_url,
        api_key=SecretStr(endpoint.api_key or NO_KEY),
        use_responses_api=False,
        metadata={
            "engine": _release(served, api, base_url),
            BRIEF_KEY: is_tiny(served.base or served.name),
            **_adapter(served),
        },
        profile=window,
        **settings,
    )


def _release(served: ServedModel, api: ServerApi, base_url: str) -> str:
    """The engine's name and, for vLLM, its version."""
    if served.engine == "vllm":
        with suppress(ServerError):
            answer = api.get(f"{base_url.removesuffix('/v1')}/version")
            if isinstance(answer, Mapping) and isinstance(answer.get("version"), str):
                return f"vllm {answer['version']}"
    return served.engine


def _adapter(served: ServedModel) -> dict[str, str]:
    """What traces record of a LoRA adapter; empty for a base model."""
    if not served.base:
        return {}
    try:
        sha256 = served.stored_sha256 or read_adapter(_folder_here(served)).sha256
    except AdapterError as error:
        raise EndpointError(
            f"traces could not record which files the adapter {served.name!r} is made of: the server read it "
            f"from {served.path}, which is no adapter on this machine; load it with "
            f"`ddxgraph adapters load {served.name}=PATH`"
        ) from error
    return {"base_model": served.base, "adapter": served.name, "adapter_sha256": sha256}


def _folder_here(adapter: ServedModel) -> Path:
    """The folder that the server names, in case it is on this machine too."""
    path = Path(adapter.path or "")
    if not path.is_absolute():
        raise AdapterError(f"{adapter.path!r} is relative to the folder that the server was started in")
    return path


def _find_model(endpoint: Endpoint, api: ServerApi) -> ServedModel:
    """The named model, or the only one that the server has."""
    try:
        models = {model.name: model for model in served_models(api)}
    except ServerError as error:
        if endpoint.model and _answers(error):
            return _unlisted(endpoint.model)
        raise EndpointError(str(error)) from error
    if not models and not endpoint.model:
        raise EndpointError(f"{api.shown} serves no model; load one there first")
    name = endpoint.model or (next(iter(models)) if len(models) == 1 else None)
    if name and name not in models and (not models or any(_is_longer(known, name) for known in models)):
        return _unlisted(name)
    if name is None or name not in models:
        why = f"model {name!r} is not served" if name else "several models are served"
        raise EndpointError(f"{why} at {api.shown}; set {MODEL_VARIABLE} to one of: {', '.join(models)}")
    return models[name]


def _answers(error: ServerError) -> bool:
    """Whether the server answers, but not with a list that can be read: a model that is named may be there."""
    return error.status is not None and error.status < _SERVER_ERRORS and error.status != _KEY_REFUSED


def _is_longer(known: str, name: str) -> bool:
    """Whether a server lists a name with more to it: an owner before it, a tag or a file's ending behind."""
    return known.endswith(f"/{name}") or known.startswith((f"{name}:", f"{name}."))


def _unlisted(name: str) -> ServedModel:
    """A model of which the server tells nothing."""
    return ServedModel(name=name, engine="", context_tokens=None)
