"""Options that several commands share, and what follows from them."""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal, TypeAlias

import typer

from ddxgraph.cli.terminal import say
from ddxgraph.common.errors import BadInput
from ddxgraph.common.typography import harmless

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from ddxgraph.batch.tally import Tally

MAX_TOKENS: Final = 200_000
MAX_CALLS: Final = 64
MAX_BACKTRACKS: Final = 3
"""The defaults of `Budget`, without its import."""

MaxTokens: TypeAlias = Annotated[
    int, typer.Option(min=1, help="Budget of a traversal: prompt and completion tokens over all its calls.")
]
MaxCalls: TypeAlias = Annotated[int, typer.Option(min=0, help="Budget of a traversal: calls to the model.")]
MaxBacktracks: TypeAlias = Annotated[int, typer.Option(min=0, help="Budget of a traversal: moves back.")]
Temperature: TypeAlias = Annotated[
    float, typer.Option(min=0, max=2, help="Sampling temperature; 0 is greedy.")
]
Seed: TypeAlias = Annotated[int, typer.Option(help="Sampling seed.")]
Patience: TypeAlias = Annotated[
    float,
    typer.Option(min=0, help="Seconds to wait for an engine that is away, for example while it restarts."),
]
Timeout: TypeAlias = Annotated[float, typer.Option(min=1, help="Seconds to wait for one reply.")]
Checkpoints: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="FILE|URL",
        help="Save every step in this SQLite file or at this postgresql:// URL, so that an interrupted "
        "traversal resumes from its last step. By default steps are not saved.",
    ),
]
BaseUrl: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="OpenAI-compatible server, such as http://127.0.0.1:8000/v1. By default DDXGRAPH_BASE_URL, and "
        "without that the embedded engine."
    ),
]
ModelName: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="The served model's name; for the embedded engine a GGUF file. By default DDXGRAPH_MODEL, and "
        "without that the only model there is."
    ),
]
GoldCases: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        help="The case file with the gold answers, for runs made from a file. A benchmark brings its own."
    ),
]
_ONLY_JUDGE: Final = "only"
"""Stands for the one judge that a run has."""
Judge: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="Score free-form answers by this judge's verdicts (see ddxgraph judge): its model's name, the "
        f"beginning of its digest, or '{_ONLY_JUDGE}' if the run has one judge. By default no judge is used."
    ),
]
Quiet: TypeAlias = Annotated[bool, typer.Option("--quiet", "-q", help="Print no progress on stderr.")]


def selected_judge(judge: str | None) -> str | Literal[True] | None:
    """The value of --judge, as `score_run` takes it."""
    return True if judge == _ONLY_JUDGE else judge


def connected(
    base_url: str | None, model: str | None, *, concurrency: int, quiet: bool, timeout_s: float = 600.0
) -> "BaseChatModel":
    """Connect to the model, and say on stderr which one it is.

    Args:
        base_url: value of --base-url.
        model: value of --model.
        concurrency: calls at a time.
        quiet: say nothing.
        timeout_s: seconds to wait for one reply.

    Returns:
        The chat model.

    Raises:
        EndpointError, WeightsError: there is none.
    """
    from ddxgraph.serving.connect import connect
    from ddxgraph.serving.transport import told
    from ddxgraph.serving.weights import CAVEAT, is_tiny

    chat = connect(base_url, model, concurrency=concurrency, timeout_s=timeout_s)
    known = chat.metadata or {}
    if not quiet:
        name = getattr(chat, "model_name", "")
        if "adapter" in known:
            name = f"{known['base_model']} with the adapter {name} (sha256 {known['adapter_sha256'][:12]}...)"
        engine = known.get("engine") or "an OpenAI-compatible server"
        say(f"{name} on {engine}; {told(getattr(chat, 'openai_api_base', None))}")
        if is_tiny(str(known.get("base_model") or getattr(chat, "model_name", ""))):
            say(CAVEAT)
    return chat


def agreed_base(named: str) -> str | None:
    """The base model that an adapter names, once the user agrees to load it.

    An adapter may be anyone's, and so may the model of the hub that it names. A folder of this machine and the
    shipped model need no question.

    Args:
        named: what the adapter's configuration names; may be empty.

    Returns:
        The base model; None where the adapter names none, or one that needs no question.

    Raises:
        BadInput: the user does not agree, or cannot be asked.
    """
    from ddxgraph.serving.weights import NAME

    if not named or named == NAME or Path(named).expanduser().is_dir():
        return None
    if not sys.stdin.isatty():
        raise BadInput(
            f"the adapter names the base model {named!r}, which would be loaded from the hub: if that is right, "
            f"say so with --base {named}"
        )
    if not typer.confirm(
        f"The adapter names the base model {harmless(named)!r}. Load it from the hub?", err=True
    ):
        raise BadInput("name the base model with --base")
    return named


@contextmanager
def retries_counted(tally: "Tally", update: Callable[[], None] | None) -> Iterator[None]:
    """Count repeated calls in a tally, instead of a log line for each.

    Args:
        tally: where they are counted.
        update: called after each, so that the display shows why nothing ends while the engine is away.
    """
    from ddxgraph.nodes.call.patience import LOG

    class Counting(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            tally.retried[getattr(record, "kind", "other")] += 1
            if update:
                update()

    handler, propagate = Counting(), LOG.propagate
    LOG.addHandler(handler)
    LOG.propagate = False
    try:
        yield
    finally:
        LOG.removeHandler(handler)
        LOG.propagate = propagate
