"""Options that several commands share."""

from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias

import typer
from langchain_core.language_models import BaseChatModel

from ddxgraph.cli.speech import say
from ddxgraph.graph.budget import Budget
from ddxgraph.serving.connect import connect
from ddxgraph.serving.weights import CAVEAT, is_tiny

BUDGET: Final = Budget()
"""The default."""

MaxTokens: TypeAlias = Annotated[
    int, typer.Option(min=1, help="Budget: prompt and completion tokens over a whole traversal.")
]
MaxCalls: TypeAlias = Annotated[int, typer.Option(min=0, help="Budget: calls to the model.")]
MaxBacktracks: TypeAlias = Annotated[int, typer.Option(min=0, help="Budget: moves back.")]
Temperature: TypeAlias = Annotated[
    float, typer.Option(min=0, max=2, help="Sampling temperature; 0 is greedy.")
]
Seed: TypeAlias = Annotated[int, typer.Option(help="Sampling seed.")]
Checkpoints: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="FILE|URL",
        help="Keep every step in this SQLite file or at this postgresql:// URL, so that a traversal that was "
        "broken off goes on from its last step.",
    ),
]
BaseUrl: TypeAlias = Annotated[
    str | None, typer.Option(help="OpenAI-compatible server; else DDXGRAPH_BASE_URL, else embedded.")
]
ModelName: TypeAlias = Annotated[str | None, typer.Option(help="Model served there; else DDXGRAPH_MODEL.")]
GoldCases: TypeAlias = Annotated[
    Path | None,
    typer.Option(help="The case file with the gold answers, for runs that were made of a file."),
]
_ONLY_JUDGE: Final = "only"
"""Stands for the one judge that a run has."""
Judge: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="Settle free-form answers by what this judge said (ddxgraph judge): its model's name, the "
        f"beginning of its digest, or '{_ONLY_JUDGE}' where it is the only one."
    ),
]
Quiet: TypeAlias = Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr.")]


def whose(judge: str | None) -> str | Literal[True] | None:
    """The judge, as `score_run` takes it."""
    return True if judge == _ONLY_JUDGE else judge


def connected(
    base_url: str | None, model: str | None, *, concurrency: int, quiet: bool, timeout_s: float = 600.0
) -> BaseChatModel:
    """The chat model, with a word on stderr about what it is."""
    chat = connect(base_url, model, concurrency=concurrency, timeout_s=timeout_s)
    known = chat.metadata or {}
    if not quiet:
        name = getattr(chat, "model_name", "")
        if "adapter" in known:
            name = f"{known['base_model']} with the adapter {name} (sha256 {known['adapter_sha256'][:12]}...)"
        say(f"{name} on {known.get('engine') or 'an OpenAI-compatible server'}")
        if is_tiny(str(known.get("base_model") or getattr(chat, "model_name", ""))):
            say(CAVEAT)
    return chat
