"""What an OpenAI-compatible server says that it serves."""

from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit, urlunsplit

LIST_TIMEOUT_S = 20.0


class ServerError(RuntimeError):
    """A server gives no list of models; the message says why and how to mend it."""


class ServedModel(NamedTuple):
    """One model of a server."""

    name: str
    engine: str
    """Who serves it, in the server's own word (`owned_by`), such as `vllm` or `llamacpp`."""
    context_tokens: int | None
    """Its context window, where the server says."""


def without_password(url: str) -> str:
    """The address as it may be repeated in a message."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=host))


def served_models(base_url: str, api_key: str, key_variable: str) -> list[ServedModel]:
    """Ask a server for its models.

    Raises:
        ServerError: it does not answer, refuses the key, or answers something else.
    """
    import openai  # noqa: PLC0415 - takes a second to import

    shown = without_password(base_url)
    with openai.OpenAI(base_url=base_url, api_key=api_key, timeout=LIST_TIMEOUT_S, max_retries=1) as client:
        try:
            answer = client.get("/models", cast_to=object)
        except (openai.AuthenticationError, openai.PermissionDeniedError) as error:
            raise ServerError(f"{shown} refuses the API key; set {key_variable}") from error
        except openai.NotFoundError as error:
            raise ServerError(
                f"{shown} answers, but has no model list below it; the address usually ends in /v1"
            ) from error
        except openai.APIStatusError as error:
            raise ServerError(
                f"{shown} answers with HTTP status {error.status_code}; see the server's log"
            ) from error
        except openai.APIConnectionError as error:
            raise ServerError(f"no server answers at {shown}; is it running?") from error
        except (openai.OpenAIError, ValueError) as error:
            raise ServerError(_no_list(shown)) from error
    return [_served(entry, shown) for entry in _entries(answer, shown)]


def _entries(answer: Any, shown: str) -> list[Any]:
    entries = answer.get("data") if isinstance(answer, Mapping) else None
    if not isinstance(entries, list):
        raise ServerError(_no_list(shown))
    return entries


def _served(entry: Any, shown: str) -> ServedModel:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("id"), str):
        raise ServerError(_no_list(shown))
    meta = entry.get("meta")
    window = entry.get("max_model_len") or (meta.get("n_ctx") if isinstance(meta, Mapping) else None)
    return ServedModel(entry["id"], str(entry.get("owned_by") or ""), int(window) if window else None)


def _no_list(shown: str) -> str:
    return f"{shown} answers, but not with a model list; is it an OpenAI-compatible server?"
