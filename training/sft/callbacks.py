"""Trainer callbacks: progress, sample replies, and a stop that loses nothing."""

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, rotate_checkpoints
from typing_extensions import override

from ddxgraph.training.sft.checkpoints import seal

SAMPLES: Final = "samples.jsonl"
"""File of the model's sample replies: step, prompt, reply."""


class TrainProgress(NamedTuple):
    """Progress of a training."""

    step: int
    steps: int
    tokens: int
    """Tokens trained on since this process began."""
    seconds: float
    """Seconds since this process began."""
    loss: float | None
    """Nats per supervised token, over the steps since the last log entry."""
    validation_loss: float | None
    """At the last evaluation."""
    done: int
    """Steps since this process began."""


class Watch(TrainerCallback):
    """Reports progress after each step, and stops the training on request."""

    def __init__(
        self, told: Callable[[TrainProgress], None] | None, stop: Callable[[], bool] | None = None
    ) -> None:
        self._told, self._stop = told, stop or (lambda: False)
        self._began = time.monotonic()
        self._tokens = 0
        self._first = 0
        self._loss: float | None = None
        self._validation: float | None = None
        self.stopped = False
        """Whether the training stopped before its last step."""

    @override
    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """See `TrainerCallback`."""
        self._began, self._first = time.monotonic(), state.global_step
        self._tell(state)

    @override
    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Stop on request, with a checkpoint."""
        if _anywhere(self._stop(), args) and state.global_step < state.max_steps:
            self.stopped = True
            control.should_save = True
            control.should_training_stop = True

    @override
    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """Record the trainer's measurements."""
        logs = kwargs.get("logs") or {}
        self._loss = logs.get("loss", self._loss)
        self._validation = logs.get("eval_loss", self._validation)
        self._tokens = int(logs.get("num_tokens", self._tokens))
        self._tell(state)

    def _tell(self, state: TrainerState) -> None:
        if self._told and state.is_world_process_zero:
            progress = TrainProgress(
                step=state.global_step,
                steps=state.max_steps,
                tokens=self._tokens,
                seconds=time.monotonic() - self._began,
                loss=self._loss,
                validation_loss=self._validation,
                done=state.global_step - self._first,
            )
            self._told(progress)


def _anywhere(wished: bool, args: TrainingArguments) -> bool:
    """Whether any process asks to stop: all of them must stop after the same step."""
    if args.world_size == 1:
        return wished
    flag = torch.tensor(int(wished), device=args.device)
    torch.distributed.all_reduce(flag, op=torch.distributed.ReduceOp.MAX)
    return bool(flag.item())


class Sealer(TrainerCallback):
    """Seals each checkpoint once it is whole; only then do older ones go.

    Args:
        work: the training's work folder.
        job_sha256: gives the digest of the training's record.
        kept: number of checkpoints to keep.
    """

    def __init__(self, work: Path, job_sha256: Callable[[], str], kept: int) -> None:
        self._work, self._job_sha256, self._kept = work, job_sha256, kept

    @override
    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """See `TrainerCallback`."""
        if args.world_size > 1:  # each process writes its own random numbers
            torch.distributed.barrier()
        if state.is_world_process_zero:
            seal(self._work / f"{PREFIX_CHECKPOINT_DIR}-{state.global_step}", self._job_sha256())
            rotate_checkpoints(str(self._work), save_total_limit=self._kept)


class Sampler(TrainerCallback):
    """Samples replies to a few prompts at each evaluation, or at each checkpoint without evaluations."""

    def __init__(
        self,
        prompts: Sequence[Sequence[int]],
        texts: Sequence[str],
        tokenizer: Any,
        tokens: int,
        file: Path,
        *,
        at_evaluations: bool,
    ) -> None:
        self._prompts, self._texts = prompts, texts
        self._tokenizer, self._tokens, self._file = tokenizer, tokens, file
        self._at_evaluations = at_evaluations

    @override
    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """See `TrainerCallback`."""
        self._sample(state, kwargs["model"])

    @override
    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """See `TrainerCallback`."""
        if not self._at_evaluations:
            self._sample(state, kwargs["model"])

    def _sample(self, state: TrainerState, model: Any) -> None:
        if not state.is_world_process_zero:
            return
        was_training = model.training
        model.eval()
        lines = [
            {"step": state.global_step, "prompt": text, "reply": self._reply(model, prompt)}
            for prompt, text in zip(self._prompts, self._texts, strict=True)
        ]
        model.train(was_training)
        with self._file.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)

    def _reply(self, model: Any, prompt: Sequence[int]) -> str:
        ids = torch.tensor([list(prompt)], device=model.device)
        with torch.no_grad():
            output = model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=self._tokens,
                do_sample=False,
                pad_token_id=self._tokenizer.pad_token_id,
            )
        return str(self._tokenizer.decode(output[0, ids.shape[1] :], skip_special_tokens=True))
