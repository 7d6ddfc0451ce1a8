"""Raw files of benchmarks: their rows, and whether each row is the published one."""

import hashlib
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any, Final, NamedTuple

from ddxgraph.common.errors import BenchmarkError
from ddxgraph.common.files import cache_folder

DATA: Final = "data"
"""Name of the data folder within the cache folder."""
LETTERS: Final = "ABCDE"
_DIGEST_CHARS: Final = 12
_SHOWN_WORDS, _SHOWN_PROBLEMS = 8, 3
_NOT_WORD: Final = re.compile(r"[\W_]+")


class Row(NamedTuple):
    """A row of a raw file."""

    number: int
    """Place in the file, from 0."""
    key: str
    """The end of the case's id."""
    question: str
    options: Mapping[str, str]
    letter: str
    """Of the gold option."""
    answer: str = ""
    """Text of the gold option, if the file gives it."""
    group: str = ""
    """The subset that the row belongs to."""
    name: str = ""
    """The file's own name for the row."""
    asked: str = ""
    """The question, if the source separates it from the vignette."""
    broken: str = ""
    """Why the row could not be read; empty if it could."""

    @property
    def digest(self) -> str:
        """First 12 hex digits of SHA-256 over the JSON of question, options and gold letter."""
        content = [self.question, dict(self.options), self.letter]
        text = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST_CHARS]

    @property
    def fault(self) -> str:
        """Why the row cannot be scored; empty if it can."""
        if self.broken or not self.question.strip():
            return self.broken or "the question is empty"
        if not self.options:
            return "it has no options"
        if empty := [letter for letter, text in self.options.items() if not text.strip()]:
            return f"option {empty[0]} is empty"
        if self.letter not in self.options:
            return f"the answer {self.letter!r} is none of the options {', '.join(self.options)}"
        if self.answer and words_of(self.answer) != words_of(self.options[self.letter]):
            return f"the answer's text is not that of option {self.letter}"
        return ""


class Published(NamedTuple):
    """What is known of a published row; never its text."""

    digest: str
    key: str = ""
    """Empty if a row is known only by its place."""


class Problem(NamedTuple):
    """A difference between a file and the published one."""

    row: int | None
    """From 0; None for the whole file."""
    case: str
    """The case's id, if it has one."""
    words: str
    """The beginning of the question."""
    what: str

    def __str__(self) -> str:
        if self.row is None:
            return self.what
        named = ", ".join(filter(None, (self.case, f'"{self.words}"' if self.words else "")))
        return f"row {self.row}{f' ({named})' if named else ''}: {self.what}"


def data_folder() -> Path:
    """The folder of raw files: `data` in the folder `DDXGRAPH_CACHE` names, else in the user's cache folder."""
    return cache_folder() / DATA


Reader = Callable[[bytes], Iterator[Row]]


@dataclass(frozen=True)
class RawFile:
    """A file as published."""

    path: str
    """Below the data folder."""
    rows: int
    sha256: str
    read: Reader | None = None
    """None if only the file's hash is checked."""
    prefix: str = ""
    """The beginning of its cases' ids."""
    digests: str = ""
    """Name of the file in `digests/` that holds a `Published` a line; empty where only the whole file's hash is
    known."""
    also: Sequence[str] = ()
    """Its names in other folders and in archives."""
    urls: Sequence[str] = ()
    """Public addresses of byte-identical copies; empty if none was confirmed."""
    optional: bool = field(default=False, kw_only=True)
    """Not every user can get it."""

    @property
    def name(self) -> str:
        """The file's own name."""
        return self.path.rsplit("/", 1)[-1]


def sha256_of(content: bytes) -> str:
    """SHA-256, as hex."""
    return hashlib.sha256(content).hexdigest()


def problems_of(raw: RawFile, content: bytes) -> list[Problem]:
    """The faults of a raw file, row by row; empty if it is the published one."""
    sha256 = sha256_of(content)
    if sha256 == raw.sha256:
        return []
    what = f"its SHA-256 is {sha256}, not {raw.sha256}"
    if raw.read and raw.digests:
        if differing := list(differences(raw.prefix, list(raw.read(content)), published(raw))):
            return differing
        what += "; every row is the published one, so that it differs in layout or in other fields"
    return [Problem(None, "", "", what)]


def published(raw: RawFile) -> list[Published]:
    """The published rows of a raw file, from the shipped digests."""
    return parse_published(shipped_digests(raw.digests))


