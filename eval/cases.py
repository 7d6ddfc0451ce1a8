"""Cases with their gold answers, kept apart from what the model may see: files, samples, order of the options."""

import hashlib
import heapq
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import StringIO, TextIOWrapper
from itertools import chain, count
from pathlib import Path
from typing import Any, Final, NamedTuple, TextIO

from pydantic import BaseModel, ConfigDict, ValidationError

from ddxgraph.common.errors import CaseFileError, faults_of
from ddxgraph.common.files import open_input
from ddxgraph.nodes.case import Case

_MOST_CHARS: Final = 4 << 20
"""Of a line of a case file; a case with 26 options has at most a tenth of it."""
_KNOWN: Final = (*Case.model_fields, "answer")


class Gold(BaseModel):
    """The gold answer of a case. Only scorers and the training gate see it; no node, prompt or trace does."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    case: str
    """The case's id."""
    answer: str
    """An option's letter, or text in a free-form case."""


class CaseEntry(NamedTuple):
    """A case and, if the file gives it, its gold answer."""

    case: Case
    gold: Gold | None


@dataclass(frozen=True)
class CaseFile:
    """A case file that can be iterated repeatedly, one case at a time (see `read_cases`)."""

    path: Path

    def __iter__(self) -> Iterator[CaseEntry]:
        return read_cases(self.path)


def read_cases(path: Path | str) -> Iterator[CaseEntry]:
    """Cases of a file: one JSON object (`.json`), or one a line (`.jsonl`); told apart by content.

    Fields: `vignette` (required), `id`, `question`, `options` ({letter: text}; absent for free-form),
    `answer` (optional; kept apart), `source`, `split`. Of a JSONL file no more than a line is held at a time.

    Raises:
        CaseFileError: the file is missing or unreadable, or a case in it is malformed.

    Example:
        >>> line = '{"vignette": "Fever.", "options": {"A": "Influenza", "B": "Malaria"}, "answer": "B"}'
        >>> _ = Path("cases.jsonl").write_text(line)
        >>> for case, gold in read_cases("cases.jsonl"):
        ...     print(case.vignette, gold.answer)
        Fever. B
    """
    path = Path(path)
    try:
        with TextIOWrapper(open_input(path), encoding="utf-8-sig") as lines:
            yield from _parse_lines(lines, str(path))
    except CaseFileError:
        raise
    except FileNotFoundError:
        raise CaseFileError(f"no file {str(path)!r}") from None
    except IsADirectoryError:
        raise CaseFileError(f"{str(path)!r} is a folder; give a case file (JSON or JSONL)") from None
    except UnicodeDecodeError as error:
        raise CaseFileError(
            f"{str(path)!r} is not UTF-8 text ({error.reason} at byte {error.start})"
        ) from None
    except (OSError, ValueError) as error:
        raise CaseFileError(
            f"cannot read {str(path)!r}: {getattr(error, 'strerror', None) or error}"
        ) from None


def parse_cases(text: str, where: str) -> Iterator[CaseEntry]:
    """Cases of a text: one JSON object, or one a line.

    Raises:
        CaseFileError: see `read_cases`.
    """
    yield from _parse_lines(StringIO(text), where)


def _parse_lines(source: TextIO, where: str) -> Iterator[CaseEntry]:
    lines = ((number, line) for number, line in enumerate(_bounded(source, where), 1) if line.strip())
    first = next(lines, None)
    if first is None:
        raise CaseFileError(f"{where}: empty; it must hold a case as a JSON object")
    second = next(lines, None)
    if second is not None and _is_object(first[1]):
        for number, line in chain((first, second), lines):
            yield parse_case(line, f"{where}, line {number}")
    else:
        # One object over any number of lines; blank lines are restored, so that errors name the right line.
        blank = "\n" * (first[0] - 1)
        gap = "\n" * (second[0] - first[0] - 1) if second else ""
        rest = "".join(line for _, line in lines)
        yield parse_case(blank + first[1] + gap + (second[1] if second else "") + rest, where)


def _bounded(source: TextIO, where: str) -> Iterator[str]:
    """Lines, none of which is too long to hold."""
    for number in count(1):
        line = source.readline(_MOST_CHARS)
        if len(line) == _MOST_CHARS:
            raise CaseFileError(
                f"{where}, line {number}: longer than {_MOST_CHARS:,} characters, which no case is; give one "
                "case a line"
            )
        if not line:
            return
        yield line


