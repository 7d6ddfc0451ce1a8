"""A chat model on an embedded engine of its own."""

from pathlib import Path
from typing import Any, Final, Self

from pydantic import PrivateAttr, SecretStr

from ddxgraph.serving.api import NO_KEY
from ddxgraph.serving.engine import EmbeddedEngine, release
from ddxgraph.serving.llamacpp import LlamaCppChatModel, LlamaServer, release_of

REQUEST_TIMEOUT_S: Final = 600.0


class EmbeddedChatModel(LlamaCppChatModel):
    """A chat model that owns an embedded engine."""

    _engine: EmbeddedEngine = PrivateAttr()

    @classmethod
    def start(
        cls,
        weights: Path,
        *,
        name: str,
        slots: int,
        context_tokens: int,
        brief: bool = False,
        **settings: Any,
    ) -> Self:
        """Load the weights, start the engine and connect to it.

        Args:
            weights: a GGUF file.
            name: the model's name.
            slots: conversations kept at a time.
            context_tokens: context window of each.
            brief: ask for brief replies, for a model too small for long ones.
            settings: other settings of the chat model.

        Returns:
            The chat model.

        Raises:
            ImportError, RuntimeError: see `EmbeddedEngine`.
        """
        engine = EmbeddedEngine(weights, slots, context_tokens, name=name)
        model = cls.on(
            LlamaServer(slots, context_tokens, release_of(None, [release()]), llguidance=True),
            brief=brief,
            model=name,
            base_url=engine.base_url,
            api_key=SecretStr(engine.api_key or NO_KEY),
            timeout=REQUEST_TIMEOUT_S,
            max_retries=0,
            use_responses_api=False,
            **settings,
        )
        model._engine = engine
        return model

    def close(self) -> None:
        """Stop the engine; harmless when repeated. It stops with the process in any case."""
        self._engine.close()
