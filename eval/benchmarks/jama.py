"""JAMA Clinical Challenge: its text is copyrighted, so users import a file of their own.

An import keeps the test items and, apart from them, what may be trained on. The test items are those of the
paper's list of addresses (arXiv 2501.06458; published as `JAMA_test_urls.json`), of which only digests ship.
"""

import csv
import hashlib
import io
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from ddxgraph.common.errors import BenchmarkError
from ddxgraph.common.files import CACHE_VARIABLE, read_input, read_regular, write_whole
from ddxgraph.eval.benchmarks.benchmark import TEST, Benchmark, Importer, Split
from ddxgraph.eval.benchmarks.rawfile import (
    Problem,
    RawFile,
    Row,
    differences,
    first_words,
    lettered_row,
    parse_published,
    print_published,
    records_of,
    sha256_of,
    shipped_digests,
    words_of,
)

TEST_SIZE: Final = 646
PREFIX: Final = "jama-"
FOLDER: Final = "jama"
IMPORT_FILE: Final = "import.json"
URLS_FILE: Final = "JAMA_test_urls.json"
SCRAPER: Final = "https://github.com/HanjieChen/ChallengeClinicalQA (jama_scraper.py)"
OBTAIN: Final = (
    "its text is copyrighted and is not shipped: with your own access to JAMA run the public scraper, "
    f"{SCRAPER}, then `ddxgraph data import jama jama_raw.csv`"
)

_TEST_URLS: Final = "jama-test-urls.digests"
_DIGEST_CHARS: Final = 12
_SCHEME: Final = re.compile(r"^[a-z]+://(?:www\.)?")
_ARTICLE: Final = re.compile(r"jamanetwork\.com/.*/(\d{1,18})")
_FIGURE: Final = re.compile(r"\b(?:figures?|images?|photographs?|pictures?)\b|\bfigs?\.", re.IGNORECASE)
_LABEL: Final = re.compile(r"^\(?([A-E])\s*[.):]\s+")
_YES: Final = frozenset({"yes", "true", "1", "y"})
_IMAGE_COLUMNS: Final = ("image", "has_image", "hasImage", "HasImage")
_COLUMNS: Final = ("link", "question", "opa", "opb", "opc", "opd", "answer_idx")

SplitName = Literal["test", "train"]


class Rejected(BaseModel):
    """A row that cannot be used."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    row: int
    """Place in the file, from 0."""
    link: str
    words: str
    """The beginning of its question."""
    why: str

    def __str__(self) -> str:
        named = ", ".join(filter(None, (self.link, f'"{self.words}"' if self.words else "")))
        return f"row {self.row} ({named}): {self.why}"


class Stored(BaseModel):
    """An imported split."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rows: int
    sha256: str
    published: str
    """Digest and article number of each row, one row a line."""


