"""What servers answer in the field: each reply, and what a traversal must make of it."""

from typing import Any, NamedTuple

from faultserver import Odd, said


class Expected(NamedTuple):
    odd: Odd
    outcome: str
    """Of the trace."""
    kind: str = ""
    """Of its failure."""
    words: str = ""
    """Part of the failure's message."""
    calls: int | None = None
    """Requests that the server saw, where that matters."""


def error(message: Any = "no", status: int = 400, headers: Any = None, **more: Any) -> Odd:
    return Odd({"error": {"message": message, **more}}, status, headers or {})


def whole(*odd: Any, **more: Any) -> Expected:
    return Expected(Odd(*odd, **more), "answered")


NO_CALL = {"id": "1", "type": "function", "function": {"name": "json", "arguments": "@@"}}
MODERATED = "The response was filtered due to the prompt triggering Azure OpenAI's content management policy."
OVER = "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens"

REPLIES: dict[str, Expected] = {
    # What can be read is read.
    "as it should be": whole(),
    "thoughts that end only": whole(said("Let me weigh B.\n</think>\n\n@@")),
    "thoughts before": whole(said("<think>B?</think>@@")),
    "a code fence": whole(said("```json\n@@\n```")),
    "a code fence among words": whole(said("Here is my review:\n```json\n@@\n```\nI hope it helps.")),
    "words around the JSON": whole(said("Here it is: @@ I hope it helps.")),
    "the JSON among the thoughts": whole(said(None, reasoning_content="@@")),
    "the same, vLLM's newer name": whole(said(None, reasoning="@@")),
    "the same, content empty": whole(said("", reasoning_content="@@")),
    "thoughts apart": whole(said("@@", reasoning_content="Let me weigh B.")),
    "a tool call": whole(said(None, "tool_calls", tool_calls=[NO_CALL])),
    "no finish reason": whole(said("@@", None)),
    "an unknown finish reason": whole(said("@@", "eos_token")),
    "a null refusal": whole(said("@@", refusal=None)),
    "an unknown field": whole({**said("@@"), "provider": "x", "citations": []}),
    # Usage that cannot be is estimated; the traversal goes on.
    "usage of zeros": whole(said(usage={"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0})),
    "negative usage": whole(said(usage={"prompt_tokens": -1, "completion_tokens": 5, "total_tokens": 4})),
    "usage of nulls": whole(
        said(usage={"prompt_tokens": None, "completion_tokens": None, "total_tokens": None})
    ),
    "no usage": whole(said(usage={})),
    "usage beyond belief": whole(
        said(usage={"prompt_tokens": 10**9, "completion_tokens": 1, "total_tokens": 1})
    ),
    "a reply for nothing": whole(said(usage={"prompt_tokens": 9, "completion_tokens": 0, "total_tokens": 9})),
    # A redirect is not followed.
    "a redirect": Expected(
        Odd("moved", 307, {"Location": "http://127.0.0.1:9/v1/chat/completions"}),
        "error",
        "other",
        "name that",
    ),
    "a redirect for good": Expected(
        Odd("moved", 308, {"Location": "https://elsewhere.example/v1"}), "error", "other", "another address"
    ),
    # Optional parameters are dropped once.
    "no system turn": whole({"error": {"message": "System role not supported"}}, 400, only_if="system"),
    "no system turn, llama.cpp": whole(
        {
            "error": {
                "code": 500,
                "message": "Jinja Exception: System role not supported",
                "type": "server_error",
            }
        },
        500,
        only_if="system",
    ),
    "no system turn, Mistral": whole(
        {"message": "Conversation roles must alternate user/assistant/user/assistant/...", "code": 400},
        400,
        only_if="system",
    ),
    "no system turn, in other words": whole(
        {"error": {"message": "Only user and assistant roles are supported!"}}, 400, only_if="system"
    ),
    "no log-probabilities": whole(
        {"error": {"message": "logprobs are not supported"}}, 400, only_if="logprobs"
    ),
    "few log-probabilities": whole(
        {"error": {"message": "Requested sample logprobs of 20, which is greater than max allowed: 5"}},
        400,
        only_if="logprobs",
        times=1,
    ),
    "no temperature": whole(
        {
            "error": {
                "message": "Unsupported value: 'temperature' does not support 0.0",
                "param": "temperature",
            }
        },
        400,
        only_if="temperature",
    ),
    "no seed": whole(
        {"error": {"message": "Unrecognized request argument supplied: seed"}}, 400, only_if="seed"
    ),
    "no seed, FastAPI": whole(
        {"detail": [{"loc": ["body", "seed"], "msg": "Extra inputs are not permitted"}]}, 422, only_if="seed"
    ),
    "no max_completion_tokens": whole(
        {
            "object": "error",
            "message": "[{'type': 'extra_forbidden', 'loc': ('body', 'max_completion_tokens'), 'msg': 'Extra'}]",
            "code": 400,
        },
        400,
        only_if="max_completion_tokens",
    ),
    "no maxLength": whole(
        {"error": {"message": "Invalid schema for response_format: 'maxLength' is not permitted"}},
        400,
        only_if="maxLength",
    ),
    "no minItems": whole(
        {"error": {"message": "schema keyword minItems is unsupported"}}, 400, only_if="minItems"
    ),
    "no response_format": whole(
        {"error": {"message": "Unrecognized request argument supplied: response_format"}},
        400,
        only_if="response_format",
    ),
    "no response_format, DeepSeek": whole(
        {
            "error": {
                "message": "This response_format type is unavailable now",
                "type": "invalid_request_error",
            }
        },
        400,
        only_if="json_schema",
    ),
    "no response_format, older OpenAI": whole(
        {
            "error": {
                "message": "Invalid parameter: 'response_format' of type 'json_schema' is not supported with "
                "this model. Learn more about supported models at the Structured Outputs guide.",
                "param": None,
            }
        },
        400,
        only_if="json_schema",
    ),
    "no structured output, Groq": whole(
        {"error": {"message": "This model does not support structured outputs"}}, 400, only_if="json_schema"
    ),
    "no references": whole({"error": {"message": "'$ref' is not supported"}}, 400, only_if="$defs"),
    # Held back.
    "a content filter": Expected(Odd(said("", "content_filter")), "error", "filtered", "held the reply back"),
    "filtered halfway": Expected(Odd(said('{"reas', "content_filter")), "error", "filtered"),
    "Gemini's safety": Expected(Odd(said("", "SAFETY")), "error", "filtered"),
    "Gemini's recitation": Expected(Odd(said("", "recitation")), "error", "filtered"),
    "a prompt filter": Expected(error(MODERATED, code="content_filter"), "error", "filtered", "Azure"),
    "a refusal": Expected(
        Odd(said(None, refusal="I cannot give medical advice.")),
        "error",
        "refused",
        "I cannot give medical advice",
    ),
    "a refusal as a reason": Expected(Odd(said("", "refusal")), "error", "refused"),
    # Cut off, empty, unreadable: the server's own account of it.
    "cut off": Expected(
        Odd(said('{"reasoning": "She sat for  hours', "length")), "unparsed", "cut_off", "within"
    ),
    "cut off, Anthropic's word": Expected(Odd(said('{"a', "max_tokens")), "unparsed", "cut_off"),
    "thoughts and nothing else": Expected(
        Odd(said(None, reasoning_content="I wonder.")),
        "unparsed",
        "malformed",
        "held thoughts and nothing else",
    ),
    "empty": Expected(Odd(said("")), "unparsed", "malformed", "came empty"),
    "null": Expected(Odd(said(None)), "unparsed", "malformed", "came empty"),
    "prose": Expected(Odd(said("It is a thrombosis.")), "unparsed", "malformed", "did not fit the schema"),
    # Errors, in every shape: their own words, and the kind from them.
    "LM Studio's context": Expected(
        Odd(
            {
                "error": "Trying to keep the first 5000 tokens when context the overflows. However, the model is "
                "loaded with context length of only 4096 tokens, which is not enough."
            },
            400,
        ),
        "error",
        "context_length",
        "Trying to keep the first 5000 tokens",
    ),
    "vLLM's context": Expected(
        Odd({"object": "error", "message": OVER, "type": "BadRequestError", "code": 400}, 400),
        "error",
        "context_length",
        "maximum context length is 4096",
    ),
    "vLLM's context, by the token limit": Expected(
        error(
            "'max_tokens' or 'max_completion_tokens' is too large: 2000. This model's maximum context length is "
            "4096 tokens and your request has 3000 input tokens"
        ),
        "error",
        "context_length",
        "is too large: 2000",
        1,
    ),
    "llama.cpp's context": Expected(
        error("request (5000 tokens) exceeds the available context size (4096 tokens)", code=400),
        "error",
        "context_length",
        "available context size",
    ),
    "TGI's context": Expected(
        Odd(
            {
                "error": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096.",
                "error_type": "validation",
            },
            422,
        ),
        "error",
        "context_length",
        "must be <= 4096",
    ),
    "Ollama's context": Expected(
        Odd({"error": "input length exceeds maximum context length"}, 500),
        "error",
        "context_length",
        "input length",
    ),
    "too large": Expected(Odd("<html>413 Request Entity Too Large</html>", 413), "error", "context_length"),
    "FastAPI's list": Expected(
        Odd({"detail": [{"loc": ["body", "messages"], "msg": "field required"}]}, 422),
        "error",
        "other",
        "body.messages: field required",
    ),
    "a plain detail": Expected(
        Odd({"detail": "Not enough replicas"}, 400), "error", "other", "Not enough replicas"
    ),
    "a bare message": Expected(Odd({"message": "no such tenant"}, 400), "error", "other", "no such tenant"),
    "a list of errors": Expected(
        Odd({"errors": [{"message": "bad tenant"}, {"message": "bad region"}]}, 400),
        "error",
        "other",
        "bad region",
    ),
    "a page": Expected(Odd("<html>forbidden by the proxy</html>", 403), "error", "authentication"),
    "a wrong key": Expected(
        error("Incorrect API key provided", 401), "error", "authentication", "Incorrect API key"
    ),
    "no such model": Expected(
        error("The model `fake` does not exist", 404), "error", "model_not_found", "`fake`"
    ),
    # What passes is tried again; what does not ends at once.
    "overloaded, once": Expected(error("busy", 503)._replace(times=1), "answered"),
    "overloaded in a 200, once": Expected(
        Odd({"error": {"message": "engine overloaded", "code": 503}}, times=1), "answered"
    ),
    "no choices, once": Expected(Odd({**said(), "choices": []}, times=1), "answered"),
    "a conflict, once": Expected(error("conflict", 409)._replace(times=1), "answered"),
    "a timeout of the proxy, once": Expected(error("timeout", 408)._replace(times=1), "answered"),
    "Anthropic's overload, once": Expected(
        error("Overloaded", 529, type="overloaded_error")._replace(times=1), "answered"
    ),
    "asked to wait a moment": Expected(
        error("slow down", 429, {"Retry-After": "0.05"})._replace(times=1), "answered"
    ),
    "always overloaded in a 200": Expected(
        Odd({"error": {"message": "engine overloaded", "code": 503}}), "error", "server", "engine overloaded"
    ),
    "never a choice": Expected(Odd({**said(), "choices": []}), "error", "server", "holds no reply"),
    "choices of null": Expected(Odd({**said(), "choices": None}), "error", "server", "holds no reply"),
    "a spent quota": Expected(
        error(
            "You exceeded your current quota, please check your plan and billing details.",
            429,
            type="insufficient_quota",
            code="insufficient_quota",
        ),
        "error",
        "quota",
        "quota is spent",
        1,
    ),
    "no credit": Expected(
        error("Insufficient credits. Add more at ...", 402), "error", "quota", "credits", 1
    ),
    "an hour's wait": Expected(
        error("Rate limit reached", 429, {"Retry-After": "3600"}), "error", "rate_limit", "wait 3600 s", 1
    ),
    "a wait until next year": Expected(
        error("Rate limit reached", 429, {"Retry-After": "Fri, 01 Jan 2100 00:00:00 GMT"}),
        "error",
        "rate_limit",
        "the server asks to wait",
        1,
    ),
    "a bad request": Expected(
        error("tools must not be empty"), "error", "other", "tools must not be empty", 1
    ),
}
