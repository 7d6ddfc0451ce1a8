"""Where a model lives: how to reach it, how to start it.

- reach a model: connect (`ddxgraph.connect`), api, models (what a server lists); chat models: served, llamacpp,
  embedded
- start an engine: server (`serve`), vllm (its command), engine and engineprocess (llama.cpp), address; guard and
  launch run in the engine's own environment
- weights: the shipped model's
- adapters/: LoRA adapters, and the proof that one is in force; doctor/: what an endpoint and a machine offer
"""

from typing import TYPE_CHECKING

from ddxgraph.common import lazy

if TYPE_CHECKING:
    from ddxgraph.serving.api import ServerApi as ServerApi
    from ddxgraph.serving.connect import Endpoint as Endpoint
    from ddxgraph.serving.connect import resolve as resolve
    from ddxgraph.serving.engine import EmbeddedEngine as EmbeddedEngine
    from ddxgraph.serving.models import ServedModel as ServedModel
    from ddxgraph.serving.models import served_models as served_models
    from ddxgraph.serving.server import Engine as Engine
    from ddxgraph.serving.server import ServedEndpoint as ServedEndpoint
    from ddxgraph.serving.server import serve as serve
    from ddxgraph.serving.weights import SMOLLM2 as SMOLLM2
    from ddxgraph.serving.weights import Weights as Weights
    from ddxgraph.serving.weights import pull as pull
else:
    __getattr__, __dir__, __all__ = lazy.face(
        __name__,
        {
            "EmbeddedEngine": "ddxgraph.serving.engine",
            "Endpoint": "ddxgraph.serving.connect",
            "Engine": "ddxgraph.serving.server",
            "SMOLLM2": "ddxgraph.serving.weights",
            "ServedEndpoint": "ddxgraph.serving.server",
            "ServedModel": "ddxgraph.serving.models",
            "ServerApi": "ddxgraph.serving.api",
            "Weights": "ddxgraph.serving.weights",
            "pull": "ddxgraph.serving.weights",
            "resolve": "ddxgraph.serving.connect",
            "serve": "ddxgraph.serving.server",
            "served_models": "ddxgraph.serving.models",
        },
    )