class Import(BaseModel):
    """What an import found. It is kept beside the imported files, which are checked against it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str
    """Name of the imported file."""
    source_sha256: str
    rows: int
    """Rows of that file."""
    present: int
    """Test items that were found and can be used."""
    missing: int
    missing_urls: Sequence[str] | None
    """None if the list of addresses is not at hand."""
    test_with_figure: int
    """Test items whose text mentions a figure; kept, since the paper's list keeps them."""
    train: int
    excluded_for_image: int
    """Items outside the test set that need an image."""
    dropped_as_test_text: int
    """Items outside the test set that repeat a test item's question."""
    repeated: int
    """Duplicate rows."""
    rejected: Sequence[Rejected]
    stored: Mapping[SplitName, Stored]

    def cases(self, split: str) -> int:
        """See `benchmark.Import`."""
        return self.present if split == TEST else self.train

    def problems(self, split: str, raw: RawFile, content: bytes) -> list[Problem]:
        """How a split's file differs from what was imported.

        Args:
            split: the split.
            raw: its file.
            content: of the file.

        Returns:
            The differences; none if it is as it was imported.
        """
        stored = next((kept for name, kept in self.stored.items() if name == split), None)
        if stored is None:
            return [Problem(None, "", "", f"the last import has no split {split}")]
        if sha256_of(content) != stored.sha256:
            changed = list(
                differences(raw.prefix, list(jama_rows(content)), parse_published(stored.published))
            )
            return changed or [
                Problem(None, "", "", "it differs in layout or in other fields from what was imported")
            ]
        misplaced = f"it is no item of the {split} split by the list of addresses"
        return [Problem(row.number, raw.prefix + row.key, "", misplaced) for row in _outside(split, content)]

    def lines(self) -> Iterator[str]:
        """See `benchmark.Import`."""
        yield f"test: {self.present} of {TEST_SIZE} items, {self.missing} missing"
        yield f"  {self.test_with_figure} of them speak of a figure (kept, as in the published list)"
        for url in self.missing_urls or ():
            yield f"  missing: {url}"
        if self.missing and self.missing_urls is None:
            yield "  which ones: `ddxgraph data fetch jama` brings the list, then import again"
        yield f"train: {self.train} items; no address and no question is in the test set"
        yield f"  excluded for an image: {self.excluded_for_image}"
        yield f"  dropped, their question being a test item's: {self.dropped_as_test_text}"
        yield f"repeated rows: {self.repeated}; rows that cannot be used: {len(self.rejected)}"
        for rejected in self.rejected:
            yield f"  {rejected}"

    def to_json(self) -> str:
        """See `benchmark.Import`."""
        return self.model_dump_json(exclude={"stored"})


class _Item(NamedTuple):
    row: Row
    link: str
    url: str
    """Normalised."""
    image: bool
    """The file says that it has one."""

    @property
    def figure(self) -> bool:
        return bool(_FIGURE.search(self.row.question))


class _Sorted(NamedTuple):
    """The items of a file by split."""

    test: list[_Item]
    train: list[_Item]
    excluded_for_image: int
    dropped_as_test_text: int


def normalised_url(link: str) -> str:
    """An address without scheme, `www.`, query, fragment and trailing slash, in lower case."""
    return _SCHEME.sub("", link.strip().lower()).partition("?")[0].partition("#")[0].rstrip("/")


def url_digest(link: str) -> str:
    """First 12 hex digits of SHA-256 over the normalised address."""
    return hashlib.sha256(normalised_url(link).encode()).hexdigest()[:_DIGEST_CHARS]


def listed_urls() -> frozenset[str]:
    """The digests of the test items' addresses."""
    return frozenset(shipped_digests(_TEST_URLS).split())


def import_jama(source: Path, folder: Path, urls: Path | None = None) -> Import:
    """Import a file that the public scraper wrote: its test items, and what may be trained on.

    Args:
        source: `jama_raw.csv` or `jama_raw.json`, with the columns link, question, opa to opd, answer_idx and
            answer, and optionally image or has_image (yes, no).
        folder: the data folder.
        urls: the list of test addresses, to name missing items; by default the fetched one, if any.

    Returns:
        What was found. An import with fewer than the 646 test items is kept, and every score reports it.

    Raises:
        BenchmarkError: the file cannot be read, has no usable item, or has two different items of one address.
    """
    content = _bytes_of(source)
    listed = _test_list(urls or folder / FOLDER / URLS_FILE, required=urls is not None)
    given, rejected = list(_records(content, source)), list[Rejected]()
    items, repeated = _once(_items(given, rejected), source)
    by_split = _sorted(items)
    if not by_split.test and not by_split.train:
        why = f" ({rejected[0]})" if rejected else ""
        raise BenchmarkError(f"{source}: none of its {len(given)} rows can be used{why}; import {OBTAIN}")
    present = {item.url for item in by_split.test}
    texts: dict[SplitName, str] = {"test": _text_of(by_split.test), "train": _text_of(by_split.train)}
    report = Import(
        source=source.name,
        source_sha256=sha256_of(content),
        rows=len(given),
        present=len(present),
        missing=TEST_SIZE - len(present),
        missing_urls=listed and [url for url in listed if normalised_url(url) not in present],
        test_with_figure=sum(item.figure for item in by_split.test),
        train=len(by_split.train),
        excluded_for_image=by_split.excluded_for_image,
        dropped_as_test_text=by_split.dropped_as_test_text,
        repeated=repeated,
        rejected=rejected,
        stored={split: _stored(text.encode()) for split, text in texts.items()},
    )
    place = folder / FOLDER
    try:
        place.mkdir(parents=True, exist_ok=True)
        for split, text in texts.items():
            write_whole(place / f"{split}.jsonl", text)
        write_whole(place / IMPORT_FILE, report.model_dump_json(indent=1))
    except OSError as error:
        raise BenchmarkError(
            f"cannot write to {place}: {error.strerror or error}; set {CACHE_VARIABLE} to a folder with room"
        ) from error
    return report


