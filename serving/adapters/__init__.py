"""LoRA adapters on disk and on a server, and the proof that one is in force.

- files: what an adapter's files say, and the store that engines load from
- loaded: adapters of a running vLLM
- canary: prompts with known continuations; reference: computes them; liveness: compares a server with them
"""

from typing import TYPE_CHECKING

from ddxgraph.common import lazy

if TYPE_CHECKING:
    from ddxgraph.serving.adapters.canary import CanarySet as CanarySet
    from ddxgraph.serving.adapters.canary import read_canaries as read_canaries
    from ddxgraph.serving.adapters.canary import write_canaries as write_canaries
    from ddxgraph.serving.adapters.files import Adapter as Adapter
    from ddxgraph.serving.adapters.files import put as put
    from ddxgraph.serving.adapters.files import read_adapter as read_adapter
    from ddxgraph.serving.adapters.liveness import Liveness as Liveness
    from ddxgraph.serving.adapters.liveness import Verdict as Verdict
    from ddxgraph.serving.adapters.liveness import verify as verify
    from ddxgraph.serving.adapters.liveness import verify_merged as verify_merged
    from ddxgraph.serving.adapters.loaded import LoadedAdapter as LoadedAdapter
    from ddxgraph.serving.adapters.loaded import load_adapter as load_adapter
    from ddxgraph.serving.adapters.loaded import loaded_adapters as loaded_adapters
    from ddxgraph.serving.adapters.loaded import unload_adapter as unload_adapter
    from ddxgraph.serving.adapters.reference import make_canaries as make_canaries
else:
    __getattr__, __dir__, __all__ = lazy.face(
        __name__,
        {
            "Adapter": "ddxgraph.serving.adapters.files",
            "CanarySet": "ddxgraph.serving.adapters.canary",
            "Liveness": "ddxgraph.serving.adapters.liveness",
            "LoadedAdapter": "ddxgraph.serving.adapters.loaded",
            "Verdict": "ddxgraph.serving.adapters.liveness",
            "load_adapter": "ddxgraph.serving.adapters.loaded",
            "loaded_adapters": "ddxgraph.serving.adapters.loaded",
            "make_canaries": "ddxgraph.serving.adapters.reference",
            "put": "ddxgraph.serving.adapters.files",
            "read_adapter": "ddxgraph.serving.adapters.files",
            "read_canaries": "ddxgraph.serving.adapters.canary",
            "unload_adapter": "ddxgraph.serving.adapters.loaded",
            "verify": "ddxgraph.serving.adapters.liveness",
            "verify_merged": "ddxgraph.serving.adapters.liveness",
            "write_canaries": "ddxgraph.serving.adapters.canary",
        },
    )
