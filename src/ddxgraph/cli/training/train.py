"""`ddxgraph train`: LoRA fine-tuning on journeys."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.text import Text

from ddxgraph.cli import options
from ddxgraph.cli.commands import branching
from ddxgraph.cli.signals import asked_to_stop
from ddxgraph.cli.terminal import STDOUT, bar, need, say, show_json, spoken
from ddxgraph.cli.training.progress import training_progress
from ddxgraph.common.errors import BadInput
from ddxgraph.common.words import NOTICE

if TYPE_CHECKING:
    from ddxgraph.training.sft.card import TrainingCard
    from ddxgraph.training.sft.config import TrainConfig

app = branching()
_NEEDED: Final = ("torch", "transformers", "trl", "peft", "datasets")

Base = Annotated[
    str | None,
    typer.Option(
        metavar="PATH_OR_ID",
        help="Base model: a folder, an id of the Hugging Face Hub, or smollm2, the one that ships. By default "
        "that of the settings or the adapter.",
    ),
]


@app.callback()
@spoken
def train(  # noqa: PLR0917 - one parameter an option
    data: Annotated[
        Path, typer.Argument(metavar="DATA", help="Folder of a set that `ddxgraph journeys` made.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the adapter, such as adapters/NAME.")],
    config: Annotated[
        Path | None,
        typer.Option(help="Settings (TOML). By default those that `ddxgraph train default-config` prints."),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            help="Settings that ship with ddxgraph, by name; `ddxgraph train presets` lists them. Not together "
            "with --config."
        ),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Override a setting of the file or preset, such as --set data.max_tokens=4096. May be repeated. "
            "By default none is.",
        ),
    ] = None,
    base: Base = None,
    start: Annotated[
        Path | None,
        typer.Option(
            metavar="ADAPTER",
            help="Continue from this adapter of the same base model. By default a new adapter is trained.",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the training card as JSON on stdout.")
    ] = False,
    quiet: options.Quiet = False,
) -> None:
    """Fine-tune a LoRA adapter on a set of journeys.

    Repeat the command to resume an interrupted training from its last checkpoint (in OUT.training); Ctrl-C writes
    one first. A training that is done is left as it is. On several GPUs: `accelerate launch -m ddxgraph train
    ...`. A set in a folder with the name of a subcommand is given as ./merge.

    Exit code: 0 done, 1 not done, 2 bad input, 130 interrupted.
    """
    need("fine-tuning", _NEEDED, "train")
    from ddxgraph.training.sft.finetune import finetune
    from ddxgraph.training.sft.train import Hooks

    settings = _settings(config, preset, base, overrides or [])
    with ExitStack() as held:
        update = held.enter_context(training_progress(quiet=quiet))
        tokenized = held.enter_context(bar("tokenizing", quiet))
        stop = held.enter_context(asked_to_stop(say))
        hooks = Hooks(told=update, stop=stop, tokenizing=tokenized, note=say)
        card = finetune(data, settings, out, start=start, hooks=hooks)
    if as_json:
        show_json(card.model_dump_json())
    else:
        print_card(card, out)


@app.command("default-config")
@spoken
def default_config() -> None:
    """Print the default settings as a commented TOML file; every line of it may be left out."""
    from ddxgraph.training.sft.config import default_toml

    typer.echo(default_toml(), nl=False)


@app.command("presets")
@spoken
def show_presets(
    name: Annotated[
        str | None, typer.Argument(help="Print this preset's file. By default the names are listed.")
    ] = None,
) -> None:
    """List the settings that ship with ddxgraph, or print one of them."""
    from ddxgraph.training.sft.config import preset_text, presets

    if name is None:
        for preset in presets():
            typer.echo(preset)
    else:
        typer.echo(preset_text(name), nl=False)


@app.command("launch-config")
@spoken
def show_launch(
    name: Annotated[
        str, typer.Argument(help="Which one, such as fsdp or zero3; a wrong name lists them all.")
    ],
) -> None:
    """Print a configuration of `accelerate launch`, for training on several GPUs or machines."""
    from ddxgraph.training.sft.config import launch_text

    typer.echo(launch_text(name), nl=False)


@app.command("merge")
@spoken
def merge(
    adapter: Annotated[Path, typer.Argument(metavar="ADAPTER", help="Folder of the adapter.")],
    out: Annotated[Path, typer.Option(help="Folder for the merged model, in the format of transformers.")],
    base: Base = None,
) -> None:
    """Merge an adapter into the weights of its base model, for engines that take no adapters."""
    need("fine-tuning", _NEEDED, "train")
    from ddxgraph.serving.adapters.files import read_adapter
    from ddxgraph.training.sft.finetune import merge_adapter

    base = base or options.agreed_base(read_adapter(adapter).base_model)
    STDOUT.print(merge_adapter(adapter, out, base), markup=False)


def print_card(card: "TrainingCard", out: Path) -> None:
    """Print the result of a training, and what to do next."""
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


def _settings(
    config: Path | None, preset: str | None, base: str | None, overrides: Sequence[str]
) -> "TrainConfig":
    from ddxgraph.training.sft.config import overridden, read_train_config, train_config

    if config and preset:
        raise BadInput("give --config or --preset: a configuration may itself name a preset")
    if config:
        settings = read_train_config(config)
    else:
        settings = train_config({"preset": preset} if preset else {}, preset or "defaults")
    settings = overridden(settings, overrides)
    return settings.model_copy(update={"base_model": base}) if base else settings
