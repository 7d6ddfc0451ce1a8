"""`ddxgraph train`: LoRA fine-tuning on journeys."""

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from ddxgraph.cli import options
from ddxgraph.cli.bar import bar
from ddxgraph.cli.extras import need
from ddxgraph.cli.signals import asked_to_stop
from ddxgraph.cli.speech import STDERR, STDOUT, Exit, fail, say, spoken
from ddxgraph.training.sft.config import (
    TrainConfig,
    default_toml,
    launch_text,
    launches,
    preset_text,
    presets,
    read_train_config,
    train_config,
)
from ddxgraph.view.notice import NOTICE

if TYPE_CHECKING:
    from ddxgraph.training.sft.callbacks import TrainProgress
    from ddxgraph.training.sft.card import TrainingCard

_TOLD_EVERY_S: Final = 15.0
"""Seconds between two lines where stderr is no terminal."""
_NEEDED: Final = ("torch", "transformers", "trl", "peft", "datasets")

branches = typer.Typer(rich_markup_mode="markdown")

Base = Annotated[
    str | None,
    typer.Option(
        metavar="PATH_OR_ID",
        help="Base model: a folder, a hub's id, or smollm2, the one that ships; else as configured.",
    ),
]


@spoken
def train(  # noqa: PLR0917 - one parameter an option
    data: Annotated[
        Path, typer.Argument(metavar="DATA", help="The folder of a set that `ddxgraph journeys` made.")
    ],
    out: Annotated[Path, typer.Option(help="The adapter's folder, such as adapters/NAME.")],
    config: Annotated[
        Path | None, typer.Option(help="Settings (TOML); `ddxgraph train default-config` prints them all.")
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(help="Settings that ship; `ddxgraph train presets` lists them. Not beside --config."),
    ] = None,
    base: Base = None,
    start: Annotated[
        Path | None, typer.Option(metavar="ADAPTER", help="Go on from this adapter of the same base model.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the training card as JSON on stdout.")
    ] = False,
    quiet: options.Quiet = False,
) -> None:
    """Fine-tune a LoRA adapter on a set of journeys.

    `ddxgraph train presets|default-config|launch-config` shows settings; `ddxgraph train merge` writes merged
    weights. (A set's folder of such a name is given as ./merge.) On several GPUs: `accelerate launch -m ddxgraph
    train ...`.

    The same command goes on from the last checkpoint (in OUT.training) where it was broken off; Ctrl-C makes one
    first. Done, it says so and changes nothing.

    Exit code: 0 done, 1 not done, 2 bad input, 130 interrupted.
    """
    need("fine-tuning", _NEEDED, "train")
    from ddxgraph.training.sft.finetune import finetune  # noqa: PLC0415 - needs the extra
    from ddxgraph.training.sft.train import Hooks  # noqa: PLC0415

    settings = _settings(config, preset, base)
    with ExitStack() as held:
        told = held.enter_context(training_progress(quiet=quiet))
        tokenized = held.enter_context(bar("tokenizing", quiet))
        stop = held.enter_context(asked_to_stop(say))
        hooks = Hooks(told=told, stop=stop, tokenizing=tokenized)
        card = finetune(data, settings, out, start=start, hooks=hooks)
    if as_json:
        typer.echo(card.model_dump_json())
    else:
        print_card(card, out)


@branches.command("default-config")
@spoken
def default_config() -> None:
    """Print the settings as a TOML file that explains itself; every line of it may be left out."""
    typer.echo(default_toml(), nl=False)


@branches.command("presets")
@spoken
def show_presets(
    name: Annotated[str | None, typer.Argument(help="Print this preset's file.")] = None,
) -> None:
    """List the settings that ship, or print one of them to begin with."""
    if name is None:
        for each in presets():
            typer.echo(each)
    else:
        typer.echo(preset_text(name), nl=False)


