"""Files and folders that survive a crash: written whole or not at all, and held by one process at a time."""

import errno
import glob
import hashlib
import os
import secrets
import select
import shutil
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from io import BufferedReader
from pathlib import Path
from typing import Final, TypeVar
from zipfile import ZipInfo

from filelock import FileLock, Timeout
from platformdirs import user_cache_path
from pydantic import BaseModel, ConfigDict, ValidationError

from ddxgraph.common.errors import LoopError, NotDone, fault_of

CACHE_VARIABLE: Final = "DDXGRAPH_CACHE"
STAMP: Final = "stage.json"
"""In a run folder that is complete."""

_ABANDONED_S: Final = 86_400.0
"""Nothing is drafted for a day."""

MOST_BYTES: Final = 64 << 20
"""Largest manifest that is read."""
MOST_INPUT_BYTES: Final = 512 << 20
"""Largest file that is read at a time; the benchmarks' have up to 30 MiB."""

MOST_UNPACKED: Final = 1 << 30
"""Bytes of the largest member of an archive that is unpacked."""
MOST_RATIO: Final = 200
"""How many times its packed size a member may have; text has some 20."""
_SMALL: Final = 1 << 20
"""Bytes up to which any ratio is taken."""

_PIPE_S: Final = 10.0
"""How long a pipe that a user names may stay silent at first, in seconds."""
_NO_SYNC: Final = frozenset({errno.EINVAL, errno.EBADF, errno.ENOTSUP})
"""Errors of file systems that cannot sync a folder."""
_HOLDER_CHARS: Final = 200
"""Most characters of a lock file that an error quotes."""

ModelT = TypeVar("ModelT", bound=BaseModel)


def cache_folder() -> Path:
    """Where weights, adapters and benchmarks are kept: the folder that `DDXGRAPH_CACHE` names, else the user's
    cache folder. This does not create it."""
    named = os.environ.get(CACHE_VARIABLE)
    return Path(named).expanduser() if named else user_cache_path("ddxgraph", appauthor=False)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, as hex.

    Raises:
        OSError: it cannot be read.
    """
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def open_regular(path: Path) -> BufferedReader:
    """Open a regular file to read. A pipe would be waited for, and a device such as `/dev/zero` never ends.

    Raises:
        OSError: it cannot be read, or is not a regular file.
    """
    file = _opened(path)
    if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        return file
    file.close()
    raise _refused(path, errno.EINVAL, "it is no regular file")


def _opened(path: Path) -> BufferedReader:
    """Open a file without waiting for the other end, should it be a pipe."""
    return open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))


def open_input(path: Path) -> BufferedReader:
    """Open an input that a user names: a regular file, or a pipe that delivers data.

    A shell gives a pipe for `<(command)`. Nothing ever arrives in a pipe that nobody writes to.

    Raises:
        OSError: it cannot be read, is a device, or delivers nothing within 10 s.
    """
    file = _opened(path)
    mode = os.fstat(file.fileno()).st_mode
    if stat.S_ISREG(mode):
        return file
    if stat.S_ISFIFO(mode) and select.select([file], [], [], _PIPE_S)[0]:
        os.set_blocking(file.fileno(), True)
        return file
    file.close()
    if stat.S_ISFIFO(mode):
        raise _refused(path, errno.ETIMEDOUT, f"nothing came out of this pipe for {_PIPE_S:.0f} s")
    raise _refused(path, errno.EINVAL, "it is no regular file")


def read_input(path: Path) -> bytes:
    """The content of a file that a user names, such as settings; see `open_input`.

    Raises:
        OSError: it cannot be read, is a device, or has more than `MOST_INPUT_BYTES`.
    """
    with open_input(path) as file:
        content = file.read(MOST_INPUT_BYTES + 1)
    if len(content) > MOST_INPUT_BYTES:
        raise _refused(path, errno.EFBIG, f"it has more than {MOST_INPUT_BYTES >> 20} MiB")
    return content


def real(path: Path) -> Path:
    """A path without links; unlike `Path.resolve`, it takes a link that leads to itself."""
    return Path(os.path.realpath(path))


def read_regular(path: Path) -> bytes:
    """The content of a regular file, such as a manifest.

    Raises:
        OSError: it cannot be read, is not a regular file, or has more than `MOST_BYTES`.
    """
    with open_regular(path) as file:
        if os.fstat(file.fileno()).st_size > MOST_BYTES:
            raise _refused(path, errno.EFBIG, f"it has more than {MOST_BYTES >> 20} MiB")
        return file.read()


def _refused(path: Path, number: int, why: str) -> OSError:
    return OSError(number, why, str(path))


def too_much(member: ZipInfo) -> str:
    """Why a member of an archive is not unpacked: it would fill the disk or the memory. Empty if it may be."""
    if member.file_size > MOST_UNPACKED:
        sizes = f"{member.file_size >> 20} MiB, and {MOST_UNPACKED >> 20} MiB are taken"
        return f"{member.filename} unpacks to {sizes}"
    if member.file_size > MOST_RATIO * max(member.compress_size, 1) and member.file_size > _SMALL:
        return f"{member.filename} unpacks to more than {MOST_RATIO} times its size"
    return ""


def write_whole(path: Path, text: str) -> None:
    """Write a file so that it is there whole or not at all; its folder must exist.

    Raises:
        OSError: it cannot be written.
    """
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)  # what a crash left; or a link, through which another file would be written
    with draft.open("x", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    sync_folder(path.parent)


def draft_beside(place: Path) -> Path:
    """The path of a new folder that is to become `place`.

    Drafts that a killed process left a day ago or more are deleted. Nobody can foresee the name, so that no link
    lies in wait there.
    """
    for left in place.parent.glob(f".{glob.escape(place.name)}.{'[0-9a-f]' * 8}.new"):
        with suppress(OSError):  # another user's, or gone in the meantime
            if left.lstat().st_mtime < time.time() - _ABANDONED_S:
                shutil.rmtree(left)
    return place.with_name(f".{place.name}.{secrets.token_hex(4)}.new")


def make_folder(folder: Path) -> None:
    """Make a folder and its missing parents, and wait until they are on the disk.

    Raises:
        OSError: it cannot be made.
    """
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for place in missing:
        sync_folder(place.parent)


def sync_folder(folder: Path) -> None:
    """Wait until a folder's entries are on the disk, if the file system can do that.

    Raises:
        OSError: the disk fails.
    """
    if not hasattr(os, "O_DIRECTORY"):  # Windows
        return
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except PermissionError:  # a folder may be writable but not readable
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
    finally:
        os.close(handle)


class FolderBusy(NotDone):
    """Another process holds the folder.

    Args:
        holder: that process, in words.
    """

    def __init__(self, holder: str) -> None:
        super().__init__(holder)
        self.holder = holder


@contextmanager
def folder_held(folder: Path, name: str) -> Iterator[None]:
    """Hold a folder. The operating system lets go of it when this process ends, however it ends.

    Args:
        folder: the folder; it must exist.
        name: name of its lock file, which says who holds the folder. The file stays, empty, when nobody does.

    Raises:
        FolderBusy: another process holds it.
        OSError: the lock file cannot be written.
    """
    path = folder / name
    lock = FileLock(path, timeout=0, on_acquired=_sign)
    try:
        lock.acquire()
    except Timeout:
        raise FolderBusy(_holder(path)) from None
    try:
        yield
    finally:
        with suppress(OSError):  # a free lock names nobody
            os.truncate(path, 0)
        lock.release()


def _sign(lock: int) -> None:
    """Write into the lock file who holds it."""
    os.ftruncate(lock, 0)
    since = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
    os.pwrite(lock, f"process {os.getpid()} on {socket.gethostname()} since {since}".encode(), 0)


def _holder(lock: Path) -> str:
    try:
        return lock.read_text(encoding="utf-8", errors="replace")[:_HOLDER_CHARS] or "another process"
    except OSError:
        return "another process"


# The working folder of a loop or an experiment: what it holds can be read by the same call after a crash.


class Stamp(BaseModel):
    """Says of a run that it is complete and is what the settings ask for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    loop: str
    """SHA-256 (hex) of the manifest of the folder that the run lies in. It differs in a run that was copied from
    another folder."""


