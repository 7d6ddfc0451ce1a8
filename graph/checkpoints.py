"""Checkpoints: a traversal kept step by step, so that one that was broken off goes on from its last step."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final, Literal, NamedTuple, cast
from urllib.parse import urlsplit

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver

from ddxgraph.graph.state import Journey
from ddxgraph.graph.topology import JourneyGraph

DURABILITY: Final[Literal["async"]] = "async"
"""When LangGraph writes a checkpoint. `exit` writes nothing until the end, so that a killed process loses all of
it; `sync` waits for every write before the next step; `async` writes while the next step runs, and loses one
superstep at most (`benchmarks/checkpoints.py` measures the three)."""


class CheckpointError(RuntimeError):
    """Checkpoints cannot be kept where they were wanted; the message says how to mend it."""


class Place(NamedTuple):
    """Where a kept traversal goes on."""

    state: Journey
    """What is known already; empty where nothing is kept."""
    config: RunnableConfig
    ended: bool
    """The traversal has come to its conclusion."""


@asynccontextmanager
async def open_checkpoints(where: str) -> AsyncIterator[BaseCheckpointSaver[Any]]:
    """Open a store of checkpoints.

    Args:
        where: an SQLite file, made where it is missing (extra `checkpoints`), or the URL of a PostgreSQL
            database, `postgresql://...` (extra `postgres`).

    Raises:
        CheckpointError: the store cannot be opened, or its extra is not installed.
    """
    in_postgres = urlsplit(where).scheme in {"postgres", "postgresql"}
    shown = "the PostgreSQL database" if in_postgres else where  # a URL may hold a password
    async with AsyncExitStack() as held:
        try:
            saver = await held.enter_async_context(_postgres(where) if in_postgres else _sqlite(where))
        except ImportError as error:
            extra = "postgres" if in_postgres else "checkpoints"
            raise CheckpointError(
                f"checkpoints need an extra ({error}); run `pip install 'ddxgraph[{extra}]'`"
            ) from error
        except Exception as error:  # drivers raise types of their own
            raise CheckpointError(
                f"cannot keep checkpoints in {shown}: {_first_line(error, where)}"
            ) from error
        yield saver


@asynccontextmanager
async def _sqlite(path: str) -> AsyncIterator[BaseCheckpointSaver[Any]]:
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver  # noqa: PLC0415 - an extra

    async with AsyncSqliteSaver.from_conn_string(path) as saver:
        await saver.setup()
        # Beside the write-ahead log, which `setup` turns on, this survives a crash of the process without a
        # wait for the disk at every step; a power cut may cost the last steps, never the file.
        await saver.conn.execute("PRAGMA synchronous=NORMAL")
        yield saver


@asynccontextmanager
async def _postgres(url: str) -> AsyncIterator[BaseCheckpointSaver[Any]]:
    from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver  # noqa: PLC0415 - an extra

    async with AsyncPostgresSaver.from_conn_string(url) as saver:
        await saver.setup()
        yield saver


def _first_line(error: Exception, url: str) -> str:
    said = str(error).strip().split("\n", 1)[0] or type(error).__name__
    return said.replace(url, "***")


async def resume_point(graph: JourneyGraph, thread: str) -> Place:
    """Where the traversal that is kept under a name goes on.

    One that an engine's failure ended goes on from before that failure.
    """
    config: RunnableConfig = {"configurable": {"thread_id": thread}}
    latest = await graph.aget_state(config)
    state = cast(Journey, latest.values)
    if state.get("failure"):
        async for past in graph.aget_state_history(config):
            if past.next and past.values and not past.values.get("failure"):
                return Place(cast(Journey, past.values), past.config, ended=False)
    if latest.next and state:
        return Place(state, config, ended=False)
    if state.get("conclusion"):
        return Place(state, config, ended=True)
    return Place({}, config, ended=False)
