"""Training throughput against a bare TRL script with the same data and settings.

Usage: python benchmarks/sft_throughput.py DATA --base PATH_OR_ID [--pairs 3] [--steps 12] [--packing]

DATA is a set in the format `messages`, of a style with one reply. Each run is a process of its own, ours and the
bare one in turn, so that a drifting machine treats both alike. Compared are tokens a second from the start of the
first step to the end of the last, without loading, checkpoints and evaluations; the ratio is that of the medians.
The bare script is what one writes without this package: TRL's trainer on the set's JSONL, with its own
tokenization and assistant-only loss.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import torch
from datasets import load_dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from trl import SFTConfig, SFTTrainer

from ddxgraph.serving.weights import model_folder
from ddxgraph.training.sft.config import train_config
from ddxgraph.training.sft.finetune import finetune
from ddxgraph.training.sft.train import Hooks

MARKED = (
    "{% for message in messages %}{% if loop.first and message['role'] != 'system' %}<|im_start|>system\n"
    "You are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n{% endif %}"
    "<|im_start|>{{ message['role'] }}\n{% if message['role'] == 'assistant' %}{% generation %}"
    "{{ message['content'] }}<|im_end|>{% endgeneration %}{% else %}{{ message['content'] }}<|im_end|>"
    "{% endif %}{{ '\n' }}{% endfor %}"
)
"""ChatML with the markers that TRL's own masking needs, for the bare script."""
RANK, BATCH, RATE = 16, 4, 2e-4


def main() -> None:
    """Measure, or be one of the measured processes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--base", default="smollm2")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--max-tokens", type=int, default=2048)
    parser.add_argument("--packing", action="store_true")
    parser.add_argument("--bf16", action="store_true", help="on a GPU")
    parser.add_argument("--as", dest="role", choices=["ours", "bare"], help=argparse.SUPPRESS)
    settings = parser.parse_args()
    if settings.role:
        print(json.dumps(ours(settings) if settings.role == "ours" else bare(settings)))
        return
    print(json.dumps(measure(settings)))


def measure(settings: argparse.Namespace) -> dict[str, Any]:
    """Ours and the bare script in turn, each in a process of its own."""
    runs: dict[str, list[dict[str, Any]]] = {"ours": [], "bare": []}
    for number in range(settings.pairs):
        for role in ("ours", "bare") if number % 2 == 0 else ("bare", "ours"):
            done = subprocess.run(
                [sys.executable, __file__, *sys.argv[1:], "--as", role],
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                raise SystemExit(f"{role} failed:\n{done.stderr}")
            runs[role].append(json.loads(done.stdout.strip().splitlines()[-1]))
            print(f"pair {number + 1} of {settings.pairs}, {role}: {runs[role][-1]}", file=sys.stderr)
    speeds = {role: [run["tokens_per_s"] for run in found] for role, found in runs.items()}
    same = {(run["tokens"], run["steps"]) for found in runs.values() for run in found}
    return {
        "tokens_per_s": speeds,
        "ratio_of_medians": round(median(speeds["ours"]) / median(speeds["bare"]), 3),
        "tokens_and_steps": sorted(same),
        "loss": {role: found[0]["loss"] for role, found in runs.items()},
        "device": runs["ours"][0]["device"],
        "parameters": runs["ours"][0]["parameters"],
        # Forwards, and backwards through frozen weights: 2 operations a parameter and token each.
        "model_flops_per_s": round(4 * runs["ours"][0]["parameters"] * median(speeds["ours"])),
    }


def ours(settings: argparse.Namespace) -> dict[str, Any]:
    """`ddxgraph.finetune`."""
    config = train_config(
        {
            "base_model": settings.base,
            "data": {"max_tokens": settings.max_tokens, "too_long": "drop", "packing": settings.packing},
            "lora": {"rank": RANK, "alpha": 2 * RANK},
            "optimization": {
                "epochs": 100.0,
                "max_steps": settings.steps,
                "batch_size": BATCH,
                "learning_rate": RATE,
                "schedule": "constant",
                "warmup": 0.0,
            },
            "machine": {
                "gradient_checkpointing": False,
                "precision": "bfloat16" if settings.bf16 else "float32",
            },
            "watch": {"samples": 0, "canaries": 0, "save_steps": 10_000, "evaluate_steps": 10_000},
        },
        "here",
    )
    seconds: dict[int, float] = {}
    with tempfile.TemporaryDirectory() as room:
        hooks = Hooks(told=lambda at: seconds.setdefault(at.step, at.seconds))
        card = finetune(settings.data, config, Path(room) / "adapter", hooks=hooks)
    tokens = max(int(entry["num_tokens"]) for entry in card.losses.log if "num_tokens" in entry)
    return {
        "tokens": tokens,
        "steps": card.steps,
        "seconds": round(seconds[card.steps], 3),
        "tokens_per_s": round(tokens / seconds[card.steps], 2),
        "loss": card.train_loss,
        "device": card.hardware.device,
        "parameters": card.all_parameters,
    }


class Clock(TrainerCallback):
    """When training began, and when the last step was logged: what `TrainProgress` tells of ours."""

    began = last = 0.0

    def on_train_begin(self, *_args: Any, **_known: Any) -> None:
        """Begin."""
        self.began = time.monotonic()

    def on_log(self, *_args: Any, **known: Any) -> None:
        """A step is done, or all of them are."""
        if "loss" in known["logs"]:
            self.last = time.monotonic()


def bare(settings: argparse.Namespace) -> dict[str, Any]:
    """A script of TRL's alone."""
    base = model_folder(settings.base)
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.chat_template = MARKED
    data = load_dataset("json", data_files=str(settings.data / "train.jsonl"), split="train").select_columns(
        "messages"
    )
    fits = [
        len(tokenizer.apply_chat_template(row["messages"], tokenize=True, return_dict=False))
        <= settings.max_tokens
        for row in data
    ]
    data = data.select([place for place, fit in enumerate(fits) if fit])
    torch.manual_seed(0)
    dtype = torch.bfloat16 if settings.bf16 else torch.float32
    with tempfile.TemporaryDirectory() as room:
        trainer = SFTTrainer(
            model=AutoModelForCausalLM.from_pretrained(base, dtype=dtype),
            args=SFTConfig(
                output_dir=room,
                max_steps=settings.steps,
                per_device_train_batch_size=1,
                gradient_accumulation_steps=BATCH,
                learning_rate=RATE,
                lr_scheduler_type="constant",
                seed=0,
                data_seed=0,
                bf16=settings.bf16,
                use_cpu=not torch.cuda.is_available(),
                gradient_checkpointing=False,
                logging_steps=1,
                save_strategy="no",
                report_to="none",
                assistant_only_loss=True,
                packing=settings.packing,
                max_length=settings.max_tokens,
            ),
            train_dataset=data,
            processing_class=tokenizer,
            peft_config=LoraConfig(
                r=RANK, lora_alpha=2 * RANK, target_modules="all-linear", task_type="CAUSAL_LM"
            ),
        )
        clock = Clock()
        trainer.add_callback(clock)
        trainer.train()
        seconds = clock.last - clock.began
    history = trainer.state.log_history
    tokens = max(int(entry["num_tokens"]) for entry in history if "num_tokens" in entry)
    return {
        "tokens": tokens,
        "steps": trainer.state.global_step,
        "seconds": round(seconds, 3),
        "tokens_per_s": round(tokens / seconds, 2),
        "loss": [entry["loss"] for entry in history if "loss" in entry][-1],
    }


if __name__ == "__main__":
    main()
