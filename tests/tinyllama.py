"""A Llama of a few million random parameters with the shipped model's tokenizer and chat template."""

from pathlib import Path

import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from ddxgraph.serving.weights import dequantized


def tiny_llama(folder: Path, *, seed: int = 0) -> Path:
    """Make it in a folder, as transformers saves a model."""
    tokenizer = AutoTokenizer.from_pretrained(dequantized())
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=8192,
        tie_word_embeddings=False,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = LlamaForCausalLM(config)
    # Else no logit could stand out among so many tokens, and nothing be learnt by heart.
    with torch.no_grad():
        model.lm_head.weight.mul_(10)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
