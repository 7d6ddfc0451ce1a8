"""Fine-tuning on journeys: LoRA by PEFT, in TRL's SFTTrainer, on the tokens that `supervision` chose.

Method: supervised fine-tuning on LongStep and LongMonolog data (arXiv 2501.06458), LoRA (arXiv 2106.09685).
Needs the extra `train`.
"""

import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import torch
from accelerate import PartialState
from datasets import Dataset
from safetensors import SafetensorError
from transformers import PrinterCallback
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from ddxgraph.common.errors import Stopped, TrainConfigError, TrainingError, first_line
from ddxgraph.common.files import real
from ddxgraph.graph.trace import code_version
from ddxgraph.training.sets.manifest import SetManifest
from ddxgraph.training.sft.base import (
    Base,
    Start,
    adapted_model,
    attention_of,
    precision_of,
    template_of,
    tokenizer_of,
)
from ddxgraph.training.sft.callbacks import SAMPLES, Sampler, Sealer, TrainProgress, Watch
from ddxgraph.training.sft.card import Hardware, TrainingCard, libraries, losses_of, read_training_card
from ddxgraph.training.sft.checkpoints import newest
from ddxgraph.training.sft.config import TrainConfig
from ddxgraph.training.sft.job import (
    DRAFT,
    TrainingJob,
    claimed,
    data_hashes,
    done_already,
    forget,
    job_digest,
    work_folder,
)
from ddxgraph.training.sft.supervision import IGNORED, Supervised, check_template
from ddxgraph.training.sft.tokens import TokenSide, token_side

_log: Final = logging.getLogger(__name__)
_TEMPLATE_FILE: Final = "chat_template.jinja"
_NO_ROOM: Final = ("PytorchStreamWriter", "inline_container", "No space left")
"""Messages of torch's RuntimeError when a file cannot be written."""
_LITTLE: Final = 1 << 22
"""Bytes; a disk with less free space counts as full."""


@dataclass(frozen=True)
class Hooks:
    """Callbacks of a training."""

    told: Callable[[TrainProgress], None] | None = None
    """Receives the progress."""
    stop: Callable[[], bool] | None = None
    """Called after each step; True stops the training."""
    tokenizing: Callable[[int, int], None] | None = None
    """Receives the number of samples tokenized and their total."""
    note: Callable[[str], None] = _log.warning
    """Receives a sentence on each checkpoint that is not resumed because it is not whole."""
    finish: Callable[[Path, Sequence[str]], None] | None = None
    """Receives the finished adapter's draft folder and some training prompts, to make canaries."""


def train(
    data: Path,
    manifest: SetManifest,
    config: TrainConfig,
    out: Path,
    base: Base,
    *,
    start: Start | None = None,
    hooks: Hooks = Hooks(),
) -> TrainingCard:
    """Train an adapter on a set of journeys; a repeated call resumes an interrupted one.

    Checkpoints stay in `<out>.training` until the adapter is complete and moves to `out`. An existing adapter of
    the same job is left unchanged.

    Args:
        data: the set's folder.
        manifest: of the set, from `read_journeys`.
        config: all settings; `base` replaces its `base_model`.
        out: the adapter's folder.
        base: the base model.
        start: an adapter to start from; a new one where None.
        hooks: callbacks.

    Returns:
        The training card, also written to the folder.

    Raises:
        SampleFileError: a line of `data` is not a sample.
        TrainingDataError: there is nothing to train on, or a sample or the chat template cannot be used.
        TrainConfigError: the batch cannot be divided over the devices.
        TrainingError: the base model cannot be loaded, `out` is taken, or a file cannot be written.
        Stopped: `hooks.stop` asked for it.
    """
    job = _job(manifest, config, base, start)
    work = work_folder(out)
    if done_already(out, job):
        forget(work)  # left by a kill just after the adapter moved into place
        return read_training_card(out)
    with _in_words(work), _claimed_by_main(out, job, hooks.note):
        tokenizer = tokenizer_of(base)
        template = template_of(config)
        check_template(tokenizer, template)
        sides = [
            token_side(data, manifest, side, tokenizer, config.data, template, hooks.tokenizing)
            for side in ("train", "validation")
        ]
        watch = Watch(hooks.told, hooks.stop)
        trainer = trainer_for(job, base, start, tokenizer, sides, work, watch)
        seconds = _run(trainer, newest(work))
        if watch.stopped:
            raise Stopped("interrupted; a checkpoint is there, and the same command goes on from it")
        card = _card(trainer, job, base, sides, seconds)
        _publish(trainer, card, template, sides[0], out, work, hooks.finish)
    if _processes().is_main_process:
        forget(work)
    return card


@contextmanager
def _claimed_by_main(out: Path, job: TrainingJob, tell: Callable[[str], None]) -> Iterator[None]:
    """Let the main process claim the work folder; the others wait for it at both ends."""
    processes = _processes()
    with claimed(out, job, tell) if processes.is_main_process else nullcontext():
        processes.wait_for_everyone()
        yield
        processes.wait_for_everyone()


