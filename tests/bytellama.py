"""A Llama so small that it trains in seconds, with a tokenizer of bytes: nothing is fetched."""

from pathlib import Path
from typing import Final

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

CHATML: Final = (
    "{% if messages[0]['role'] != 'system' %}<|im_start|>system\nYou are a helper.<|im_end|>\n{% endif %}"
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""ChatML, with a default system message."""
LLAMA3: Final = (
    "{% for message in messages %}{% if loop.first %}{{ bos_token }}{% endif %}"
    "<|start_header_id|>{{ message['role'] }}<|end_header_id|>\n\n{{ message['content'] | trim }}<|eot_id|>"
    "{% endfor %}{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
"""The form of Llama 3: another header, contents trimmed, nothing after the token that ends a turn."""

SPECIAL: Final = {
    CHATML: ("<|endoftext|>", "<|im_end|>", ["<|im_start|>"]),
    LLAMA3: ("<|begin_of_text|>", "<|eot_id|>", ["<|start_header_id|>", "<|end_header_id|>"]),
}
"""Template to the tokens that begin a text, end a turn, and stand in headers."""


def byte_tokenizer(template: str = CHATML) -> PreTrainedTokenizerFast:
    """Tokens are bytes, and the special tokens of a chat template."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    bare = Tokenizer(models.BPE(vocab={letter: place for place, letter in enumerate(alphabet)}, merges=[]))
    bare.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bare.decoder = decoders.ByteLevel()
    begin, end, headers = SPECIAL[template]
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bare,
        bos_token=begin,
        eos_token=end,
        pad_token=end,
        additional_special_tokens=headers,
    )
    tokenizer.chat_template = template
    return tokenizer


def byte_llama(folder: Path, template: str = CHATML, *, seed: int = 0) -> Path:
    """A model with random weights in a folder, as transformers saves one."""
    tokenizer = byte_tokenizer(template)
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=16_384,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