def read_import(folder: Path) -> Import | None:
    """The last import into a data folder; None if there was none.

    Raises:
        BenchmarkError: its record is damaged.
    """
    path = folder / FOLDER / IMPORT_FILE
    try:
        return Import.model_validate_json(read_regular(path))
    except FileNotFoundError:
        return None
    except ValidationError:
        raise BenchmarkError(
            f"{path} is damaged; import JAMA again with `ddxgraph data import jama FILE`"
        ) from None


def jama_rows(content: bytes) -> Iterator[Row]:
    """Rows of an imported split: one JSON object a line."""
    for number, line in enumerate(content.splitlines()):
        try:
            record = json.loads(line)
            yield lettered_row(number, _article(record["link"]), record, str(record.get("field") or ""))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            yield Row(number, str(number), "", {}, "", broken=f"broken JSON ({error})")


def _outside(split: str, content: bytes) -> Iterator[Row]:
    """Rows of an imported split that belong to the other one."""
    known = listed_urls()
    for row, line in zip(jama_rows(content), content.splitlines(), strict=True):
        if (url_digest(json.loads(line)["link"]) in known) != (split == "test"):
            yield row


def _bytes_of(path: Path) -> bytes:
    try:
        return read_input(path)
    except OSError as error:
        raise BenchmarkError(
            f"cannot read {str(path)!r}: {error.strerror or error}; JAMA: {OBTAIN}"
        ) from None


def _test_list(path: Path, *, required: bool) -> list[str] | None:
    if not required and not path.is_file():
        return None
    try:
        listed = json.loads(_bytes_of(path))
    except (ValueError, RecursionError):
        listed = None
    if not isinstance(listed, list) or {url_digest(str(url)) for url in listed} != listed_urls():
        raise BenchmarkError(
            f"{path} is not the list of the {TEST_SIZE} test addresses; `ddxgraph data fetch jama` fetches it"
        )
    return [str(url) for url in listed]


def _records(content: bytes, source: Path) -> Iterator[dict[str, Any]]:
    try:
        if content.lstrip()[:1] in {b"[", b"{"}:
            table = list(records_of(content))
        else:
            csv.field_size_limit(1 << 24)
            table = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    except (BenchmarkError, UnicodeDecodeError, csv.Error) as error:
        raise BenchmarkError(f"{source}: {error}; give the scraper's jama_raw.csv or jama_raw.json") from None
    lacking = [name for name in _COLUMNS if not table or name not in table[0]]
    if lacking:
        raise BenchmarkError(
            f"{source} has not the columns {', '.join(lacking)}; give the scraper's jama_raw.csv or jama_raw.json"
        )
    for record in table:
        yield dict.fromkeys(_COLUMNS, "") | {name: _cell(value) for name, value in record.items() if name}