def parse_case(text: str, where: str) -> CaseEntry:
    """One case from its JSON.

    Raises:
        CaseFileError: see `read_cases`.
    """
    try:
        data = json.loads(text, object_pairs_hook=_unique)
    except json.JSONDecodeError as error:
        line = "" if ", line " in where else f"line {error.lineno}, "  # a JSONL file's line is in `where`
        raise CaseFileError(f"{where}: broken JSON at {line}column {error.colno}: {error.msg}") from None
    except ValueError as error:
        raise CaseFileError(f"{where}: {error}") from None
    except RecursionError:
        raise CaseFileError(f"{where}: nested too deeply for a case") from None
    return case_entry(data, where)


def case_entry(data: Any, where: str) -> CaseEntry:
    """One case from its fields, with the gold answer taken out.

    Raises:
        CaseFileError: see `read_cases`.
    """
    if not isinstance(data, dict):
        raise CaseFileError(f"{where}: a case is a JSON object, not {type(data).__name__}")
    unknown = [key for key in data if key not in _KNOWN]
    if unknown:
        raise CaseFileError(
            f"{where}: unknown field {', '.join(map(repr, unknown))}; known: {', '.join(_KNOWN)}"
        )
    answer = data.get("answer")
    try:
        case = Case.model_validate({key: value for key, value in data.items() if key != "answer"})
    except ValidationError as error:
        raise CaseFileError(f"{where}: {'; '.join(faults_of(error))}") from None
    _check_options_differ(case, where)
    return CaseEntry(case, _gold(case, answer, where))


def _check_options_differ(case: Case, where: str) -> None:
    """Refuse options that say the same: a right answer could carry the letter that is not the gold one."""
    letters: dict[str, str] = {}
    for letter, text in case.options.items():
        said = " ".join(text.split()).rstrip(". ")  # the case of letters counts: AA, Aa and aa are genotypes
        if said in letters:
            raise CaseFileError(
                f"{where}: options {letters[said]} and {letter} have the same text {said[:60]!r}; give each its "
                "own, or leave one out"
            )
        letters[said] = letter


def _gold(case: Case, answer: Any, where: str) -> Gold | None:
    if answer is None:
        return None
    if not isinstance(answer, str) or not answer.strip():
        raise CaseFileError(f"{where}: answer: give text, or leave the field out")
    answer = answer.strip()
    if case.options and answer not in case.options:
        raise CaseFileError(f"{where}: answer {answer!r} is none of the options {', '.join(case.letters)}")
    return Gold(case=case.id, answer=answer)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    for key, value in pairs:
        if key in seen:
            raise CaseFileError(f"{key!r} occurs twice in one object")
        seen[key] = value
    return seen


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def sample(entries: Iterable[CaseEntry], limit: int, seed: int = 0) -> list[CaseEntry]:
    """A sample that is the same on every machine: the `limit` ids whose hash with the seed is smallest, in that
    order.

    It depends only on the ids and the seed, not on the order of the cases or a library's generator; the first 20
    of a sample of 40 are the sample of 20.

    Args:
        entries: iterated twice, and possibly larger than memory; a duplicate entry is kept twice.
        limit: most ids.
        seed: draws another sample.

    Returns:
        The sampled entries.
    """
    ids = {entry.case.id for entry in entries}
    chosen = heapq.nsmallest(limit, ids, key=lambda case: hashlib.sha256(f"{seed}\0{case}".encode()).digest())
    rank = {case: place for place, case in enumerate(chosen)}
    return sorted((e for e in entries if e.case.id in rank), key=lambda entry: rank[entry.case.id])


def shuffled(entry: CaseEntry, seed: int) -> CaseEntry:
    """The case with its options' texts moved among its letters; the gold letter moves with its text.

    The order depends only on `seed` and the case's id, not on other cases or a library's generator. A case
    without options is unchanged.
    """
    case, gold = entry
    order = sorted(
        case.letters, key=lambda letter: hashlib.sha256(f"{seed}\0{case.id}\0{letter}".encode()).digest()
    )
    moved = dict(zip(order, case.letters, strict=True))  # old letter -> new letter
    options = {new: case.options[old] for old, new in sorted(moved.items(), key=lambda pair: pair[1])}
    if gold is not None and case.options:
        gold = Gold(case=gold.case, answer=moved[gold.answer])
    return CaseEntry(case.model_copy(update={"options": options}), gold)


def withheld(entry: CaseEntry) -> CaseEntry:
    """The case without its options; the gold answer becomes the option's text. The question is unchanged."""
    case, gold = entry
    if gold is not None and case.options:
        gold = Gold(case=gold.case, answer=case.options[gold.answer])
    return CaseEntry(case.model_copy(update={"options": {}}), gold)
