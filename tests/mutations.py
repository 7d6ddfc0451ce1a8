"""Foreign files: what bit rot, cut transfers, other tools and ill will make of a sound one."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, Final

ODD_TEXT: Final = (
    b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\r\n", b"\x1b]0;t\x07", "\u202e".encode(), b"\xed\xa0\xbd", b"NaN",
    b"1e999", b"-0", b"9" * 5_000, b"[" * 20_000, b'{"a":' * 5_000, b'"' + b"x" * 200_000 + b'"', b"../../x",
    b"/dev/zero", b"{{ 7 * 7 }}", b"[bold]", b"%s%n", b"<script>", b",,,", b"\n\n", b"===", b"[[x]]", b"!!python",
)  # fmt: skip
ODD_VALUES: Final[tuple[Any, ...]] = (
    None, True, -1, 0, 2**63, 10**400, 1e308, float("nan"), float("inf"), "", " ", "\0", "\ud83d", "x" * 50_000,
    [], {}, [[]], {"": None}, "../../etc/passwd", "/dev/zero", "\x1b[2J", "\u202eabc", "1e5", "NaN", ["A"] * 300,
)  # fmt: skip
SWAPS: Final = ("folder", "link to itself", "link to /dev/zero", "pipe", "empty", "picture", "nothing")


def mutated(content: bytes, dice: Random) -> bytes:
    """A file's content, changed in one to four places."""
    ways: list[Callable[[bytes, Random], bytes]] = [
        _flip,
        _cut,
        _without,
        _twice,
        _inserted,
        _inserted,
        _other_value,
    ]
    for _ in range(dice.choice((1, 1, 2, 4))):
        content = dice.choice(ways)(content, dice)
    return content


def _span(content: bytes, dice: Random) -> tuple[int, int]:
    start = dice.randrange(len(content) + 1)
    return start, min(len(content), start + dice.choice((1, 5, 80, 4_000)))


def _flip(content: bytes, dice: Random) -> bytes:
    changed = bytearray(content)
    for _ in range(dice.choice((1, 1, 8)) if changed else 0):
        changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
    return bytes(changed)


def _cut(content: bytes, dice: Random) -> bytes:
    return content[: dice.randrange(len(content) + 1)]


def _without(content: bytes, dice: Random) -> bytes:
    start, end = _span(content, dice)
    return content[:start] + content[end:]


def _twice(content: bytes, dice: Random) -> bytes:
    start, end = _span(content, dice)
    return content[:end] + content[start:]


def _inserted(content: bytes, dice: Random) -> bytes:
    place = dice.randrange(len(content) + 1)
    return content[:place] + dice.choice(ODD_TEXT) + content[place:]


def _other_value(content: bytes, dice: Random) -> bytes:
    """JSON, or a line of JSON lines, with another value somewhere; anything else as it is."""
    lines = content.split(b"\n")
    number = dice.randrange(len(lines))
    for piece in (content, lines[number]):
        try:
            record = json.loads(piece)
        except (ValueError, RecursionError):
            continue
        changed = json.dumps(_changed(record, dice)).encode(errors="replace")
        if piece is content:
            return changed
        return b"\n".join([*lines[:number], changed, *lines[number + 1 :]])
    return content


def _changed(record: Any, dice: Random) -> Any:
    """A record with one value changed, taken out or renamed, at any depth."""
    if not isinstance(record, dict | list) or not record or dice.random() < 0.15:
        return dice.choice(ODD_VALUES)
    if isinstance(record, list):
        place = dice.randrange(len(record))
        if dice.random() < 0.2:
            return record[:place] + record[place + 1 :]
        return [*record[:place], _changed(record[place], dice), *record[place + 1 :]]
    key = dice.choice(list(record))
    rest = {name: value for name, value in record.items() if name != key}
    fate = dice.random()
    if fate < 0.15:
        return rest
    if fate < 0.25:
        return {**rest, f"{key}x": record[key]}
    return {**record, key: _changed(record[key], dice)}


def mutate(path: Path, dice: Random, *, keep_kind: float = 0.9) -> None:
    """Change a file in place; now and then put something other than a file there.

    Args:
        path: the file.
        dice: decides how.
        keep_kind: share of the changes after which it is still a file with content.
    """
    if dice.random() < keep_kind:
        path.write_bytes(mutated(path.read_bytes(), dice))
        return
    swap(path, dice.choice(SWAPS))


def swap(path: Path, kind: str) -> None:
    """Put something else in the place of a file."""
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "link to itself":
        path.symlink_to(path)
    elif kind == "link to /dev/zero":
        path.symlink_to("/dev/zero")
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "empty":
        path.touch()
    elif kind == "picture":
        path.write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(range(256)))
