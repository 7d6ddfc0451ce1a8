"""Where checkpoints are kept: an SQLite file or a PostgreSQL database."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
)
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random

from ddxgraph.common.errors import CheckpointError
from ddxgraph.common.extras import install
from ddxgraph.graph.state import STATE_TYPES

T = TypeVar("T")

_BUSY_S: Final = 30.0
"""How long to wait for another process that is writing in the same SQLite file."""
_CONNECT_S: Final = 10
"""How long to wait for a PostgreSQL server, unless the URL says otherwise (`?connect_timeout=60`)."""


@asynccontextmanager
async def open_checkpoints(where: str) -> AsyncIterator[BaseCheckpointSaver[Any]]:
    """Open a store of checkpoints.

    Args:
        where: an SQLite file, made with its folders where it is missing (extra `checkpoints`), or the URL of a
            PostgreSQL database, `postgresql://...` (extra `postgres`).

    Raises:
        CheckpointError: the store cannot be opened, or its extra is not installed; later, from the saver: it
            can no longer be read or written.
    """
    store = _store(where)
    with ThreadPoolExecutor(1, thread_name_prefix="checkpoints") as thread, ExitStack() as held:
        run = partial(asyncio.get_running_loop().run_in_executor, thread)
        try:
            saver = await run(held.enter_context, store.opened())
        except ImportError as error:
            raise CheckpointError(
                f"checkpoints need an extra ({error}); run `{install(store.extra)}`"
            ) from error
        except Exception as error:  # drivers raise types of their own
            raise store.trouble(error) from None
        try:
            yield _SaverApart(saver, thread, store.trouble)
        finally:
            await run(held.close)


def name_of(where: str) -> str:
    """How to call a store in a message: a URL may hold a password."""
    return _store(where).name


class _Store(NamedTuple):
    """A kind of database to keep checkpoints in."""

    name: str
    """For messages: without a password."""
    extra: str
    opened: Callable[[], AbstractContextManager[BaseCheckpointSaver[Any]]]

    def trouble(self, error: Exception) -> CheckpointError:
        """What the database complains of, in one line."""
        said = str(error).strip().split("\n", 1)[0].strip() or type(error).__name__
        return CheckpointError(f"cannot keep checkpoints in {self.name}: {said}")


def _store(where: str) -> _Store:
    scheme, is_url, _ = where.partition("://")
    if not is_url:
        return _Store(where, "checkpoints", partial(_sqlite, Path(where)))
    if scheme in {"postgres", "postgresql"}:
        return _Store("the PostgreSQL database", "postgres", partial(_postgres, where))
    raise CheckpointError(
        "checkpoints are kept in an SQLite file or at a postgresql:// URL; the URL given begins otherwise"
    )


def _serializer() -> JsonPlusSerializer:
    """Reads our types back; LangGraph refuses what it was not told of."""
    return JsonPlusSerializer(allowed_msgpack_modules=STATE_TYPES)


@contextmanager
def _sqlite(path: Path) -> Iterator[BaseCheckpointSaver[Any]]:
    from langgraph.checkpoint.sqlite import SqliteSaver  # noqa: PLC0415 - an extra

    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path, timeout=_BUSY_S, check_same_thread=False)) as connection:
        saver = SqliteSaver(connection, serde=_serializer())
        # The timeout does not hold for the switch to a write-ahead log: SQLite refuses it at once while another
        # process, which opens the new file too, is about to write.
        Retrying(
            retry=retry_if_exception(_is_busy),
            stop=stop_after_delay(_BUSY_S),
            wait=wait_random(0, 0.05),
            reraise=True,
        )(saver.setup)
        # Beside the write-ahead log, which `setup` turns on, this survives a crash of the process without a
        # wait for the disk at every step; a power cut may cost the last steps, never the file.
        connection.execute("PRAGMA synchronous=NORMAL")
        # `setup` is content with a file that can only be read.
        connection.execute("BEGIN IMMEDIATE")
        connection.rollback()
        yield saver


def _is_busy(error: BaseException) -> bool:
    return isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode == sqlite3.SQLITE_BUSY


@contextmanager
def _postgres(url: str) -> Iterator[BaseCheckpointSaver[Any]]:
    from langgraph.checkpoint.postgres import PostgresSaver  # noqa: PLC0415 - an extra
    from psycopg import Connection, ProgrammingError  # noqa: PLC0415
    from psycopg.conninfo import conninfo_to_dict, make_conninfo  # noqa: PLC0415
    from psycopg.rows import DictRow, dict_row  # noqa: PLC0415
    from psycopg_pool import ConnectionPool  # noqa: PLC0415

    try:
        given = conninfo_to_dict(url)
    except ProgrammingError:  # its message may quote a piece of the password
        raise ValueError(
            "the URL is malformed; write it as postgresql://USER:PASSWORD@HOST:PORT/NAME, with special "
            "characters of the password percent-encoded"
        ) from None
    info = make_conninfo(url, connect_timeout=given.get("connect_timeout", _CONNECT_S))
    # A pool of one: unlike a bare connection it connects again once the server was restarted.
    with ConnectionPool[Connection[DictRow]](
        info,
        min_size=0,
        max_size=1,
        open=False,
        kwargs={"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row},
        check=ConnectionPool.check_connection,
    ) as pool:
        with Connection.connect(info, autocommit=True, row_factory=dict_row) as first:  # says why it fails
            PostgresSaver(first).setup()
        yield PostgresSaver(pool, serde=_serializer())


class _SaverApart(BaseCheckpointSaver[Any]):
    """A saver whose work is done in a thread of its own, in the order in which it was asked for.

    Unlike with LangGraph's asynchronous savers a cancelled traversal leaves no write half done, and a write
    starts when it is asked for, even where `max_concurrency` would have LangGraph hold it back behind the calls
    of an engine that takes one at a time: a kill would lose those that had ended.
    """

    def __init__(
        self,
        saver: BaseCheckpointSaver[Any],
        thread: ThreadPoolExecutor,
        trouble: Callable[[Exception], CheckpointError],
    ) -> None:
        super().__init__(serde=saver.serde)
        self.inner = saver
        self._thread, self._trouble = thread, trouble
        self._errors = _errors_of(saver)

    def _said(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except self._errors as error:
            raise self._trouble(error) from None

    def _begin(self, work: Callable[[], T]) -> Coroutine[Any, Any, T]:
        """Start work now; the result waits for it."""
        begun = asyncio.get_running_loop().run_in_executor(self._thread, self._said, work)

        async def ended() -> T:
            return await begun

        return ended()

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """See `BaseCheckpointSaver`."""
        return self._said(lambda: self.inner.get_tuple(config))

    def list(self, config: RunnableConfig | None, **which: Any) -> Iterator[CheckpointTuple]:
        """See `BaseCheckpointSaver`."""
        return iter(self._said(lambda: tuple(self.inner.list(config, **which))))

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """See `BaseCheckpointSaver`."""
        return self._said(lambda: self.inner.put(config, checkpoint, metadata, new_versions))

    def put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """See `BaseCheckpointSaver`."""
        self._said(lambda: self.inner.put_writes(config, writes, task_id, task_path))

    def delete_thread(self, thread_id: str) -> None:
        """See `BaseCheckpointSaver`."""
        self._said(lambda: self.inner.delete_thread(thread_id))

    def get_next_version(self, current: Any, channel: None) -> Any:
        """See `BaseCheckpointSaver`."""
        return self.inner.get_next_version(current, channel)

    def aget_tuple(self, config: RunnableConfig) -> Coroutine[Any, Any, CheckpointTuple | None]:
        """See `BaseCheckpointSaver`."""
        return self._begin(lambda: self.inner.get_tuple(config))

    async def alist(self, config: RunnableConfig | None, **which: Any) -> AsyncIterator[CheckpointTuple]:
        """See `BaseCheckpointSaver`."""
        for kept in await self._begin(lambda: tuple(self.inner.list(config, **which))):
            yield kept

    def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> Coroutine[Any, Any, RunnableConfig]:
        """See `BaseCheckpointSaver`."""
        return self._begin(lambda: self.inner.put(config, checkpoint, metadata, new_versions))

    def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> Coroutine[Any, Any, None]:
        """See `BaseCheckpointSaver`."""
        return self._begin(lambda: self.inner.put_writes(config, writes, task_id, task_path))

    def adelete_thread(self, thread_id: str) -> Coroutine[Any, Any, None]:
        """See `BaseCheckpointSaver`."""
        return self._begin(lambda: self.inner.delete_thread(thread_id))


def _errors_of(saver: BaseCheckpointSaver[Any]) -> tuple[type[Exception], ...]:
    """What the driver below a saver raises."""
    if "sqlite" in type(saver).__module__:
        return (sqlite3.Error,)
    from psycopg import Error  # noqa: PLC0415 - an extra, there where such a saver is

    return (Error,)
