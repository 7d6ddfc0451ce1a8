"""Settings in TOML files: read with errors that name file and key, written with every key explained."""

import json
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from ddxgraph.common.errors import BadInput, DdxgraphError
from ddxgraph.common.files import read_input

M = TypeVar("M", bound=BaseModel)

_ALIKE: Final = 0.5
"""How alike two names must be, by difflib's ratio, for one to be taken for a misspelling of the other."""


class Settings(BaseModel):
    """Settings that a table of a TOML file holds; the line under a field explains it."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)


def read_toml(path: Path | str, refused: type[DdxgraphError] = BadInput) -> dict[str, Any]:
    """Read the tables of a TOML file.

    Raises:
        refused: the file cannot be read.
    """
    try:
        return tomllib.loads(read_input(Path(path)).decode())
    except OSError as error:
        raise refused(f"cannot read {path}: {error.strerror or error}") from None
    except RecursionError:
        raise refused(f"{path} is no TOML that can be read: it is too deep") from None
    except ValueError as error:  # broken TOML, or no UTF-8
        raise refused(f"{path} is no TOML: {error}") from None


def assignment(text: str, refused: type[DdxgraphError] = BadInput) -> dict[str, Any]:
    """Read a setting as a command line gives it.

    Args:
        text: `KEY=VALUE`, where the key may name a section (`data.max_tokens=4096`). The value is TOML; any other
            value is a string.
        refused: the error to raise.

    Returns:
        The tables of a TOML file with this setting alone.

    Raises:
        refused: the text is no setting.
    """
    key, equals, value = text.partition("=")
    if equals:
        for written in (value, json.dumps(value.strip(), ensure_ascii=False)):
            with suppress(ValueError):
                return tomllib.loads(f"{key}={written}")
    raise refused(f"{text!r} is no setting: write KEY=VALUE, such as data.max_tokens=4096")


def settings_of(tables: Mapping[str, Any], kind: type[M], where: object, refused: type[DdxgraphError]) -> M:
    """Make settings of tables; a key that is left out keeps its default.

    Args:
        tables: as parsed.
        kind: the settings: fields, and sections that are themselves settings.
        where: the file's name, which begins an error.
        refused: the error to raise.

    Returns:
        The settings.

    Raises:
        refused: a key is unknown, or its value is impossible; the message names file and key.
    """
    try:
        return kind.model_validate(tables)
    except ValidationError as error:
        faults = "; ".join(_fault(details, kind) for details in error.errors(include_url=False))
        raise refused(f"{where}: {faults}") from None


def read_settings(path: Path | str, kind: type[M], refused: type[DdxgraphError]) -> M:
    """Read the settings in a TOML file: `read_toml` and `settings_of`.

    Args:
        path: the file.
        kind: the settings.
        refused: the error to raise.

    Returns:
        The settings.

    Raises:
        refused: the file cannot be read, a key is unknown, or its value is impossible.
    """
    return settings_of(read_toml(path, refused), kind, path, refused)


def explained_toml(kind: type[BaseModel], heading: str) -> str:
    """Default settings as a TOML file that explains itself; every line of it may be left out."""
    lines = [f"# {heading} Every line holds its default and may be left out.", ""]
    sections = []
    for name, field in kind.model_fields.items():
        if isinstance(field.default, BaseModel):
            sections.append((name, field.default))
        else:
            lines += [*_setting(name, field), ""]
    for name, section in sections:
        lines += [f"# {(type(section).__doc__ or '').strip()}", f"[{name}]"]
        for key, field in type(section).model_fields.items():
            lines += _setting(key, field)
        lines.append("")
    return "\n".join(lines)


def _setting(name: str, field: FieldInfo) -> list[str]:
    explained = f"# {' '.join((field.description or '').split())}"
    value: Any = field.default
    return [explained, f"# {name} =" if value is None else f"{name} = {json.dumps(value)}"]


def _fault(error: ErrorDetails, kind: type[BaseModel]) -> str:
    path = [str(part) for part in error["loc"]]
    if error["type"] == "extra_forbidden":
        return f"unknown key {'.'.join(path)}; {_nearest(path, kind)}"
    return f"{'.'.join(path)}: {error['msg'].removeprefix('Value error, ')}"


def _nearest(path: list[str], kind: type[BaseModel]) -> str:
    """The valid key nearest to an unknown one: of the same name elsewhere, else of a like name in its section."""
    section, name = path[:-1], path[-1]
    keys = list(_keys(kind))
    same = [f"{place}.{key}" for place, key in keys if place and key == name]
    beside = [key for place, key in keys if place == (section[0] if section else "")]
    if same and name != "enabled":
        return f"the nearest valid key is {' or '.join(same)}"
    close = get_close_matches(name, beside, n=1, cutoff=_ALIKE)
    if close:
        return f"the nearest valid key is {'.'.join([*section, close[0]])}"
    return f"valid keys {'of ' + section[0] if section else 'and sections'} are {', '.join(beside)}"


def _keys(kind: type[BaseModel]) -> Iterator[tuple[str, str]]:
    """Section (empty at the top) and name of every key."""
    for name, field in kind.model_fields.items():
        yield "", name
        if isinstance(field.default, BaseModel):
            for key in type(field.default).model_fields:
                yield name, key
