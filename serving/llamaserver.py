"""What a llama.cpp server says of itself."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from ddxgraph.common.errors import ServerError
from ddxgraph.serving.api import ServerApi

OWNER: Final = "llamacpp"
"""Who serves a model, in the model list of a llama.cpp server."""
BINDING: Final = "xllamacpp"
"""Python package that brings llama.cpp. It leaves llama.cpp's own build number out, so its engines are tagged."""
LLGUIDANCE: Final = "%llguidance"
"""How a grammar in llguidance's syntax begins."""

_NO_BUILD: Final = "b0-unknown"


class LlamaServer(NamedTuple):
    """A llama.cpp server, as far as it says."""

    slots: int = 0
    """Conversations that it keeps at a time; 0 where it does not say."""
    context_tokens: int | None = None
    """Context window of each slot."""
    release: str = "llama.cpp"
    """The engine and its version."""
    llguidance: bool = False
    """It was built with llguidance. One built without ends, process and all, at a grammar in that syntax."""


def look_at(api: ServerApi, base_url: str, model: str) -> LlamaServer:
    """Ask a llama.cpp server for its slots, window, version and kind of grammar; what it refuses stays unknown.

    Args:
        api: the server.
        base_url: its address; what is asked for lies above its `/v1`.
        model: the model in question, for a server with several.
    """
    above = base_url.rstrip("/").removesuffix("/v1")
    properties = _mapping(_asked(api.get, f"{above}/props?model={quote(model, safe='')}"))
    settings = _mapping(properties.get("default_generation_settings"))
    return LlamaServer(
        slots=_count(properties.get("total_slots")),
        context_tokens=_count(settings.get("n_ctx")) or None,
        release=release_of(properties.get("build_info"), _tags(_asked(api.get, "/models"), model)),
        llguidance=_grammar(_asked(api.post, f"{above}/completion", _schema_probe(model))).startswith(
            LLGUIDANCE
        ),
    )


def release_of(build: Any, tags: list[str]) -> str:
    """The engine's name and version, from a server's build and from its model's tags."""
    known = [tag for tag in tags if tag.startswith(BINDING)]
    if isinstance(build, str) and build and build != _NO_BUILD:
        known.append(build)
    return f"llama.cpp ({', '.join(known)})" if known else "llama.cpp"


def _schema_probe(model: str) -> dict[str, Any]:
    """Asks for a token in the form of a schema, and for the grammar that the server made of the schema."""
    return {
        "model": model,
        "prompt": "",
        "n_predict": 0,
        "json_schema": {"type": "boolean"},
        "response_fields": ["generation_settings/grammar"],
    }


def _grammar(answer: Any) -> str:
    return str(_mapping(answer).get("generation_settings/grammar") or "")


def _tags(listed: Any, model: str) -> list[str]:
    entries = _mapping(listed).get("data")
    for entry in entries if isinstance(entries, list) else []:
        if _mapping(entry).get("id") == model and isinstance(entry.get("tags"), list):
            return [str(tag) for tag in entry["tags"]]
    return []


def _asked(ask: Any, *request: Any) -> Any:
    try:
        return ask(*request)
    except ServerError:
        return None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0
