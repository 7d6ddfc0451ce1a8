"""The embedded model's weights as ordinary ones, for engines and training that take no GGUF."""

import tempfile
from pathlib import Path
from typing import Any, Final

from ddxgraph.common.errors import WeightsError
from ddxgraph.common.files import cache_folder
from ddxgraph.serving.weights import SMOLLM2, Weights, pull

NAME: Final = "smollm2"
"""What stands for the shipped model where a folder or a hub's id is asked for."""
_COMPLETE: Final = "model.safetensors"


def dequantized(weights: Weights = SMOLLM2) -> Path:
    """A folder as transformers and vLLM read it, made once (270 MB) from the GGUF file; needs extra `adapters`.

    Returns:
        The folder in the cache: bfloat16 weights in safetensors, configuration and tokenizer.

    Raises:
        WeightsError: the libraries are missing, or the folder cannot be written.
    """
    target = cache_folder() / "models" / weights.name.removesuffix("-Q4_1")
    if (target / _COMPLETE).is_file():
        return target
    source = pull(weights)
    try:
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".dequantize-") as name:
            made = Path(name) / "made"
            _dequantize(source, made)
            if not target.exists():
                made.rename(target)
    except ImportError as error:
        raise WeightsError(
            f"weights are dequantised with transformers ({error}); run `pip install 'ddxgraph[adapters]'`"
        ) from error
    except OSError as error:
        raise WeightsError(f"cannot write the weights to {target}: {error.strerror or error}") from error
    return target


def model_folder(model: str) -> str:
    """A folder or a hub's id, where `smollm2` may stand for the shipped model.

    Raises:
        WeightsError: as `dequantized`.
    """
    return str(dequantized()) if model == NAME else model


def _dequantize(source: Path, folder: Path) -> None:
    import torch  # noqa: PLC0415 - an extra
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig  # noqa: PLC0415 - an extra

    how: dict[str, Any] = {"gguf_file": source.name, "dtype": torch.bfloat16}
    model = AutoModelForCausalLM.from_pretrained(
        source.parent, quantization_config=GgufConfig(dequantize=True), **how
    )
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name).save_pretrained(folder)
