"""A benchmark's raw file: how its rows are read, and whether each of them is the published one."""

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
    """What the case's id ends in."""
    question: str
    options: Mapping[str, str]
    letter: str
    """Of the gold option."""
    answer: str = ""
    """Text of the gold option, where the file gives it."""
    group: str = ""
    """The subset that the row belongs to."""
    name: str = ""
    """What the file itself calls the row."""
    asked: str = ""
    """What is asked, where the source keeps it apart from the vignette."""
    broken: str = ""
    """Why the row could not be read; empty where it could."""

    @property
    def digest(self) -> str:
        """First 12 hex digits of SHA-256 over the JSON of question, options and gold letter."""
        told = [self.question, dict(self.options), self.letter]
        text = json.dumps(told, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST_CHARS]

    @property
    def fault(self) -> str:
        """Why no score could rest on the row; empty where it can."""
        if self.broken or not self.question.strip():
            return self.broken or "the question is empty"
        return self._options_fault or self._answer_fault

    @property
    def _options_fault(self) -> str:
        if not self.options:
            return "it has no options"
        empty = next((letter for letter, text in self.options.items() if not text.strip()), "")
        return f"option {empty} is empty" if empty else ""

    @property
    def _answer_fault(self) -> str:
        if self.letter not in self.options:
            return f"the answer {self.letter!r} is none of the options {', '.join(self.options)}"
        if self.answer and words_of(self.answer) != words_of(self.options[self.letter]):
            return f"the answer's text is not that of option {self.letter}"
        return ""


class Published(NamedTuple):
    """What is known of a row as published: never its text."""

    digest: str
    key: str = ""
    """Empty where a row is known by its place alone."""


class Problem(NamedTuple):
    """Where a file is not the published one."""

    row: int | None
    """From 0; None where the whole file is meant."""
    case: str
    """The case's id, where it has one."""
    words: str
    """How the question begins."""
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
    """A file as its publisher made it."""

    path: str
    """Below the data folder."""
    rows: int
    sha256: str
    read: Reader | None = None
    """None for a file of which only the hash is checked."""
    prefix: str = ""
    """What the ids of its cases begin with."""
    digests: str = ""
    """Name of the file in `digests/` that holds a `Published` a line; empty where only the whole file's hash is
    known."""
    also: Sequence[str] = ()
    """Names that it goes by elsewhere, in folders and in archives."""
    urls: Sequence[str] = ()
    """Public addresses of byte-identical copies; empty where none was confirmed."""
    optional: bool = field(default=False, kw_only=True)
    """Not every user can have it."""

    @property
    def name(self) -> str:
        """The file's own name."""
        return self.path.rsplit("/", 1)[-1]


def sha256_of(content: bytes) -> str:
    """SHA-256, as hex."""
    return hashlib.sha256(content).hexdigest()


def problems_of(raw: RawFile, content: bytes) -> list[Problem]:
    """What is wrong with a raw file, row by row; empty where it is the published one."""
    found = sha256_of(content)
    if found == raw.sha256:
        return []
    differing = _differing(raw, content)
    return differing or [
        Problem(
            None,
            "",
            "",
            f"its SHA-256 is {found}, not {raw.sha256}"
            + (
                "; every row is the published one, so that it differs in layout or in other fields"
                * bool(raw.digests)
            ),
        )
    ]


def _differing(raw: RawFile, content: bytes) -> list[Problem]:
    """The rows that differ, where rows are known one by one."""
    if raw.read is None or not raw.digests:
        return []
    return list(differences(raw.prefix, list(raw.read(content)), published(raw)))


def published(raw: RawFile) -> list[Published]:
    """The rows of a raw file as published, from the digests that ship."""
    return parse_published(shipped_digests(raw.digests))


def shipped_digests(name: str) -> str:
    """The text of a file of digests that ships."""
    return (Path(__file__).parent / "digests" / name).read_text(encoding="ascii")


def parse_published(text: str) -> list[Published]:
    """One `Published` a line: digest, and the key where a row has one of its own."""
    return [Published(*line.split()) for line in text.splitlines()]


def print_published(rows: Iterable[Row], *, keys: bool) -> str:
    """The text of a digests file."""
    return "".join(f"{row.digest} {row.key}\n" if keys else f"{row.digest}\n" for row in rows)


def differences(prefix: str, rows: Sequence[Row], wanted: Sequence[Published]) -> Iterator[Problem]:
    """Rows that are changed, missing, too many, or cannot be scored."""
    have, want = [row.digest for row in rows], [one.digest for one in wanted]
    counted, known, keys = Counter(have), Counter(want), dict[str, int]()

    def problem(row: Row, otherwise: str) -> Problem:
        what = row.fault or otherwise
        if keys.setdefault(row.key, row.number) != row.number:
            what = f"its id stands twice, at row {keys[row.key]} too"
        return Problem(row.number, prefix + row.key, first_words(row.question), what)

    matcher = SequenceMatcher(None, want, have, autojunk=False)
    for _, start, end, at, until in matcher.get_opcodes():
        paired = min(end - start, until - at)
        for row, one in zip(rows[at : at + paired], wanted[start : start + paired], strict=True):
            if row.digest != one.digest:
                yield problem(row, "its question, options or answer are not the published ones")
            elif one.key and row.key != one.key:
                yield problem(row, f"its id is not the published one, {prefix}{one.key}")
            else:
                keys.setdefault(row.key, row.number)
        for number in range(start + paired, end):
            if counted[want[number]] < known[want[number]]:
                yield _missing(prefix, number, wanted[number], rows[at - 1] if at else None)
        for row in rows[at + paired : until]:
            yield problem(
                row,
                "it stands twice, or out of its place"
                if row.digest in known
                else "no such row was published",
            )


def _missing(prefix: str, number: int, one: Published, before: Row | None) -> Problem:
    place = f'it came after "{first_words(before.question)}"' if before else "it was the first"
    return Problem(number, prefix + (one.key or str(number)), "", f"it is missing; {place}")


def refusal(problems: Sequence[Problem]) -> str:
    """The first problems in a sentence."""
    shown = "; ".join(str(problem) for problem in problems[:_SHOWN_PROBLEMS])
    more = len(problems) - _SHOWN_PROBLEMS
    return f"{shown}; and {more} more" if more > 0 else shown


def first_words(text: str) -> str:
    """How a text begins, to know a row by."""
    words = text.split()
    return " ".join(words[:_SHOWN_WORDS]) + ("..." if len(words) > _SHOWN_WORDS else "")


def words_of(text: str) -> str:
    """A text by its words alone: case, accents, punctuation and white space do not count."""
    bare = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return _NOT_WORD.sub(" ", bare.casefold()).strip()


def records_of(content: bytes) -> Iterator[dict[str, Any]]:
    """Records of a JSON text: a list of objects, or one object of columns.

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
    """The row of a record with the columns question, opa, opb, ..., answer_idx and answer."""
    options = {letter: record.get(f"op{letter.lower()}") for letter in LETTERS}
    given = {letter: text for letter, text in options.items() if f"op{letter.lower()}" in record}
    texts = [record.get("question"), record.get("answer_idx"), record.get("answer"), *given.values()]
    if not all(isinstance(text, str | None) for text in texts):
        return unread(number, key, "a field is not text")
    said = {letter: text or "" for letter, text in given.items()}
    question, letter, answer = (str(record.get(name) or "") for name in ("question", "answer_idx", "answer"))
    return Row(number, key, question, said, letter, answer, group)


def unread(number: int, key: str, why: str) -> Row:
    """A row that could not be read, and why."""
    return Row(number, key, "", {}, "", broken=why)
