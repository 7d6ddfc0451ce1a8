"""The folder of a set of journeys: written beside its place, and put there whole."""

import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, Literal, TextIO

from ddxgraph.batch.folder import MANIFEST
from ddxgraph.batch.manifest import changes_between
from ddxgraph.common.errors import JourneySetError
from ddxgraph.common.files import draft_beside, real, sha256_of, sync_folder
from ddxgraph.training.sets.manifest import SET, SetFile, SetManifest, SetSettings, read_set

State = Literal["written", "same"]

_MOST_NAMED: Final = 4


def check_place(out: Path, wanted: SetSettings, *, overwrite: bool) -> None:
    """Check that a set may be put somewhere, before the work is done.

    Args:
        out: the place.
        wanted: the settings of the set.
        overwrite: allow a set with other settings to be replaced.

    Raises:
        JourneySetError: it is in a run's folder, something other than a set is there, or a set with other
            settings is there and `overwrite` is not given.
    """
    place = real(out)
    for folder in (place, *place.parents):
        if (folder / MANIFEST).exists():
            raise JourneySetError(f"{out} lies in the run folder {folder}: name a folder outside of it")
    if not out.exists():
        return
    if not out.is_dir():
        raise JourneySetError(f"{out} is a file: name a folder for the set")
    if not any(out.iterdir()):
        return
    if not (out / SET).exists():
        raise JourneySetError(
            f"{out} holds other files than a set of journeys: name an empty folder or a new one"
        )
    if overwrite:
        _only_a_set(out)
        return
    there = read_set(out)
    changes = _changes(there.settings.model_dump(mode="json"), wanted.model_dump(mode="json"))
    if there.samples and changes:
        raise _another(out, changes)


def settle(draft: Path, made: SetManifest, out: Path, *, overwrite: bool) -> State:
    """Move a set from its draft folder to its place.

    A set with the same files stays; a set without samples is replaced.

    Args:
        draft: the draft folder.
        made: the manifest of the set in it.
        out: the place.
        overwrite: replace another set.

    Returns:
        `same` if the set existed already.

    Raises:
        JourneySetError: another set is there and `overwrite` is not given, or it cannot be put there.
    """
    there = read_set(out) if (out / SET).exists() else None
    if there == made and not changed_files(out, made):
        return "same"
    if there is not None:
        if there.samples and not overwrite:
            raise _another(out, [*_differences(there, made), *changed_files(out, there)])
        _only_a_set(out)
    try:
        _swap(draft, out, () if there is None else (*there.files, SET))
    except OSError as error:
        raise _unwritable(out, error) from None
    return "written"


def changed_files(folder: Path, known: SetManifest) -> list[str]:
    """Say what was done to the files of a set since it was made; empty if they are as they were.

    Raises:
        JourneySetError: a file cannot be read.
    """
    changes = []
    for name, file in known.files.items():
        try:
            if sha256_of(folder / name) != file.sha256:
                changes.append(f"{name} was changed")
        except FileNotFoundError:
            changes.append(f"{name} is missing")
        except OSError as error:
            raise JourneySetError(f"cannot read {folder / name}: {error.strerror or error}") from None
    return changes


@contextmanager
def draft_folder(out: Path) -> Iterator[Path]:
    """An empty folder beside a place, to be renamed to it; deleted in the end if it is still there.

    Raises:
        JourneySetError: a file cannot be written, for instance on a full disk; nothing of it stays.
    """
    place = real(out)
    draft = draft_beside(place)
    try:
        draft.mkdir(parents=True)
        yield draft
    except OSError as error:
        raise _unwritable(out, error) from None
    finally:
        _delete(draft, [path.name for path in draft.iterdir()] if draft.exists() else ())


@contextmanager
def synced_file(path: Path) -> Iterator[TextIO]:
    """A new file, which is on the disk once it is closed.

    Raises:
        OSError: it cannot be written.
    """
    with path.open("x", encoding="utf-8", newline="") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def set_file(path: Path) -> SetFile:
    """Hash and size of a file.

    Raises:
        OSError: it cannot be read.
    """
    return SetFile(sha256=sha256_of(path), bytes=path.stat().st_size)


def write_file(path: Path, text: str) -> SetFile:
    """Write a file, and give its hash and size."""
    with synced_file(path) as file:
        file.write(text)
    return set_file(path)


def _only_a_set(out: Path) -> None:
    """Refuse to delete what does not belong to a set."""
    known = {*read_set(out).files, SET}
    others = sorted(path.name for path in out.iterdir() if path.name not in known or path.is_dir())
    if others:
        raise JourneySetError(
            f"{out} holds more than a set of journeys ({', '.join(others[:_MOST_NAMED])}), and would be replaced "
            "as a whole: move that elsewhere, or name another folder"
        )


def _swap(draft: Path, out: Path, old_files: Sequence[str]) -> None:
    """Put the draft in its place; if that fails, what was there before is put back."""
    place = real(out)
    sync_folder(draft)
    if not old_files:
        if place.exists():
            place.rmdir()
        draft.rename(place)
    else:
        old = place.with_name(f".{place.name}.{secrets.token_hex(4)}.old")
        place.rename(old)
        try:
            draft.rename(place)
        except BaseException:
            old.rename(place)
            raise
        _delete(old, old_files)
    sync_folder(place.parent)


def _delete(folder: Path, names: Sequence[str]) -> None:
    with suppress(OSError):
        for name in names:
            (folder / name).unlink(missing_ok=True)
        folder.rmdir()


def _differences(there: SetManifest, made: SetManifest) -> list[str]:
    old, new = there.model_dump(mode="json"), made.model_dump(mode="json")
    changes = _changes(old["settings"], new["settings"])
    if old["code_version"] != new["code_version"]:
        changes.append(f"code_version was {old['code_version']}, now {new['code_version']}")
    if old["inputs"] != new["inputs"]:
        changes.append("the runs that went into it were others, or have grown since")
    if not changes and old["rewriting"] != new["rewriting"]:
        changes.append("the rewritings were others")
    if not changes and old != new:
        changes.append("what the gate went by (gold answers, reviews, test sets) was different")
    return changes


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    return [f"{change.field} was {change.was}, now {change.now}" for change in changes_between(old, new)]


def _another(out: Path, changes: Sequence[str]) -> JourneySetError:
    named = "; ".join(changes[:_MOST_NAMED])
    more = f"; and {len(changes) - _MOST_NAMED} more" if len(changes) > _MOST_NAMED else ""
    return JourneySetError(
        f"{out} holds another set of journeys: {named}{more}. Nothing was changed. Name another folder, or "
        "replace it with --overwrite (overwrite=True)"
    )


def _unwritable(out: Path, error: OSError) -> JourneySetError:
    return JourneySetError(
        f"cannot write the set to {out}: {error.strerror or error}; nothing was left there"
    )
