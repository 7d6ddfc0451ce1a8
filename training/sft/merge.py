"""Merge an adapter into its base model: plain weights for engines without LoRA support."""

import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

from ddxgraph.common.errors import TrainingError, first_line
from ddxgraph.common.files import draft_beside, real
from ddxgraph.common.offline import need_hub


def merge(adapter: Path, base: str, out: Path) -> Path:
    """Write a base model with an adapter's update added to its weights, in the base model's precision.

    Needs the extra `adapters`.

    Args:
        adapter: the adapter's folder.
        base: folder or hub id of the model it was trained on.
        out: folder to create, in the format of transformers' save_pretrained: safetensors and tokenizer.

    Returns:
        `out`.

    Raises:
        TrainingError: `out` exists, the two do not fit, or `out` cannot be written; nothing is left behind.
    """
    if out.exists():
        raise TrainingError(f"{out} exists: name another --out, or delete it")
    model, tokenizer = _merged(adapter, base)
    place = real(out)
    draft = draft_beside(place)
    try:
        draft.mkdir(parents=True)
        model.save_pretrained(draft)
        tokenizer.save_pretrained(draft)
        draft.rename(place)
    except Exception as error:  # safetensors raises its own errors for a full disk
        with suppress(OSError):
            shutil.rmtree(draft)
        raise TrainingError(
            f"cannot write the merged model to {out}: {error}; nothing was left there"
        ) from error
    return out


def _merged(adapter: Path, base: str) -> tuple[Any, Any]:
    from peft import PeftModel  # noqa: PLC0415 - an extra
    from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: PLC0415 - an extra

    need_hub(base)
    try:
        model = AutoModelForCausalLM.from_pretrained(
            base, dtype="auto", use_safetensors=True, trust_remote_code=False
        )
        tokenizer = AutoTokenizer.from_pretrained(base, trust_remote_code=False)
    except Exception as error:  # transformers raises what its parts do
        raise TrainingError(
            f"cannot load the base model {base!r}: {first_line(error)}; name a folder or a hub id with --base"
        ) from error
    try:
        return PeftModel.from_pretrained(model, adapter).merge_and_unload(), tokenizer
    except Exception as error:  # PEFT too
        raise TrainingError(f"the adapter in {adapter} does not fit {base!r}: {first_line(error)}") from error
