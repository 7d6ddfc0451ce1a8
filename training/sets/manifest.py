"""`journeys.json`: what a set of journeys was made of, by which settings, and what it holds."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, median
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, ValidationError
from pydantic_core import PydanticCustomError

from ddxgraph.common.errors import JourneySetError, fault_of
from ddxgraph.common.files import read_regular, real
from ddxgraph.common.frozen import Frozen
from ddxgraph.training.gate.config import SIDES, GateConfig, Side
from ddxgraph.training.gate.report import JSON, MARKDOWN, InputReport
from ddxgraph.training.sets.samples import FormName, Record
from ddxgraph.training.styles.compile import StyleName

SET: Final = "journeys.json"
CARD: Final = "README.md"
SET_VERSION: Final = 1


class Spread(Frozen):
    """How a number is distributed over samples."""

    least: int
    median: float
    mean: float
    most: int


class Figures(Frozen):
    """Samples in figures."""

    samples: int = 0
    journeys: int = 0
    """Traces that they come from; in the style `graph` a compacted one may have several samples."""
    cases: int = 0
    """By id."""
    letters: Mapping[str, int] = Field(default_factory=dict)
    """Answer letter to journeys; answers in words under the empty string."""
    backtracking: int = 0
    """Journeys with at least one move back."""
    telling: int = 0
    """Samples whose text tells at least one move back."""
    rewritten: int = 0
    """Samples in a model's words."""
    words: Spread | None = None
    """Words of the assistant in a sample, separated by white space; None without samples."""
    tokens: Spread | None = None
    """Tokens that the model wrote in a journey, as the engine counted them; None without samples."""


class SetSettings(Frozen):
    """What decides a set, beside its runs."""

    style: StyleName
    format: FormName = "messages"
    seed: int = 0
    """Of the wording."""
    tries: int | None = None
    """The tree rule: most tries of each on-path node; None: all of them."""
    gate: GateConfig = GateConfig()


class Uncompiled(Frozen):
    """An accepted traversal that cannot be told in the style."""

    trace: str
    why: str


class Rewriting(Frozen):
    """The rewriting of the texts by a model."""

    model: str
    adapter: str | None
    adapter_sha256: str | None
    sampling: Mapping[str, Any]
    prompt_hash: str
    check: str
    """Version of the check that every rewriting passed."""
    asked: int
    accepted: int
    share: float | None
    """Accepted / asked, in 0..1; None if nothing was asked."""
    refusals: Mapping[str, int]
    """Kind of fault to the texts that kept the template for it; a text may have several."""
    tries: int


class SetFile(Frozen):
    """A file of the set."""

    sha256: str
    bytes: int


def _of_a_set(name: str) -> str:
    known = {CARD, MARKDOWN, JSON, *map(data_file, SIDES)}
    if name not in known:
        raise PydanticCustomError("file_of_a_set", "a set holds no such file")
    return name


FileName = Annotated[str, AfterValidator(_of_a_set)]
"""A file of a set, out of a closed list: a set may be anyone's, and its files are read and deleted by name."""


class SetManifest(Frozen):
    """A set of journeys. It holds no time and no path: the same input, settings and code give the same bytes."""

    version: Literal[1] = SET_VERSION
    code_version: str
    settings: SetSettings
    prompt_hashes: Sequence[str]
    """Of the prompt sets that the samples answer: one, but for `graph` of runs with different prompts."""
    inputs: Sequence[InputReport]
    read: int
    """Traversals that went into the gate."""
    accepted: int
    """Traversals that came out of it."""
    uncompiled: Sequence[Uncompiled]
    rewriting: Rewriting | None = None
    train: Figures
    validation: Figures
    files: Mapping[FileName, SetFile]
    """All files but this one."""

    @property
    def samples(self) -> int:
        """Samples of both sides."""
        return self.train.samples + self.validation.samples

    @property
    def sides(self) -> Mapping[Side, Figures]:
        """The sides that hold samples."""
        both: dict[Side, Figures] = {"train": self.train, "validation": self.validation}
        return {side: figures for side, figures in both.items() if figures.samples}

    def to_json(self) -> str:
        """The manifest as its file."""
        return self.model_dump_json(indent=2) + "\n"


def data_file(side: Side) -> str:
    """Name of the file of a side; a side without samples has no file."""
    return f"{side}.jsonl"


def read_set(folder: Path) -> SetManifest:
    """Read the manifest of a set.

    Raises:
        JourneySetError: the folder holds no set, one of another version, or one whose files lie elsewhere.
    """
    try:
        manifest = SetManifest.model_validate_json(read_regular(folder / SET))
    except (FileNotFoundError, NotADirectoryError):
        raise JourneySetError(
            f"{folder} is no set of journeys (it has no {SET}): name a folder that `ddxgraph journeys` made"
        ) from None
    except OSError as error:
        raise JourneySetError(f"cannot read {folder / SET}: {error.strerror or error}") from None
    except ValidationError as error:
        raise JourneySetError(
            f"{folder / SET} is not that of a set of version {SET_VERSION} ({fault_of(error)}): make the set "
            "again in another folder"
        ) from None
    place = real(folder)
    for name in (SET, *manifest.files):
        if (folder / name).is_symlink() and not real(folder / name).is_relative_to(place):
            raise JourneySetError(
                f"{folder / name} is a link out of the folder: copy the set with its files (`cp -rL`)"
            )
    return manifest


class Tally:
    """Counts samples one at a time; keeps about 100 bytes of each."""

    def __init__(self) -> None:
        self.words: list[int] = []
        """Words of the assistant in each sample."""
        self.models: Counter[str] = Counter()
        """Model (and adapter) to samples."""
        self._journeys: dict[str, tuple[str, str, bool, int]] = {}
        self._telling = self._rewritten = 0

    def add(self, record: Record) -> None:
        """Count a sample."""
        meta = record.meta
        self.words.append(words_of(record))
        self.models[f"{meta.model} with {meta.adapter}" if meta.adapter else meta.model] += 1
        self._telling += meta.told_backtracks > 0
        self._rewritten += meta.wording == "rewritten"
        self._journeys[meta.trace] = (
            meta.case,
            _letter(meta.answer),
            meta.backtracks > 0,
            meta.tokens.completion,
        )

    @property
    def per_case(self) -> Mapping[int, int]:
        """Number of journeys of a case to the number of such cases."""
        journeys = Counter(case for case, *_ in self._journeys.values())
        return dict(sorted(Counter(journeys.values()).items()))

    def figures(self) -> Figures:
        """What was counted."""
        journeys = self._journeys.values()
        return Figures(
            samples=len(self.words),
            journeys=len(journeys),
            cases=len({case for case, *_ in journeys}),
            letters=dict(sorted(Counter(letter for _, letter, *_ in journeys).items())),
            backtracking=sum(back for *_, back, _ in journeys),
            telling=self._telling,
            rewritten=self._rewritten,
            words=_spread(self.words),
            tokens=_spread([tokens for *_, tokens in journeys]),
        )


def words_of(record: Record) -> int:
    """Words of the assistant, separated by white space."""
    replies = (message.content for message in record.messages if message.role == "assistant")
    return sum(len(reply.split()) for reply in replies)


def _letter(answer: str) -> str:
    return answer if len(answer) == 1 and answer.isupper() else ""


def _spread(numbers: Sequence[int]) -> Spread | None:
    if not numbers:
        return None
    return Spread(
        least=min(numbers), median=median(numbers), mean=round(fmean(numbers), 1), most=max(numbers)
    )