def _job(manifest: SetManifest, config: TrainConfig, base: Base, start: Start | None) -> TrainingJob:
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    settings = config.optimization
    if settings.batch_size % (settings.micro_batch_size * processes):
        raise TrainConfigError(
            f"optimization.batch_size = {settings.batch_size} cannot be divided over {processes} processes with "
            f"micro_batch_size = {settings.micro_batch_size} each: make it a multiple of "
            f"{settings.micro_batch_size * processes}"
        )
    return TrainingJob(
        config=config,
        base_sha256=base.sha256,
        data=data_hashes(manifest),
        style=manifest.settings.style,
        prompt_hashes=tuple(manifest.prompt_hashes),
        start_sha256=start.sha256 if start else None,
        processes=processes,
    )


def _processes() -> PartialState:
    """The processes that train together."""
    return PartialState(cpu=not torch.cuda.is_available())


@contextmanager
def _in_words(work: Path) -> Iterator[None]:
    """Turn the libraries' errors on full disks and full memory into sentences."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise TrainingError(
            f"the device has too little memory ({first_line(error)}): lower data.max_tokens or "
            "optimization.micro_batch_size, or switch machine.gradient_checkpointing on"
        ) from error
    except (OSError, SafetensorError) as error:
        raise _unwritten(work, error) from error
    except RuntimeError as error:
        if isinstance(error, TrainingError) or not any(sign in str(error) for sign in _NO_ROOM):
            raise
        raise _unwritten(work, error) from error


def _unwritten(work: Path, error: Exception) -> TrainingError:
    why = getattr(error, "strerror", None) or first_line(error)
    if isinstance(error, RuntimeError) and shutil.disk_usage(work).free < _LITTLE:  # torch gives no reason
        why = "No space left on device"
    return TrainingError(
        f"cannot write a checkpoint or the adapter beside {work}: {why}; complete checkpoints are "
        "untouched: fix the cause and rerun the same command to resume"
    )


class _Trainer(SFTTrainer):
    """TRL's trainer, with evaluations that do not advance the training's random numbers, and fast on a CPU.

    The checkpoint at the end of an epoch precedes the evaluation there; a training resumed from it must draw the
    same random numbers.
    """

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """See `Trainer.evaluate`."""
        with torch.random.fork_rng():
            return super().evaluate(*args, **kwargs)

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        """Mean loss over the supervised tokens.

        TRL computes the output layer for prompts too, and the entropy of every token: for a small model on a CPU
        more than half of a step. A single CPU process computes only what the loss needs.
        """
        alone = self.accelerator.num_processes == 1 and self.accelerator.device.type == "cpu"
        alone = alone and not self.aux_loss_enabled
        if not alone or return_outputs or "attention_mask" not in inputs:
            return super().compute_loss(  # type: ignore[no-untyped-call]  # TRL is untyped
                model, inputs, return_outputs, num_items_in_batch
            )
        targets = inputs["labels"][:, 1:]
        places = (targets != IGNORED).any(dim=0).nonzero().flatten()
        asked = {name: value for name, value in inputs.items() if name != "labels"}
        logits = model(**asked, use_cache=False, logits_to_keep=places).logits.float()
        wanted = targets[:, places]
        summed = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), wanted.flatten(), ignore_index=IGNORED, reduction="sum"
        )
        count = (wanted != IGNORED).sum() if num_items_in_batch is None else num_items_in_batch
        self._count(int(inputs["attention_mask"].sum()), "train" if model.training else "eval")
        return summed / torch.as_tensor(count).clamp(min=1)

    def _count(self, tokens: int, mode: str) -> None:
        """Count tokens in the log as TRL does."""
        self._total_train_tokens += tokens if mode == "train" else 0
        self._metrics[mode]["num_tokens"] = [self._total_train_tokens]


def trainer_for(
    job: TrainingJob,
    base: Base,
    start: Start | None,
    tokenizer: Any,
    sides: Sequence[TokenSide],
    work: Path,
    watch: Watch,
) -> SFTTrainer:
    """TRL's trainer for a job, ready to run.

    Args:
        job: what is trained.
        base: the base model.
        start: an adapter to start from; a new one where None.
        tokenizer: the base model's.
        sides: training and validation samples.
        work: folder of the checkpoints.
        watch: progress and the wish to stop.

    Returns:
        The trainer.
    """
    config = job.config
    learnt, held = sides
    callbacks: list[Any] = [watch, Sealer(work, lambda: job_digest(work), config.watch.checkpoints)]
    if config.watch.samples:
        callbacks.append(_sampler(config, tokenizer, held if held.samples else learnt, held, work))
    trainer = _Trainer(
        model=adapted_model(config, base, start),
        args=_arguments(job, work, evaluated=bool(held.samples)),
        train_dataset=_dataset(learnt.samples),
        eval_dataset=_dataset(held.samples) if held.samples else None,
        processing_class=tokenizer,
        callbacks=callbacks,
    )
    trainer.remove_callback(PrinterCallback)  # it writes the log to stdout
    return trainer


def _sampler(config: TrainConfig, tokenizer: Any, asked: TokenSide, held: TokenSide, work: Path) -> Sampler:
    count = config.watch.samples
    prompts = [_prompt(sample) for sample in asked.samples[:count]]
    return Sampler(
        prompts,
        asked.prompts[:count],
        tokenizer,
        config.watch.sample_tokens,
        work / SAMPLES,
        at_evaluations=bool(held.samples),
    )


def _prompt(sample: Supervised) -> list[int]:
    """The tokens before a sample's first reply."""
    first = next(place for place, label in enumerate(sample.labels) if label != IGNORED)
    return sample.input_ids[:first]


