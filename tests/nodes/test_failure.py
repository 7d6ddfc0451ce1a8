import openai
import pytest
from langchain_core import exceptions
from langchain_openai.chat_models import base

from ddxgraph.nodes.call.errorkind import engine_failure
from ddxgraph.nodes.failure import FailureKind


class Slow(exceptions.ModelTimeoutError):
    pass


def from_client(cls: type[Exception], said: str = "as it says") -> Exception:
    """An error of langchain-openai, made without the HTTP response that it usually holds."""
    error = cls.__new__(cls)
    Exception.__init__(error, said)
    return error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (exceptions.ModelTimeoutError("slow"), "timeout"),
        (exceptions.ModelConnectionError("refused"), "connection"),
        (exceptions.ModelRateLimitError("429"), "rate_limit"),
        (exceptions.ModelAuthenticationError("401"), "authentication"),
        (exceptions.ModelPermissionDeniedError("403"), "authentication"),
        (exceptions.ModelNotFoundError("404"), "model_not_found"),
        (exceptions.ContextOverflowError("too many tokens"), "context_length"),
        (exceptions.ModelAPIError("500"), "server"),
        (exceptions.ModelInvalidRequestError("bad schema"), "other"),
        (Slow("slow"), "timeout"),
        (base.OpenAITimeoutError(request=None), "timeout"),
        (base.OpenAIConnectionError(message="refused", request=None), "connection"),
        (from_client(base.OpenAIRateLimitError), "rate_limit"),
        (from_client(base.OpenAIAuthenticationError), "authentication"),
        (from_client(base.OpenAIPermissionDeniedError), "authentication"),
        (from_client(base.OpenAIModelNotFoundError), "model_not_found"),
        (from_client(base.OpenAIContextOverflowError), "context_length"),
        (from_client(base.OpenAIAPIError), "server"),
        (from_client(base.OpenAIInvalidRequestError), "other"),
        (TimeoutError("slow"), "timeout"),
        (ConnectionError("gone"), "connection"),
        (ConnectionRefusedError(111, "refused"), "connection"),
        (BrokenPipeError(), "connection"),
        (ValueError("no such thing"), "other"),
        (KeyError("choices"), "other"),
        (openai.ContentFilterFinishReasonError(), "other"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_whatever_a_chat_model_raises_is_typed(error, kind):
    failure = engine_failure(error, "reflect")
    assert failure.kind == FailureKind(kind)
    assert (failure.boundary, failure.node) == ("engine", "reflect")
    assert type(error).__name__ in failure.message


@pytest.mark.parametrize(
    "said",
    [
        "context length exceeded",
        "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens",
        "the request exceeds the available context size. try increasing the context size",
        "The prompt is too long for the context window",
    ],
)
@pytest.mark.parametrize("cls", [ValueError, base.OpenAIInvalidRequestError])
def test_a_full_context_window_is_known_by_its_words(cls, said):
    error = from_client(cls, f"Error code: 400 - {{'message': \"{said}\"}}")
    failure = engine_failure(error, "conclude")
    assert failure.kind is FailureKind.CONTEXT_LENGTH
    assert "longer context" in failure.message


@pytest.mark.parametrize("said", ["the context is fine", "maximum number of requests", "too long a wait"])
def test_other_words_are_no_full_context_window(said):
    assert engine_failure(ValueError(said), "conclude").kind is FailureKind.OTHER


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (exceptions.ModelAuthenticationError("401"), "DDXGRAPH_API_KEY"),
        (exceptions.ModelNotFoundError("404"), "DDXGRAPH_MODEL"),
        (exceptions.ModelConnectionError("refused"), "is the server running"),
        (exceptions.ModelTimeoutError("slow"), "timeout"),
        (exceptions.ModelRateLimitError("429"), "concurrency"),
    ],
)
def test_a_failure_says_how_to_mend_it(error, advice):
    assert advice in engine_failure(error, "reflect").message


def test_a_failure_is_one_line_of_moderate_length():
    message = engine_failure(ValueError("<html>\n" + "x " * 10_000), "reflect").message
    assert "\n" not in message
    assert len(message) < 1_000
