"""LoRA adapters, trained for a few steps on a few words."""

from collections.abc import Sequence
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from ddxgraph.serving.adapters.files import Adapter, read_adapter

MODULES = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def train(base: Path, out: Path, turns: Sequence[tuple[str, str]], rank: int, steps: int = 6) -> Adapter:
    """Train an adapter on pairs of question and reply."""
    torch.manual_seed(rank)
    tokenizer = AutoTokenizer.from_pretrained(base)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    model = get_peft_model(
        model, LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=MODULES, task_type="CAUSAL_LM")
    )
    optimizer = torch.optim.AdamW((p for p in model.parameters() if p.requires_grad), lr=1e-3)
    for step in range(steps):
        asked, said = turns[step % len(turns)]
        messages = [{"role": "user", "content": asked}, {"role": "assistant", "content": said}]
        ids = tokenizer.apply_chat_template(messages, return_tensors="pt", return_dict=True)["input_ids"]
        model(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(out)
    return read_adapter(out)


def disturbed(base: Path, out: Path) -> Path:
    """Another base model of the same shape: every weight a little off."""
    torch.manual_seed(7)
    model = AutoModelForCausalLM.from_pretrained(base)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.1 * weight.std() * torch.randn_like(weight))
    model.save_pretrained(out)
    AutoTokenizer.from_pretrained(base).save_pretrained(out)
    return out