def _dataset(samples: Sequence[Supervised]) -> Dataset:
    return Dataset.from_dict(
        {"input_ids": [each.input_ids for each in samples], "labels": [each.labels for each in samples]}
    )


def _arguments(job: TrainingJob, work: Path, *, evaluated: bool) -> SFTConfig:
    config, settings, watch = job.config, job.config.optimization, job.config.watch
    checkpointing = config.machine.gradient_checkpointing
    return SFTConfig(
        output_dir=str(work),
        seed=config.seed,
        data_seed=config.seed,
        num_train_epochs=settings.epochs,
        max_steps=settings.max_steps or -1,
        per_device_train_batch_size=settings.micro_batch_size,
        per_device_eval_batch_size=settings.micro_batch_size,
        gradient_accumulation_steps=settings.batch_size // (settings.micro_batch_size * job.processes),
        learning_rate=settings.learning_rate,
        lr_scheduler_type=settings.schedule,
        warmup_steps=settings.warmup,
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        bf16=precision_of(config) == "bfloat16",
        use_cpu=not torch.cuda.is_available(),
        gradient_checkpointing=checkpointing,
        logging_steps=watch.log_steps,
        eval_strategy=("steps" if watch.evaluate_steps else "epoch") if evaluated else "no",
        eval_steps=watch.evaluate_steps,
        save_strategy="steps" if watch.save_steps else "epoch",
        save_steps=watch.save_steps or 500,
        save_total_limit=None,  # older ones go once the new one is sealed: see `Sealer`
        report_to=list(watch.report_to) or "none",
        disable_tqdm=True,
        packing=config.data.packing,
        max_length=config.data.max_tokens,
    )


def _run(trainer: SFTTrainer, checkpoint: Path | None) -> float:
    """Train until the end or until asked to stop; the seconds it took."""
    began = time.monotonic()
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    return time.monotonic() - began


def _card(
    trainer: SFTTrainer, job: TrainingJob, base: Base, sides: Sequence[TokenSide], seconds: float
) -> TrainingCard:
    learnt, held = sides
    history = trainer.state.log_history
    tokens = max((int(entry["num_tokens"]) for entry in history if "num_tokens" in entry), default=0)
    parameters = list(trainer.model.parameters()) if trainer.model else []
    on_gpu = torch.cuda.is_available()
    return TrainingCard(
        made=datetime.now(UTC),
        job=job,
        base_model=base.path,
        train=learnt.counts,
        validation=held.counts,
        steps=trainer.state.global_step,
        seconds=round(seconds, 3),
        tokens_per_s=round(tokens / seconds, 3) if seconds else 0.0,
        trained_parameters=sum(weights.numel() for weights in parameters if weights.requires_grad),
        all_parameters=sum(weights.numel() for weights in parameters),
        losses=losses_of(history),
        hardware=Hardware(
            device=torch.cuda.get_device_name()
            if on_gpu
            else f"processor, {torch.get_num_threads()} threads",
            devices=job.processes,
            precision=precision_of(job.config),
            attention=attention_of(job.config),
        ),
        libraries=libraries(),
        code_version=code_version(),
    )


def _publish(
    trainer: SFTTrainer,
    card: TrainingCard,
    template: str | None,
    learnt: TokenSide,
    out: Path,
    work: Path,
    finish: Callable[[Path, Sequence[str]], None] | None,
) -> None:
    """Complete the adapter's folder and move it into place."""
    draft = work / DRAFT
    trainer.save_model(str(draft))  # every process takes part: each may hold a shard
    if not trainer.is_world_process_zero():
        return
    kept = {"adapter_config.json", "adapter_model.safetensors"}
    for path in draft.iterdir():
        if path.name not in kept:
            path.unlink()
    if template is not None:
        (draft / _TEMPLATE_FILE).write_text(template, encoding="utf-8")
    if (work / SAMPLES).exists():
        (draft / SAMPLES).write_bytes((work / SAMPLES).read_bytes())
    card.write(draft, out.name)
    if finish and card.job.config.watch.canaries:
        finish(draft, list(dict.fromkeys(learnt.prompts))[: card.job.config.watch.canaries])
    if out.exists():
        out.rmdir()  # empty: see `done_already`
    draft.rename(real(out))