@branches.command("launch-config")
@spoken
def show_launch(
    name: Annotated[str, typer.Argument(help=f"One of {', '.join(launches())}.")],
) -> None:
    """Print a configuration of `accelerate launch`, for training on several GPUs or machines."""
    typer.echo(launch_text(name), nl=False)


@branches.command("merge")
@spoken
def merge(
    adapter: Annotated[Path, typer.Argument(metavar="ADAPTER", help="The adapter's folder.")],
    out: Annotated[Path, typer.Option(help="The folder to write, as transformers reads it.")],
    base: Base = None,
) -> None:
    """Write the base model with an adapter merged into its weights, for engines that take no adapters."""
    need("fine-tuning", _NEEDED, "train")
    from ddxgraph.training.sft.finetune import merge_adapter  # noqa: PLC0415 - needs the extra

    STDOUT.print(merge_adapter(adapter, out, base), markup=False)


def print_card(card: "TrainingCard", out: Path) -> None:
    """Say what came of a training, and what to do next."""
    held = f", validation {card.validation_loss:.4f}" if card.validation_loss is not None else ""
    lost = card.train.too_long - card.train.cut + card.train.unreadable
    lines = [
        f"{out}: {card.steps} steps over {card.samples} samples in {card.seconds:.0f} s",
        f"  loss {card.train_loss:.4f}{held} nats a token; {card.tokens_per_s:.0f} tokens/s",
        f"  {card.train.supervised_tokens} of {card.train.tokens} tokens are the assistant's",
    ]
    if lost or card.train.cut:
        lines.append(f"  {lost} samples were left out and {card.train.cut} cut: see {out}/README.md")
    for line in lines:
        STDOUT.print(line, markup=False)
    STDOUT.print(Text(NOTICE, style="dim"))
    say(f"next: ddxgraph serve --model {card.job.config.base_model} --adapter {out.name}={out}")


@contextmanager
def training_progress(*, quiet: bool) -> Iterator["Callable[[TrainProgress], None] | None"]:
    """A bar with tokens/s and the time that is left; where stderr is no terminal, a line now and then."""
    _hush_libraries()
    if quiet:
        yield None
    elif STDERR.is_interactive:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=STDERR, transient=True) as shown:
            task = shown.add_task("loading the model", total=None)
            yield lambda at: shown.update(
                task, completed=at.step, total=at.steps, description=f"training, {figures(at)}"
            )
    else:
        yield _Lines()


def _hush_libraries() -> None:
    """Have the training's libraries draw no bars of their own, and keep what is deprecated to themselves."""
    import datasets  # noqa: PLC0415 - needs the extra
    import transformers  # noqa: PLC0415

    datasets.disable_progress_bars()
    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"(transformers|trl|peft|accelerate)\.")


class _Lines:
    """Lines of progress, not more than one in a while, and always the first and the last."""

    def __init__(self) -> None:
        self._told = 0.0

    def __call__(self, at: "TrainProgress") -> None:
        now = time.monotonic()
        if at.step in {0, at.steps} or now - self._told >= _TOLD_EVERY_S:
            self._told = now
            say(f"step {at.step} of {at.steps}, {figures(at)}")


def figures(at: "TrainProgress") -> str:
    """Loss, speed and the time that is left, in words."""
    said = [f"loss {at.loss:.3f}"] if at.loss is not None else []
    said += [f"validation {at.validation_loss:.3f}"] if at.validation_loss is not None else []
    if at.done and at.seconds > 0:
        said.append(f"{at.tokens / at.seconds:.0f} tokens/s")
        said.append(f"{at.seconds / at.done * (at.steps - at.step):.0f} s left")
    return ", ".join(said) or "beginning"


def _settings(config: Path | None, preset: str | None, base: str | None) -> TrainConfig:
    if config and preset:
        fail("give --config or --preset: a configuration may itself name a preset", Exit.BAD_INPUT)
    if config:
        settings = read_train_config(config)
    else:
        settings = train_config({"preset": preset} if preset else {}, preset or "defaults")
    return settings.model_copy(update={"base_model": base}) if base else settings
