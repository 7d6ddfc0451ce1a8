"""A folder that one process at a time works in: its products are there whole or not at all."""

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from ddxgraph.batch.tracelog import make_folder
from ddxgraph.common.errors import LoopError
from ddxgraph.graph import wholefile
from ddxgraph.graph.folderlock import FolderBusy, folder_held

STAMP: Final = "stage.json"
"""In a run folder that was brought to its end."""

ModelT = TypeVar("ModelT", bound=BaseModel)


class Stamp(BaseModel):
    """Says of a run that it was brought to its end, and was seen to be what the settings ask for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    loop: str
    """SHA-256 of the manifest of the folder that the run lies in: in a run that was copied from another folder
    it is another one; hex."""


class StampedFolder:
    """A folder with a manifest, in which runs are stamped once they are at their end."""

    def __init__(self, path: Path, manifest: str) -> None:
        """
        Args:
            path: the folder.
            manifest: name of the file in it that says what the folder is.
        """
        self.path = path
        self._stamp = Stamp(loop=hashlib.sha256((path / manifest).read_bytes()).hexdigest())

    def stamp(self, run: Path) -> None:
        """Put down that a run is at its end.

        Raises:
            LoopError: it cannot be written.
        """
        write_json(run / STAMP, self._stamp)

    def is_stamped(self, run: Path) -> bool:
        """Whether a run was brought to its end here."""
        return read_json(run / STAMP, Stamp) == self._stamp


def read_json(path: Path, kind: type[ModelT]) -> ModelT | None:
    """A product that is there whole; None where it is not there.

    Raises:
        LoopError: the file is damaged or cannot be read.
    """
    try:
        return kind.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "file"
        raise LoopError(
            f"{path} cannot be read ({place}: {first['msg']}): it was changed, or is of another version; move it "
            "away, and it is made again"
        ) from None
    except OSError as error:
        raise LoopError(f"cannot read {path}: {error.strerror or error}") from None


def write_json(path: Path, product: BaseModel) -> None:
    """Write a product such that it is there whole or not at all: see `write_whole`."""
    write_whole(path, product.model_dump_json(indent=2) + "\n")


def write_whole(path: Path, text: str) -> None:
    """Write a file such that it is there whole or not at all.

    Raises:
        LoopError: it cannot be written.
    """
    try:
        make_folder(path.parent)
        wholefile.write_whole(path, text)
    except OSError as error:
        raise LoopError(
            f"cannot write {path}: {error.strerror or error}; mend that, and the same command goes on"
        ) from None


@contextmanager
def held(path: Path, lock: str, what: str) -> Iterator[None]:
    """Make a folder where it is missing, and hold it.

    Args:
        path: the folder.
        lock: name of its lock file.
        what: works there, such as `a loop`.

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
