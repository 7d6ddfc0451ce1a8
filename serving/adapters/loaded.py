"""Adapters on a running vLLM: loaded, listed, unloaded."""

from typing import NamedTuple

from ddxgraph.common.errors import AdapterError, ServerError
from ddxgraph.serving.adapters.files import Adapter, put, store_folder
from ddxgraph.serving.api import ServerApi
from ddxgraph.serving.models import ServedModel, served_models

_NOT_FOUND, _FORBIDDEN = 404, 403


class LoadedAdapter(NamedTuple):
    """An adapter that a server lists. The list proves nothing: `verify` does."""

    name: str
    base: str
    """Name of the served model that it adapts."""
    path: str
    """Where the server read it from."""
    sha256: str | None
    """None if it was not loaded from an adapter store."""


def loaded_adapters(api: ServerApi) -> list[LoadedAdapter]:
    """The adapters that a server lists.

    Raises:
        ServerError: it gives no list of models.
    """
    return [_loaded(model) for model in served_models(api) if model.base]


def load_adapter(api: ServerApi, name: str, adapter: Adapter) -> LoadedAdapter:
    """Load an adapter into a running server.

    The server loads it from a copy in the adapter store, so it must see the store under the same path.

    Args:
        api: the server.
        name: what requests will give as their model.
        adapter: the files.

    Returns:
        The adapter as the server lists it.

    Raises:
        AdapterError: the name is taken, the server refuses the adapter, or it was started without LoRA.
        ServerError: the server does not answer.
    """
    models = {model.name: model for model in served_models(api)}
    if name in models:
        raise AdapterError(_taken(name, models[name], adapter))
    path = put(adapter)
    try:
        api.post("/load_lora_adapter", {"lora_name": name, "lora_path": str(path)})
    except ServerError as error:
        raise AdapterError(_refused(api, name, adapter, error)) from error
    loaded = next((each for each in loaded_adapters(api) if each.name == name), None)
    if loaded is None or loaded.sha256 != adapter.sha256:
        raise AdapterError(
            f"{api.shown} took the adapter {name!r} but does not list it; see the server's log"
        )
    return loaded


def unload_adapter(api: ServerApi, name: str) -> None:
    """Take an adapter out of a running server.

    Raises:
        AdapterError: there is no adapter of that name.
        ServerError: the server does not answer.
    """
    names = [loaded.name for loaded in loaded_adapters(api)]
    if name not in names:
        others = f"it has {', '.join(names)}" if names else "it has none"
        raise AdapterError(f"{api.shown} has no adapter {name!r}; {others}")
    api.post("/unload_lora_adapter", {"lora_name": name})


def _loaded(model: ServedModel) -> LoadedAdapter:
    return LoadedAdapter(model.name, model.base or "", model.path or "", model.stored_sha256)


def _taken(name: str, model: ServedModel, adapter: Adapter) -> str:
    if not model.base:
        return f"{name!r} is the name of the served base model; give the adapter another"
    if model.stored_sha256 == adapter.sha256:
        return f"{name!r} is loaded already, with these very files"
    return f"another adapter is loaded as {name!r}; unload it first: ddxgraph adapters unload {name}"


def _refused(api: ServerApi, name: str, adapter: Adapter, error: ServerError) -> str:
    answer = str(error)
    if "LoRA is not enabled" in answer:
        mend = f"it was started without LoRA; start it with: ddxgraph serve --lora-rank {adapter.rank} ..."
    elif "max_lora_rank" in answer:
        mend = (
            f"the adapter has rank {adapter.rank}, more than the server has room for; start it with: "
            f"ddxgraph serve --lora-rank {adapter.rank} ..."
        )
    elif error.status == _FORBIDDEN:
        mend = f"it loads adapters from its own store only, and this side's is {store_folder()}"
    elif "No adapter found" in answer:
        mend = f"it does not see {store_folder()}; both sides need the same cache folder (DDXGRAPH_CACHE)"
    elif "target modules" in answer or "size of tensor" in answer:
        trained_on = adapter.base_model or "unknown"
        mend = f"it serves another model than the one that the adapter was trained on ({trained_on})"
    elif error.status == _NOT_FOUND:
        mend = (
            "it loads no adapters while it runs; start it with: ddxgraph serve --lora-rank "
            f"{adapter.rank} ... (or VLLM_ALLOW_RUNTIME_LORA_UPDATING=True and --enable-lora)"
        )
    else:
        mend = "see the server's log"
    return f"{api.shown} does not load the adapter {name!r} ({answer}); {mend}"