class StampedFolder:
    """A folder with a manifest, in which complete runs are stamped.

    Args:
        path: the folder.
        manifest: name of the file in it that says what the folder is.
    """

    def __init__(self, path: Path, manifest: str) -> None:
        self.path = path
        self._stamp = Stamp(loop=hashlib.sha256(read_regular(path / manifest)).hexdigest())

    def stamp(self, run: Path) -> None:
        """Mark a run as complete.

        Raises:
            LoopError: the stamp cannot be written.
        """
        write_json(run / STAMP, self._stamp)

    def is_stamped(self, run: Path) -> bool:
        """Whether a run was completed here."""
        return read_json(run / STAMP, Stamp) == self._stamp


def read_json(path: Path, kind: type[ModelT]) -> ModelT | None:
    """Read what `write_json` wrote; None if there is no file.

    Raises:
        LoopError: the file is damaged or cannot be read.
    """
    try:
        return kind.model_validate_json(read_regular(path))
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise LoopError(
            f"{path} cannot be read ({fault_of(error, 'file')}): it was changed, or is of another version; "
            "move it away, and it is made again"
        ) from None
    except OSError as error:
        raise LoopError(f"cannot read {path}: {error.strerror or error}") from None


def write_json(path: Path, product: BaseModel) -> None:
    """Write a product of a loop as JSON; see `write_product`."""
    write_product(path, product.model_dump_json(indent=2) + "\n")


def write_product(path: Path, text: str) -> None:
    """Write a file of a loop so that it is there whole or not at all, and its folder where that is missing.

    Raises:
        LoopError: it cannot be written.
    """
    try:
        make_folder(path.parent)
        write_whole(path, text)
    except OSError as error:
        raise LoopError(
            f"cannot write {path}: {error.strerror or error}; mend that, and the same command goes on"
        ) from None


@contextmanager
def workplace(path: Path, lock: str, what: str) -> Iterator[None]:
    """Make the folder of a loop where it is missing, and hold it.

    Args:
        path: the folder.
        lock: name of its lock file.
        what: what works there, such as `a loop`.

    Raises:
        LoopError: another process works there, or it cannot be written.
    """
    with ExitStack() as stack:
        try:
            make_folder(path)
            stack.enter_context(folder_held(path, lock))
        except FolderBusy as busy:
            raise LoopError(f"{what} is at work in {path} ({busy.holder}); wait for it, or stop it") from None
        except (FileExistsError, NotADirectoryError):
            raise LoopError(
                f"{path} cannot be the folder of {what}: a file is in its place; name another"
            ) from None
        except OSError as error:
            raise LoopError(f"cannot write in {path}: {error.strerror or error}") from None
        yield
