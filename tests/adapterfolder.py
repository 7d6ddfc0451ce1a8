"""LoRA adapters as PEFT saves them: real files, random weights."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

WIDTH = 16
"""Of the modules that are adapted."""
PREFIX = "base_model.model.model.layers.0.self_attn"


def write_adapter(
    folder: Path,
    rank: int = 8,
    *,
    seed: int = 0,
    ranks: Mapping[str, int] | None = None,
    **config: Any,
) -> Path:
    """Write an adapter of `q_proj` and `v_proj`; `ranks` are those of its weights, `config` goes over its own."""
    generator = np.random.default_rng(seed)
    tensors = {}
    for module, own in {"q_proj": rank, "v_proj": rank, **(ranks or {})}.items():
        tensors[f"{PREFIX}.{module}.lora_A.weight"] = generator.random((own, WIDTH), np.float32)
        tensors[f"{PREFIX}.{module}.lora_B.weight"] = generator.random((WIDTH, own), np.float32)
    told = {
        "peft_type": "LORA",
        "base_model_name_or_path": "smol",
        "r": rank,
        "lora_alpha": 2 * rank,
        "target_modules": ["q_proj", "v_proj"],
        "rank_pattern": {},
        **config,
    }
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(json.dumps(told), encoding="utf-8")
    return folder