def shipped_digests(name: str) -> str:
    """The text of a shipped file of digests."""
    return (Path(__file__).parent / "digests" / name).read_text(encoding="ascii")


def parse_published(text: str) -> list[Published]:
    """One `Published` a line: the digest, and the key if the row has its own."""
    return [Published(*line.split()) for line in text.splitlines()]


def print_published(rows: Iterable[Row], *, keys: bool) -> str:
    """The text of a digests file."""
    return "".join(f"{row.digest} {row.key}\n" if keys else f"{row.digest}\n" for row in rows)


def differences(prefix: str, rows: Sequence[Row], wanted: Sequence[Published]) -> Iterator[Problem]:
    """Rows that are changed, missing, superfluous, or cannot be scored.

    Args:
        prefix: the beginning of the cases' ids.
        rows: of the file.
        wanted: the published ones.

    Yields:
        A problem for each, by row.
    """
    have, want = [row.digest for row in rows], [known.digest for known in wanted]
    counted, known, keys = Counter(have), Counter(want), dict[str, int]()

    def problem(row: Row, otherwise: str) -> Problem:
        what = row.fault or otherwise
        if keys.setdefault(row.key, row.number) != row.number:
            what = f"its id occurs twice, at row {keys[row.key]} too"
        return Problem(row.number, prefix + row.key, first_words(row.question), what)

    matcher = SequenceMatcher(None, want, have, autojunk=False)
    for _, start, end, at, until in matcher.get_opcodes():
        paired = min(end - start, until - at)
        for row, original in zip(rows[at : at + paired], wanted[start : start + paired], strict=True):
            if row.digest != original.digest:
                yield problem(row, "its question, options or answer are not the published ones")
            elif original.key and row.key != original.key:
                yield problem(row, f"its id is not the published one, {prefix}{original.key}")
            else:
                keys.setdefault(row.key, row.number)
        for number in range(start + paired, end):
            if counted[want[number]] < known[want[number]]:
                before = f'it came after "{first_words(rows[at - 1].question)}"' if at else "it was the first"
                case = prefix + (wanted[number].key or str(number))
                yield Problem(number, case, "", f"it is missing; {before}")
        for row in rows[at + paired : until]:
            moved = row.digest in known
            yield problem(row, "it occurs twice, or is misplaced" if moved else "no such row was published")


def refusal(problems: Sequence[Problem]) -> str:
    """The first problems in a sentence."""
    shown = "; ".join(str(problem) for problem in problems[:_SHOWN_PROBLEMS])
    more = len(problems) - _SHOWN_PROBLEMS
    return f"{shown}; and {more} more" if more > 0 else shown


def first_words(text: str) -> str:
    """The beginning of a text, to identify a row."""
    words = text.split()
    return " ".join(words[:_SHOWN_WORDS]) + ("..." if len(words) > _SHOWN_WORDS else "")


def words_of(text: str) -> str:
    """The words of a text without case, accents, punctuation and white space."""
    bare = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return _NOT_WORD.sub(" ", bare.casefold()).strip()


def records_of(content: bytes) -> Iterator[dict[str, Any]]:
    """Records of a JSON text, which is a list of objects or one object of columns.

    Raises:
        BenchmarkError: it is neither.
    """
    try:
        table = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise BenchmarkError(f"broken JSON ({error})") from None
    if isinstance(table, dict) and table and all(isinstance(column, dict) for column in table.values()):
        places = list(dict.fromkeys(place for column in table.values() for place in column))
        table = [
            {name: column[place] for name, column in table.items() if place in column} for place in places
        ]
    if not isinstance(table, list) or not all(isinstance(record, dict) for record in table):
        raise BenchmarkError("it is neither a list of records nor a table of columns")
    yield from table


def lettered_row(number: int, key: str, record: Mapping[str, Any], group: str = "") -> Row:
    """The row of a record with the columns question, opa, opb, ..., answer_idx and answer.

    Args:
        number: place in the file, from 0.
        key: the end of the case's id.
        record: by column.
        group: the subset that the row belongs to.

    Returns:
        The row; broken if a field is not text.
    """
    options = {letter: record[column] for letter in LETTERS if (column := f"op{letter.lower()}") in record}
    fields = [record.get(name) for name in ("question", "answer_idx", "answer")]
    if not all(isinstance(text, str | None) for text in (*fields, *options.values())):
        return Row(number, key, "", {}, "", broken="a field is not text")
    question, letter, answer = (text or "" for text in fields)
    return Row(
        number, key, question, {name: text or "" for name, text in options.items()}, letter, answer, group
    )
