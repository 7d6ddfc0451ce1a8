"""Requests to an OpenAI-compatible server, whose failures become sentences."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from ddxgraph.common.errors import ServerError
from ddxgraph.nodes.call.errorkind import in_one_line
from ddxgraph.nodes.call.said import unusable
from ddxgraph.serving.address import without_password

NO_KEY: Final = "no-key-was-set"
"""Sent where the server asks for no key, since the client insists on one. It resembles no prose, for keys are
blotted out of messages."""
ANSWER_TIMEOUT_S: Final = 20.0


def is_sendable(key: str) -> bool:
    """Whether a key can be sent in a header."""
    return key.isascii() and key.isprintable() and key == key.strip()


class ServerApi:
    """A server's HTTP interface.

    Args:
        base_url: address of the API, such as `http://127.0.0.1:8000/v1`.
        api_key: sent as a bearer token; None if the server asks for none.
        key_variable: environment variable that messages name for the key.
        timeout_s: seconds to wait for an answer.
    """

    def __init__(
        self, base_url: str, api_key: str | None, key_variable: str, timeout_s: float = ANSWER_TIMEOUT_S
    ) -> None:
        self.shown = without_password(base_url)
        """The address for messages."""
        self.key_refused = f"{self.shown} refuses the API key; set {key_variable}"
        self._base_url, self._timeout_s = base_url, timeout_s
        self._api_key = api_key or NO_KEY

    def get(self, path: str) -> Any:
        """Get a path below the address or, given a full URL, elsewhere on the server.

        Returns:
            The parsed JSON; text if the server does not call its answer JSON.

        Raises:
            ServerError: the server does not answer, refuses, or sends broken JSON.
        """
        with self._client() as client:
            return client.get(path, cast_to=object)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Post a JSON body, once: a repeated request could do its work twice.

        Returns:
            See `get`.

        Raises:
            ServerError: see `get`.
        """
        with self._client(retries=0) as client:
            return client.post(path, body=dict(body), cast_to=object)

    @contextmanager
    def _client(self, retries: int = 1) -> Iterator[Any]:
        import openai  # noqa: PLC0415 - takes a second to import

        from ddxgraph.serving.transport import client, proxy_for  # noqa: PLC0415 - imports openai

        proxy = proxy_for(self._base_url)
        shown = f"{self.shown} (through the proxy {proxy})" if proxy else self.shown
        settings: dict[str, Any] = {"timeout": self._timeout_s, "max_retries": retries}
        settings["http_client"] = client(self._base_url)
        with openai.OpenAI(base_url=self._base_url, api_key=self._api_key, **settings) as api:
            try:
                yield api
            except openai.AuthenticationError as error:
                raise ServerError(self.key_refused, 401) from error
            except openai.NotFoundError as error:
                raise ServerError(self._message(error) or f"{shown} has no such path", 404) from error
            except openai.APIStatusError as error:
                status = error.status_code
                message = self._message(error) or _sent_on(error.response) or "see the server's log"
                raise ServerError(f"{shown} answers with HTTP status {status}: {message}", status) from error
            except openai.APITimeoutError as error:
                raise ServerError(f"{shown} does not answer within {self._timeout_s:.0f} s") from error
            except openai.APIConnectionError as error:
                if why := unusable(error):
                    raise ServerError(f"{shown} is not used: {why}") from error
                mend = "is it running, and does the proxy reach it? NO_PROXY lists hosts to reach without one"
                raise ServerError(
                    f"no server answers at {shown}; {mend if proxy else 'is it running?'}"
                ) from error
            except (openai.OpenAIError, ValueError) as error:
                raise ServerError(
                    f"{shown} answers, but not with JSON; is it an OpenAI-compatible server?", 200
                ) from error

    def _message(self, error: Any) -> str:
        """The server's own message, if it sent one, without the key that it may repeat."""
        body = error.body
        if isinstance(body, Mapping):
            inner = body.get("error")
            message = body.get("message") or (inner.get("message") if isinstance(inner, Mapping) else inner)
            return in_one_line(str(message or ""), [self._api_key])
        return ""


def _sent_on(response: Any) -> str:
    """Where a redirect leads, and what to do; empty for any other answer."""
    onward = response.headers.get("location") if response.is_redirect else None
    if not onward:
        return ""
    return f"it sends requests on to {without_password(onward)}; name that address itself, if it is yours"