def _cell(value: Any) -> Any:
    """A cell as text that can be written; pandas writes NaN for an empty one."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return str(value).strip().encode("utf-8", "replace").decode() if isinstance(value, str | int) else value


def _items(given: Iterable[Mapping[str, Any]], rejected: list[Rejected]) -> Iterator[_Item]:
    for number, record in enumerate(given):
        link = str(record["link"])
        row = lettered_row(number, _article(link), _unlabelled(record), str(record.get("field") or ""))
        fault = row.fault if row.key else "its link names no JAMA article"
        if fault:
            words = first_words(str(record.get("question") or ""))
            rejected.append(Rejected(row=number, link=link, words=words, why=fault))
            continue
        image = any(str(record.get(name, "")).lower() in _YES for name in _IMAGE_COLUMNS)
        yield _Item(row, link, normalised_url(link), image)


def _article(link: str) -> str:
    """The article number at the end of an address."""
    match = _ARTICLE.fullmatch(normalised_url(link))
    return match[1] if match else ""


def _unlabelled(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record without the letters that some pages print before each option."""
    options = {name: text for name, text in record.items() if re.fullmatch("op[a-e]", name)}
    rest = {name: value for name, value in record.items() if name not in options}
    if not any(options.values()):
        options = {}
    elif not options.get("ope"):
        options.pop("ope", None)
    labels = {name: _LABEL.match(str(text)) for name, text in options.items()}
    if all(label and label[1] == name[-1].upper() for name, label in labels.items()):
        options = {name: _LABEL.sub("", str(text)) for name, text in options.items()}
    return {**rest, **options, "answer_idx": str(record["answer_idx"]).upper()}


def _once(items: Iterable[_Item], source: Path) -> tuple[list[_Item], int]:
    seen, repeated = dict[str, _Item](), 0
    for item in items:
        first = seen.setdefault(item.row.key, item)
        if first is item:
            continue
        if first.row.digest != item.row.digest:
            raise BenchmarkError(
                f"{source}: rows {first.row.number} and {item.row.number} are two different items of one "
                f"article, {item.link}; keep one of them"
            )
        repeated += 1
    return list(seen.values()), repeated


def _sorted(items: Iterable[_Item]) -> _Sorted:
    known, test, others = listed_urls(), list[_Item](), list[_Item]()
    for item in items:
        (test if url_digest(item.link) in known else others).append(item)
    asked = {words_of(item.row.question) for item in test}
    apart = [item for item in others if words_of(item.row.question) not in asked]
    train = [item for item in apart if not (item.image or item.figure)]
    return _Sorted(test, train, len(apart) - len(train), len(others) - len(apart))


def _text_of(items: Iterable[_Item]) -> str:
    """Items as JSON lines, ordered by article number, whatever the order of the file."""
    lines = (
        json.dumps(
            {
                "link": item.link,
                "question": item.row.question,
                **{f"op{letter.lower()}": text for letter, text in item.row.options.items()},
                "answer_idx": item.row.letter,
                "answer": item.row.answer,
                "field": item.row.group,
            },
            ensure_ascii=False,
        )
        for item in sorted(items, key=lambda item: int(item.row.key))
    )
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "replace").decode()


def _stored(text: bytes) -> Stored:
    rows = list(jama_rows(text))
    return Stored(rows=len(rows), sha256=sha256_of(text), published=print_published(rows, keys=True))


def _split(name: SplitName, size: int, note: str = "") -> Split:
    return Split(size, RawFile(f"{FOLDER}/{name}.jsonl", size, "", jama_rows, PREFIX), note=note)


BENCHMARK: Final = Benchmark(
    name="jama",
    label="JAMA",
    title="JAMA Clinical Challenge (arXiv 2402.18060), the 646 test items of arXiv 2501.06458",
    splits={
        "test": _split("test", TEST_SIZE),
        "train": _split("train", 0, "what the imported file holds beyond the test items and needs no image"),
    },
    held_out=True,
    licence="copyrighted: with your own access only",
    home="https://jamanetwork.com/collections/44038/clinical-challenge",
    obtain=OBTAIN,
    companions=(
        RawFile(
            path=f"{FOLDER}/{URLS_FILE}",
            rows=TEST_SIZE,
            sha256="86104b122288c39d80335f6c2c1910e0ea3f93c76c4de750466d6dd7ce57ec19",
            urls=(f"https://raw.githubusercontent.com/SPIRAL-MED/Ophiuchus/main/resources/{URLS_FILE}",),
            optional=True,
        ),
    ),
    importer=Importer(import_jama, read_import),
)
